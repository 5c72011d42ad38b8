"""CPU features decide which instruction sets run, by the flags the kernel reports."""

from __future__ import annotations

import platform

import pytest

from edgeconv.runtime import cpu_features
from edgeconv.runtime.cpu_features import INSTRUCTION_SETS, host_features, missing_features, supported_isas

HASWELL = frozenset("sse4_2 avx avx2 bmi1 bmi2 f16c fma abm movbe xsave".split())
CASCADE_LAKE = HASWELL | frozenset("avx512f avx512bw avx512cd avx512dq avx512vl avx512_vnni".split())


@pytest.mark.parametrize(
    ("features", "architecture", "expected"),
    [
        (frozenset(), "x86_64", ("generic",)),
        (HASWELL, "x86_64", ("generic", "avx2")),
        (HASWELL - {"fma"}, "x86_64", ("generic",)),
        (CASCADE_LAKE, "x86_64", ("generic", "avx2", "avx512vnni")),
        (HASWELL | {"avx_vnni"}, "x86_64", ("generic", "avx2", "avxvnni")),
        (CASCADE_LAKE | {"avx_vnni"}, "x86_64", ("generic", "avx2", "avxvnni", "avx512vnni")),
        (CASCADE_LAKE - {"avx512_vnni"}, "x86_64", ("generic", "avx2")),
        (CASCADE_LAKE - {"avx512vl"}, "x86_64", ("generic", "avx2")),
        (frozenset({"asimd"}), "aarch64", ("generic", "neon")),
        (frozenset({"asimd", "asimddp"}), "aarch64", ("generic", "neon", "neon+dotprod")),
        (CASCADE_LAKE, "riscv64", ("generic",)),
    ],
)
def test_instruction_sets_that_run(features: frozenset[str], architecture: str, expected: tuple[str, ...]) -> None:
    assert supported_isas(features, architecture) == expected


def test_what_is_missing_is_named() -> None:
    assert missing_features("avx512vnni", CASCADE_LAKE - {"avx512_vnni", "avx512bw"}, "x86_64") == (
        "avx512_vnni",
        "avx512bw",
    )
    assert missing_features("neon", CASCADE_LAKE, "x86_64") == ("aarch64",)


def test_the_fastest_instruction_set_stands_last() -> None:
    assert list(INSTRUCTION_SETS) == ["generic", "avx2", "avxvnni", "avx512vnni", "neon", "neon+dotprod"]


def test_cores_that_differ_count_for_what_they_share() -> None:
    text = "processor : 0\nflags\t\t: fma avx2 sse\n\nprocessor : 1\nflags\t\t: fma sse\n"
    assert cpu_features._parse_cpuinfo(text) == {"fma", "sse"}
    assert cpu_features._parse_cpuinfo("Features\t: fp asimd asimddp\n") == {"fp", "asimd", "asimddp"}
    assert cpu_features._parse_cpuinfo("nothing of use\n") == frozenset()


def test_macos_names_become_linux_names() -> None:
    intel = (
        "machdep.cpu.features: FPU SSE4.2 AVX1.0 FMA MOVBE F16C XSAVE\n"
        "machdep.cpu.leaf7_features: BMI1 BMI2 AVX2\n"
        "hw.optional.avx2_0: 1\n"
    )
    assert {"avx", "avx2", "fma", "bmi2", "movbe"} <= cpu_features._parse_sysctl(intel)
    apple = "hw.optional.arm.AdvSIMD: 1\nhw.optional.arm.FEAT_DotProd: 1\nhw.optional.arm.FEAT_SME: 0\n"
    assert supported_isas(cpu_features._parse_sysctl(apple), "aarch64") == ("generic", "neon", "neon+dotprod")
    assert "feat_sme" not in cpu_features._parse_sysctl(apple)


@pytest.mark.skipif(platform.system() != "Linux", reason="reads /proc/cpuinfo")
def test_this_machine_reports_features() -> None:
    assert host_features()
    assert "generic" in supported_isas()

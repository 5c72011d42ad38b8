"""Target files: those that come with edgeconv load; every bad one is refused by file and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeconv import targets
from edgeconv.errors import DeviceError, TargetError
from edgeconv.targets import list_targets, load_target

GPU = """
family = "cuda"
description = "a GPU"
triple = "x86_64-linux-gnu"
architectures = ["sm_86"]
run = "in-process"
"""
GOOD = """
description = "a board"
family = "cpu"
triple = "x86_64-linux-gnu"
run = "in-process"
[isa.avx2]
cpu = "x86-64-v3"
[isa.generic]
cpu = "x86-64"
"""


@pytest.fixture
def write(tmp_path: Path):
    def write_target(text: str) -> Path:
        path = tmp_path / "board.toml"
        path.write_text(text)
        return path

    return write_target


def test_every_target_that_comes_along_loads_under_its_own_name() -> None:
    names = [target.name for target in list_targets()]
    arm, x86 = (
        ["aarch64", "rpi3", "rpi4", "rpi5"],
        ["generic", "x86-64", "x86-64-avx2", "x86-64-avxvnni", "x86-64-avx512vnni"],
    )
    assert set(names) >= {*arm, *x86, "cuda", "ulx3s-85f", "ecp5-25f"}
    assert all(load_target(name).name == name for name in names)


@pytest.mark.parametrize(
    ("name", "isas"),
    [
        ("x86-64", ("generic", "avx2", "avx512vnni")),
        ("x86-64-avx2", ("avx2",)),
        ("x86-64-avxvnni", ("avxvnni",)),
        ("x86-64-avx512vnni", ("avx512vnni",)),
        ("generic", ("generic",)),
    ],
)
def test_x86_targets_carry_their_instruction_sets(name: str, isas: tuple[str, ...]) -> None:
    target = load_target(name)
    target.require_available()
    assert target.isa_names == isas
    assert (target.family, target.triple, target.run) == ("cpu", "x86_64-linux-gnu", "in-process")


@pytest.mark.parametrize(
    ("name", "isas"),
    [
        ("aarch64", ("neon", "neon+dotprod")),
        ("rpi3", ("neon",)),
        ("rpi4", ("neon",)),
        ("rpi5", ("neon+dotprod",)),
    ],
)
def test_arm_targets_carry_their_instruction_sets(name: str, isas: tuple[str, ...]) -> None:
    target = load_target(name)
    target.require_available()
    assert (target.isa_names, target.architecture) == (isas, "aarch64")


@pytest.mark.parametrize(
    ("name", "architecture", "code"),
    [
        ("cuda", "x86_64", ("sm_75", "sm_80", "sm_86", "sm_89", "sm_90", "compute_90")),
        ("h200", "x86_64", ("sm_90",)),
        ("jetson-orin", "aarch64", ("sm_87",)),
    ],
)
def test_gpu_targets_name_their_architectures(name: str, architecture: str, code: tuple[str, ...]) -> None:
    target = load_target(name)
    target.require_available()
    assert (target.architecture, target.isa_names, target.architectures) == (architecture, ("cuda",), code)
    assert target.to_json()["architectures"] == list(code)


def test_targets_without_code_generation_are_refused_with_what_works_instead(write) -> None:
    target = load_target(write(GPU.replace("x86_64", "riscv64")))
    with pytest.raises(DeviceError, match=r"target 'board' .* not available yet") as caught:
        target.require_available()
    assert caught.value.exit_code == 4
    assert "x86-64" in (caught.value.expected or "")
    assert "--target cpu" in (caught.value.advice or "")


def test_cpu_is_the_target_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets, "host_architecture", lambda: "x86_64")
    assert load_target("cpu") == load_target("x86-64")
    monkeypatch.setattr(targets, "host_architecture", lambda: "riscv64")
    with pytest.raises(DeviceError, match="riscv64"):
        load_target("cpu")


def test_a_file_of_ones_own_is_a_target(write) -> None:
    target = load_target(write(GOOD))
    assert target.name == "board"
    assert target.isa_names == ("generic", "avx2"), "instruction sets are in ascending order whatever the file's"
    assert target == load_target(str(target.path))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("family", "famly"), "unknown field 'famly' (did you mean 'family'?)"),
        (GOOD.replace('family = "cpu"', ""), "field 'family' is missing"),
        (GOOD.replace('"cpu"', '"gpu"'), "field 'family' has the unknown value 'gpu' (did you mean 'cpu'?)"),
        (GOOD.replace('"cpu"', "3"), "field 'family' is 3"),
        (GOOD.replace('description = "a board"', ""), "field 'description' is missing"),
        (GOOD.replace('"a board"', "7"), "field 'description' is 7"),
        (GOOD.replace("triple", "tripel"), "unknown field 'tripel' (did you mean 'triple'?)"),
        (GOOD.replace('triple = "x86_64-linux-gnu"', ""), "field 'triple' is missing"),
        (GOOD.replace('"in-process"', '"telnet"'), "field 'run' has the unknown value 'telnet'"),
        (GOOD.replace("isa.avx2", "isa.avx3"), "field 'isa' has the unknown value 'avx3' (did you mean 'avx2'?)"),
        (GOOD.replace("isa.avx2", "isa.neon"), "instruction set 'isa.neon' does not fit the triple 'x86_64-linux-gnu'"),
        (GOOD.replace('cpu = "x86-64-v3"', ""), "field 'isa.avx2.cpu' is missing"),
        (GOOD.replace('"x86-64-v3"', "3"), "field 'isa.avx2.cpu' is 3"),
        (GOOD + 'features = "vnni"', "field 'isa.generic.features' is 'vnni'"),
        (GOOD + "features = [1]", "field 'isa.generic.features' is [1]"),
        (GOOD + "mcpu = 'x'", "unknown field 'isa.generic.mcpu' (did you mean 'cpu'?)"),
        (GOOD.split("[isa")[0] + "isa = {}", "field 'isa' is empty"),
        (GOOD.split("[isa")[0] + "isa = {avx2 = 1}", "field 'isa.avx2' is 1"),
        (GOOD.split("[isa")[0] + "isa = 'avx2'", "field 'isa' is 'avx2'"),
        ('family = "cuda"\ndescription = "d"\nrun = "ssh"\nclock_mhz = 80\n', "unknown field 'clock_mhz'"),
        (GPU.replace("sm_86", "turing"), "field 'architectures' has the unknown value 'turing'"),
        (GPU.replace('triple = "x86_64-linux-gnu"', ""), "field 'triple' is missing"),
        ('family = "fpga"\ndescription = "d"\nrun = "uart"\npart = "p"\nclock_mhz = true', "'clock_mhz' is True"),
        ("family = ", "is not TOML"),
    ],
)
def test_a_bad_file_is_refused_by_file_and_field(write, text: str, message: str) -> None:
    path = write(text)
    with pytest.raises(TargetError) as caught:
        load_target(path)
    assert str(path) in caught.value.problem
    assert message in caught.value.problem


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "board.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TargetError, match="is not TOML"):
        load_target(path)


def test_a_missing_file_is_refused_by_name() -> None:
    with pytest.raises(TargetError, match=r"target file nowhere/board\.toml: No such file"):
        load_target("nowhere/board.toml")


def test_an_unknown_name_gets_a_suggestion_and_the_list() -> None:
    with pytest.raises(TargetError) as caught:
        load_target("x86_64")
    assert caught.value.problem == "unknown target 'x86_64' (did you mean 'x86-64'?)"
    assert all(target.name in (caught.value.expected or "") for target in list_targets())

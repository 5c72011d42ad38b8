"""Instruction sets that the tests of generated code run on: those of this machine, and of Arm under qemu."""

from __future__ import annotations

import pytest

from edgeconv.runtime.cpu_features import supported_isas

X86_ISAS = ("generic", "avx2", "avxvnni", "avx512vnni")
ARM_ISAS = ("neon", "neon+dotprod")


# Between two others that every run takes; and what only runs under emulation.
_X86 = [pytest.param(isa, marks=pytest.mark.slow) if isa == "avxvnni" else isa for isa in X86_ISAS]
_ARM = [pytest.param(isa, marks=[pytest.mark.needs_qemu, pytest.mark.slow]) for isa in ARM_ISAS]


@pytest.fixture(params=_X86)
def isa(request: pytest.FixtureRequest) -> str:
    """Each x86 instruction set that this machine runs."""
    return _running(request.param)


@pytest.fixture(params=[*_X86, *_ARM])
def any_isa(request: pytest.FixtureRequest) -> str:
    """Those, and the vector instruction sets of 64-bit Arm, which run under qemu: for tests by `assert_agrees`."""
    return _running(request.param)


def _running(name: str) -> str:
    if name in X86_ISAS and name not in supported_isas():
        pytest.skip(f"this CPU does not run {name}")
    return name

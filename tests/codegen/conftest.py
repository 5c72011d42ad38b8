"""Instruction sets that the tests of generated code run on."""

from __future__ import annotations

import pytest

from edgeconv.runtime.cpu_features import supported_isas

X86_ISAS = ("generic", "avx2", "avx512vnni")


@pytest.fixture(params=X86_ISAS)
def isa(request: pytest.FixtureRequest) -> str:
    """Each x86 instruction set that this machine runs."""
    if request.param not in supported_isas():
        pytest.skip(f"this CPU does not run {request.param}")
    return str(request.param)

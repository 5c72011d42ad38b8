"""Artifacts for a GPU beside another CPU: cross-compiled, their loops compared under emulation."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

import edgeconv
from edgeconv.api import CompileReport, compile_program
from edgeconv.artifact import read
from edgeconv.bench import count_instructions
from edgeconv.errors import DeviceError
from edgeconv.runtime.cpu_features import host_architecture
from tests.runtime.test_cuda import network

pytestmark = [
    pytest.mark.needs_nvcc,
    pytest.mark.needs_qemu,
    pytest.mark.skipif(host_architecture() == "aarch64", reason="this machine is of the Jetson's architecture"),
]


@cache
def _compiled() -> tuple[Path, CompileReport]:
    path = Path(mkdtemp(prefix="edgeconv-test-")) / "small.edge"
    return path, compile_program(network(40), path, "jetson-orin")


def test_the_loops_are_compared_with_the_reference_under_qemu() -> None:
    path, report = _compiled()
    assert report.tested_isas == ("loops",)
    found = edgeconv.verify(path, samples=64)
    assert found.ok
    assert any("loops, under qemu" in str(comparison) for comparison in found.comparisons)
    library = (path / "lib" / "libsmall.so").read_bytes()
    assert library[:4] == b"\x7fELF"
    assert int.from_bytes(library[18:20], "little") == 183  # EM_AARCH64
    assert [isa.features for isa in read(path).manifest.isas if isa.name == "cuda"] == [("sm_87",)]


def test_neither_the_kernels_nor_their_time_are_had_on_another_machine() -> None:
    path, _ = _compiled()
    with pytest.raises(DeviceError, match="for a GPU in a machine with a CPU of kind aarch64") as caught:
        edgeconv.load(path)
    assert caught.value.exit_code == 4
    with pytest.raises(DeviceError, match="its time cannot be told here"):
        count_instructions(path)

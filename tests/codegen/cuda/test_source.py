"""CUDA source: what TVM prints compiles for every architecture, with the instructions meant and nothing spilled."""

from __future__ import annotations

import re
import subprocess
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen.cuda import GeneratedCuda, generate_cuda, nvcc
from edgeconv.codegen.cuda.nvcc import find_nvcc
from edgeconv.codegen.cuda.shape import Shape
from edgeconv.errors import ToolError
from edgeconv.ir import Grid, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from tests.codegen.programs import Draft

ARCHITECTURES = ("sm_75", "sm_80", "sm_86", "sm_87", "sm_89", "sm_90", "compute_90")


def _draft() -> Draft:
    parts = Draft(np.random.default_rng(3))
    parts.inputs["x"] = TensorType((1, 4, 33), dtype("u8"))
    parts.constant("w", "i8", 16, 4, 5)
    parts.operators.append(ops.Conv("a", "x", "w", None, dtype("i32"), (1,), (1,), (2, 2), 1, 9))
    parts.requant("h", "a", 16, 1 << 20, Grid.full(dtype("u8"), 3), ("fma_f32",))
    parts.constant("v", "i8", 3, 16, 1)
    parts.operators.append(ops.Conv("b", "h", "v", None, dtype("i32"), (1,), (1,), (0, 0), 1, 3))
    parts.outputs.append(parts.requant("y", "b", 3, 1 << 19, Grid.full(dtype("u8"), 3), ("fma_f64_offset",)))
    return parts


@cache
def generated(*, whole: bool) -> tuple[Program, GeneratedCuda]:
    """A small network on tensor cores and dot products, as one kernel or as one for each step."""
    parts = _draft()
    program = parts.program()
    return program, generate_cuda(program, parts.forms, shape=Shape(whole, 128, 8 if whole else 1))


def test_one_kernel_for_a_whole_network_and_one_for_each_step() -> None:
    _, whole = generated(whole=True)
    _, steps = generated(whole=False)
    assert [launch.symbol for launch in whole.launches] == ["edge_kernel"]
    assert whole.samples == 8
    assert len(steps.launches) == len(steps.report) > 2
    assert all(launch.blocks > 0 for launch in steps.launches)
    assert "__shared__" in whole.source
    assert "__shared__" not in steps.source
    assert whole.blob == steps.blob


@pytest.mark.needs_nvcc
@pytest.mark.parametrize("whole", [True, False])
def test_ptx_multiplies_on_tensor_cores_and_rounds_by_one_fma(whole: bool) -> None:
    ptx = find_nvcc().run(generated(whole=whole)[1].source, ["-ptx", "-arch=sm_90"], "ptx").decode()
    for instruction in ("mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32", "dp4a.u32.s32", "fma.rn.f32", "fma.rn.f64"):
        assert instruction in ptx
    assert ".local" not in ptx.replace(".local_", "")
    # Turing has the half-size product alone.
    turing = find_nvcc().run(generated(whole=whole)[1].source, ["-ptx", "-arch=sm_75"], "ptx").decode()
    assert "mma.sync.aligned.m8n8k16.row.col.s32.u8.s8.s32" in turing
    assert "m16n8k32" not in turing


@pytest.mark.needs_nvcc
@pytest.mark.parametrize("whole", [True, False])
def test_no_register_is_spilled(whole: bool, tmp_path: Path) -> None:
    (tmp_path / "k.cu").write_text(generated(whole=whole)[1].source)
    command = [find_nvcc().command, "-O3", "-fmad=false", "-cubin", "-Xptxas", "-v", "k.cu", "-o", "k.cubin"]
    for architecture in ("sm_75", "sm_90"):
        done = subprocess.run([*command, f"-arch={architecture}"], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        frames = re.findall(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads", done.stderr)
        assert frames
        assert {number for frame in frames for number in frame} == {"0"}


@pytest.mark.needs_nvcc
def test_a_fat_binary_of_every_architecture_is_small() -> None:
    image = find_nvcc().compile(generated(whole=True)[1].source, ARCHITECTURES)
    assert image[:4] == bytes.fromhex("50ed55ba")  # FATBIN_MAGIC of fatbinary.h, little-endian
    assert len(image) < 500_000


def test_without_nvcc_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvcc, "_candidates", lambda: iter(()))
    with pytest.raises(ToolError, match=r"pip install 'edgeconv\[cuda\]'") as caught:
        find_nvcc()
    assert caught.value.exit_code == 4


@pytest.mark.needs_nvcc
def test_nvccs_own_message_is_shown() -> None:
    with pytest.raises(ToolError, match="identifier"):
        find_nvcc().compile('extern "C" __global__ void k() { unknown(); }', ["sm_90"])
    with pytest.raises(ToolError, match="list-gpu-code"):
        find_nvcc().compile("", ["sm_13"])

"""The host side of a GPU artifact, on a machine whose driver runs the printed kernels on this CPU (tests/cuda_machine).

No GPU takes part: what is tried is the library's own work (memory, streams, pieces, graphs, errors) and the text of the
kernels. Arithmetic on a real GPU is tried by scripts/gpu_check.sh.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest

import edgeconv
from edgeconv.api import compile_program
from edgeconv.artifact import read
from edgeconv.artifact.cuda_target.write import KERNELS
from edgeconv.codegen.cuda import nvcc
from edgeconv.ir import Constant, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from tests.cuda_machine import build_driver

pytestmark = [pytest.mark.needs_nvcc, pytest.mark.needs_gcc]


def network(length: int) -> Program:
    """Two convolutions over `length` positions: in one kernel where the arena is small, else step by step."""
    rng = np.random.default_rng(length)
    constants = {
        "w": Constant(dtype("i8"), rng.integers(-128, 128, (16, 1, 5)).astype(np.int8)),
        "v": Constant(dtype("i8"), rng.integers(-128, 128, (8, 16, 3)).astype(np.int8)),
    }
    grid = Grid.full(dtype("u8"), 7)

    def rounded(output: str, acc: str, factor: Fraction) -> ops.Requant:
        return ops.Requant(output, acc, Linear(((factor,),), (Fraction(0),)), grid)

    operators = (
        ops.Quantize("q", "x", (0.0625,), grid, 0.0, 1),
        ops.Conv("a", "q", "w", None, dtype("i32"), (1,), (1,), (2, 2), 1, 7),
        rounded("h", "a", Fraction(3, 1 << 11)),
        ops.Conv("b", "h", "v", None, dtype("i32"), (1,), (1,), (1, 1), 1, 7),
        rounded("y", "b", Fraction(5, 1 << 13)),
    )
    return Program({"x": TensorType((1, 1, length), dtype("f32"))}, ("y",), operators, constants)


@cache
def artifact(*, whole: bool) -> Path:
    """Compiled for h200 alone, which is quickest, with a machine for it in the folder `driver` beside it."""
    folder = Path(mkdtemp(prefix="edgeconv-test-"))
    compile_program(network(40 if whole else 4000), folder / "small.edge", "h200")
    (folder / "driver").mkdir()
    build_driver((folder / "small.edge" / KERNELS).read_text(), folder / "driver")
    return folder / "small.edge"


def _process(path: Path, *command: str, fault: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LD_LIBRARY_PATH": str(path.parent / "driver"), "CUDA_MACHINE": fault}
    return subprocess.run([sys.executable, *command], env=environment, capture_output=True, text=True, check=False)


@cache
def client(*, whole: bool) -> dict[str, Any]:
    """What the client in a process of its own reports."""
    path = artifact(whole=whole)
    done = _process(path, "-m", "tests.cuda_machine.client", str(path), "9000" if whole else "70")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.mark.slow
@pytest.mark.parametrize("whole", [True, False])
def test_every_way_to_call_gives_the_references_bits(whole: bool) -> None:
    report = client(whole=whole)
    assert report["wrong"] == []
    assert set(report["counts"]) == {"host 1", "host 17", "host many", "single", "gpu"}


def test_a_whole_network_is_one_launch_and_large_calls_go_in_pieces() -> None:
    counts = client(whole=True)["counts"]
    assert counts["host 1"] == counts["host 17"] == counts["single"] == counts["gpu"] == [1, 0]
    assert counts["host many"] == [2, 0]  # one for each lane, so that copies and kernels overlap


def test_steps_become_a_graph_when_a_call_repeats() -> None:
    counts = client(whole=False)["counts"]
    assert counts["host 1"] == [0, 1]  # the last of three
    assert counts["host 17"][0] == counts["gpu"][0] > 2


@pytest.mark.parametrize("whole", [True, False])
def test_arrays_that_do_not_fit_are_refused_and_memory_is_given_back(whole: bool) -> None:
    report = client(whole=whole)
    assert report["messages"]["device"].startswith("InputError: input 'x' lies on GPU 1")
    assert report["messages"]["offset"] == "DeviceError: an array on the GPU is not aligned to its elements"
    assert "reports an error (CUDA_ERROR_ILLEGAL_ADDRESS)" in report["messages"]["fault"]
    assert report["released"] == 3  # weights, and a memory for each of two lanes


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        ("no device", 4, "sees no such GPU"),
        ("count 0", 4, "sees no such GPU"),
        ("old device", 4, "no code for a GPU of this kind"),
        ("old driver", 4, "it is for CUDA 11.8, the code needs 13"),
        ("mismatch", 4, "older than the compiler"),
        ("broken image", 2, "refuses the code as damaged"),
        ("no memory", 4, "not enough memory for the GPU (CUDA_ERROR_OUT_OF_MEMORY)"),
        ("illegal address", 4, "reports an error (CUDA_ERROR_ILLEGAL_ADDRESS)"),
    ],
)
def test_each_fault_of_the_machine_has_its_error(fault: str, code: int, text: str, tmp_path: Path) -> None:
    path = artifact(whole=True)
    np.save(tmp_path / "x.npy", np.zeros((3, 1, 40), np.float32))
    arguments = ("run", str(path), "--input", str(tmp_path / "x.npy"), "--output", str(tmp_path / "y.npy"))
    done = _process(path, "-m", "edgeconv", *arguments, fault=fault)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "try: " in done.stderr
    assert not (tmp_path / "y.npy").exists()


@pytest.mark.parametrize(
    ("verb", "fault", "code", "text"),
    [
        ("verify", "no memory", 4, "not enough memory for the GPU"),
        ("verify", "broken image", 2, "refuses the code as damaged"),
        ("bench", "old device", 4, "no code for a GPU of this kind"),
    ],
)
def test_verify_and_bench_end_with_the_gpus_error(verb: str, fault: str, code: int, text: str) -> None:
    path = artifact(whole=True)
    done = _process(path, "-m", "edgeconv", verb, str(path), fault=fault)
    assert done.returncode == code, done.stderr
    assert text in done.stderr
    assert "try: " in done.stderr


def test_inspect_names_the_gpus_and_the_compiler() -> None:
    path = artifact(whole=True)
    done = _process(path.parent, "-m", "edgeconv", "inspect", str(path))
    assert done.returncode == 0, done.stderr
    assert f"code for sm_90 by nvcc {read(path).manifest.toolchain['nvcc']}" in done.stdout
    assert "arena for each sample on the GPU" in done.stdout
    assert "C source" not in done.stdout


@pytest.mark.needs_nvrtc
def test_images_of_nvrtc_run_and_the_one_that_fits_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nvcc, "_candidates", lambda: iter(()))
    target = tmp_path / "two.toml"
    target.write_text(
        'description = "two images"\nfamily = "cuda"\ntriple = "x86_64-linux-gnu"\nrun = "in-process"\n'
        'architectures = ["sm_80", "sm_90", "compute_80"]\n'
    )
    path = tmp_path / "small.edge"
    compile_program(network(40), path, target)
    assert {"nvcc", "nvrtc"} & set(read(path).manifest.toolchain) == {"nvrtc"}
    (tmp_path / "driver").mkdir()
    build_driver((path / KERNELS).read_text(), tmp_path / "driver")
    done = _process(path, str(path / "edge_runtime.py"))
    assert done.stdout == "cuda: 16 samples, every byte as the reference\n"
    # A GPU of capability 7.0 is older than every image.
    done = _process(path, str(path / "edge_runtime.py"), fault="older")
    assert "there is no code for a GPU of this kind" in done.stderr


def test_without_a_driver_it_says_so_and_the_loops_run() -> None:
    path = artifact(whole=True)
    done = _process(path.parent, "-c", f"import edgeconv; edgeconv.load({str(path)!r})")
    assert "NoDriverError: there is no CUDA driver: libcuda.so.1 cannot be loaded" in done.stderr
    inputs, outputs = read(path).golden()
    assert edgeconv.load(path, isa="loops")(inputs).tobytes() == outputs["y"].tobytes()


def test_bench_takes_the_gpu_and_says_what_is_missing() -> None:
    path = artifact(whole=True)
    arguments = ("-m", "edgeconv", "bench", str(path), "--batch", "1", "--passes", "1")
    done = _process(path, *arguments)
    assert done.returncode == 0, done.stderr
    assert [line.split("  ")[0] for line in done.stdout.splitlines()[1:3]] == ["python", "python, out="]
    done = _process(path.parent, *arguments)
    assert done.returncode == 4
    assert "there is no CUDA driver" in done.stderr

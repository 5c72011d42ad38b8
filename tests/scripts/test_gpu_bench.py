"""What gpu_check.sh measures, as far as it can be tried without a GPU: on the machine of tests/cuda_machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeconv.artifact.cuda_target.write import KERNELS
from edgeconv.codegen.cuda import FIRST_KERNEL
from scripts.gpu.bench import COMPILED, DEVICE, NUMPY, Row, goals, table
from scripts.gpu.peak import peak_source
from tests.cuda_machine import build_driver
from tests.runtime.test_cuda import artifact

_ROOT = Path(__file__).parents[2]
_PEAK = """
from scripts.gpu.driver import Gpu
from scripts.gpu.peak import measured_peak
print(measured_peak(Gpu(), bytes.fromhex("50ed55ba"), rounds=1))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small artifact in the place of the pulse network, and the driver of a machine that knows its kernels."""
    made = tmp_path_factory.mktemp("gpu")
    (made / "pulse.edge").symlink_to(artifact(whole=True))
    peak = peak_source()
    source = (made / "pulse.edge" / KERNELS).read_text() + peak[peak.index(FIRST_KERNEL) :]
    build_driver(source, made)
    return made


def _run(folder: Path, *arguments: str, fault: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"LD_LIBRARY_PATH": str(folder), "CUDA_MACHINE": fault}
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.needs_nvcc
@pytest.mark.needs_gcc
def test_times_become_a_table_with_goals(folder: Path) -> None:
    done = _run(
        folder, "-m", "scripts.gpu.bench", str(folder), "--batch", "48", "-o", str(folder / "t.md"), fault="idle"
    )
    assert done.returncode == 0, done.stderr
    lines = (folder / "t.md").read_text().splitlines()
    assert lines[0].startswith("CPU in the place of a GPU, driver ?, torch not here")
    assert lines[2].startswith("mma m16n8k32 on int8: ")
    cells = [line.split(" | ")[:3] for line in lines if line.startswith("| pulse")]
    assert [(way, batch) for _, way, batch in cells] == [
        ("edgeconv, numpy", "1"),
        ("edgeconv, device memory", "1"),
        ("edgeconv, device memory", "48"),
        ("edgeconv, pinned memory", "48"),
    ]
    assert len([line for line in lines if line.startswith("- pulse")]) == 3
    assert done.stdout.strip() == "\n".join(lines).strip()


@pytest.mark.needs_nvcc
@pytest.mark.needs_gcc
def test_the_peak_is_measured_with_products_that_run(folder: Path) -> None:
    done = _run(folder, "-c", _PEAK)
    assert done.returncode == 0, done.stderr
    # Two multiprocessors of four blocks of eight warps, each with eight products of 4,096 multiply-accumulates.
    assert 0 < float(done.stdout) < 1e12


@pytest.mark.needs_nvcc
@pytest.mark.needs_gcc
def test_arrays_on_the_gpu_and_pinned_ones_give_the_golden_bits(folder: Path) -> None:
    done = _run(folder, "-m", "scripts.gpu.arrays", str(folder / "pulse.edge"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("3 calls by DLPack, 3 calls by pinned: 0 differences")
    # Kernels that do not run leave results as they were.
    failed = _run(folder, "-m", "scripts.gpu.arrays", str(folder / "pulse.edge"), fault="idle")
    assert failed.returncode == 1
    assert "DLPack: y" in failed.stdout


@pytest.mark.needs_nvcc
@pytest.mark.needs_gcc
def test_artifacts_run_where_there_is_only_numpy(folder: Path) -> None:
    done = _run(folder, "-m", "scripts.gpu.bare", str(folder / "pulse.edge"))
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first == "cuda: 16 samples, every byte as the reference"
    assert second.endswith("µs a call through edge_runtime.py, copies included")
    failed = _run(folder, "-m", "scripts.gpu.bare", str(folder / "pulse.edge"), fault="no device")
    assert failed.returncode == 1
    assert "the CUDA driver sees no such GPU" in failed.stderr


def test_goals_are_met_or_missed_and_torch_is_compared() -> None:
    rows = [
        Row("pulse", NUMPY, 1, 11e-6, 0.1),
        Row("pulse", DEVICE, 1 << 18, (1 << 18) / 40e6, 0.1),
        Row("pulse", f"{COMPILED} fp16, CUDA graphs", 1 << 18, 2 * (1 << 18) / 40e6),
    ]
    assert goals(rows) == [
        "pulse, edgeconv, device memory, batch 262,144: 40,000,000 a second, goal 50,000,000: missed",
        "pulse, edgeconv, numpy, batch 1: 90,909 a second, goal 83,333: met",
        "pulse, batch 262,144: 2.0 × torch.compile fp16, CUDA graphs",
    ]
    assert "| pulse | edgeconv, numpy | 1 | 11.0 µs | 90,909 | 10.0 % |" in table(["head"], rows)

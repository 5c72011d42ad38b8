"""The check for machines with a GPU, as far as it can be tried without one: on the machine of tests/cuda_machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.gpu.random_graphs import FIRST, generate_batch
from tests.cuda_machine import build_driver

_ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.needs_nvcc
@pytest.mark.needs_gcc
def test_random_graphs_are_compiled_run_and_compared(tmp_path: Path) -> None:
    batch = generate_batch(range(FIRST, FIRST + 4))
    build_driver(batch.source, tmp_path)
    command = [sys.executable, "-m", "scripts.gpu.random_graphs", "--graphs", "4", "--processes", "1"]
    environment = os.environ | {"LD_LIBRARY_PATH": str(tmp_path)}
    done = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"{len(batch.codes)} random graphs on sm_90, 0 differences" in done.stdout


def test_a_machine_without_a_gpu_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\nexit 9\n")
    (tmp_path / "nvidia-smi").chmod(0o755)
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["bash", str(_ROOT / "scripts" / "gpu_check.sh"), str(tmp_path / "out")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 4
    assert "no GPU: nothing to check" in done.stdout


@pytest.mark.needs_torch
def test_the_float_twin_computes_what_the_network_does(tmp_path: Path) -> None:
    import numpy as np
    import onnxruntime
    import torch

    from scripts.bench_networks import NETWORKS, float_network, input_shape
    from scripts.gpu.twin import torch_twin

    for name in ("pulse", "wave"):
        assert name in NETWORKS
        (tmp_path / f"{name}.onnx").write_bytes(float_network(name).SerializeToString())
        x = np.random.default_rng(0).standard_normal(input_shape(name)).astype(np.float32)
        expected = onnxruntime.InferenceSession(tmp_path / f"{name}.onnx").run(None, {"x": x})[0]
        found = torch_twin(tmp_path / f"{name}.onnx")(torch.from_numpy(x)).numpy()
        # Two float32 programs that add in different orders: no integers are compared here.
        assert np.allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


_RECORDER = """#!/bin/sh
echo "$*" >>"$0.log"
case "$*" in *"$FAILS"*) test -z "$FAILS" || exit 1 ;; esac
"""
_SMI = """#!/bin/sh
case "$*" in
  *noheader*) case "$*" in *compute_cap*) echo 9.0 ;; *) echo 580.65 ;; esac ;;
  *) echo "name, driver_version, compute_cap, memory.total" ;;
esac
"""


def _checked(folder: Path, fails: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the script with a Python that only notes what it was asked for, and the notes."""
    for name, text in (("python", _RECORDER), ("nvidia-smi", _SMI), ("compute-sanitizer", "#!/bin/sh\nexec true\n")):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "PYTHON": str(folder / "python")}
    command = ["bash", str(_ROOT / "scripts" / "gpu_check.sh"), str(folder / "out")]
    done = subprocess.run(command, env=environment | {"FAILS": fails}, capture_output=True, text=True, check=False)
    return done, (folder / "python.log").read_text().splitlines()


def test_every_step_is_taken_for_the_gpu_at_hand(tmp_path: Path) -> None:
    done, asked = _checked(tmp_path, "")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all that was run is right" in done.stdout
    assert 'architectures = ["sm_90"]' in (tmp_path / "out" / "here.toml").read_text()
    for name in ("pulse", "depth", "ecg", "wave"):
        assert sum(f"edgeconv compile {tmp_path}/out/{name}.u8s8.onnx" in line for line in asked) == 1
        assert sum(f"edgeconv verify {tmp_path}/out/{name}.edge" in line for line in asked) == 1
    modules = [line.split()[1] for line in asked if line.startswith("-m scripts.gpu")]
    pair = ["scripts.gpu.arrays", "scripts.gpu.bare"]
    assert modules == [*pair, *pair, "scripts.gpu.random_graphs", "scripts.gpu.bench"]
    assert "--driver 580.65" in asked[-1]
    assert done.stdout.count("== compute-sanitizer ") == 3


@pytest.mark.parametrize(
    ("fails", "name"), [("verify", "compile and verify wave"), ("random_graphs", "random graphs"), ("bench ", "times")]
)
def test_a_step_that_fails_is_named(fails: str, name: str, tmp_path: Path) -> None:
    done, _ = _checked(tmp_path, fails)
    assert done.returncode == 1
    assert f"failed: {name}\n" in done.stdout

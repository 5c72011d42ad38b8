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

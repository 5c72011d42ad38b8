"""After the correction the mean of each layer's output is the float model's, within half a step of its bias."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.ptq import quantize_onnx
from edgeconv.verify.onnx_peer import OnnxPeer
from tests.quantize.ptq.models import IMAGE, write

DATA = np.random.default_rng(8).uniform(0, 1, (48, 1, 3, 8, 8)).astype(np.float32)
LAYERS = {
    "convolutions": (
        "c = Conv(x, w, b)\nr = Relu(c)\nd = Conv(r, w2, b)\ny = Relu(d)", IMAGE, ("c", "d"), (0, 1, 3, 4)
    ),
    "a matrix product with its Add": (
        "m = MatMul(x, square)\nc = Add(m, ln_b)\nr = Relu(c)\ny = MatMul(r, square2)", IMAGE, ("c",), (0, 1, 2, 3)
    ),
    "a transposed convolution": (
        "e = Conv(x, w, b)\nc = ConvTranspose(e, wt, b)\ny = Relu(c)", IMAGE, ("c",), (0, 1, 3, 4)
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYERS)
def test_means_agree(name: str, tmp_path: Path) -> None:
    nodes, inputs, values, axes = LAYERS[name]
    path = write(tmp_path, nodes, inputs=inputs)
    errors = {}
    for correct in (False, True):
        report = quantize_onnx(
            path, tmp_path / "q.onnx", calibration={"x": DATA}, policy=QuantPolicy(weight_bits=3), correct_bias=correct
        )
        before, after = OnnxPeer(path, optimized=False), OnnxPeer(report.path, optimized=False)
        before.also(values)
        after.also(values)
        exact, rounded = before.run({"x": DATA}), after.run({"x": DATA})
        errors[correct] = max(
            float(np.abs((exact[v].astype(np.float64) - rounded[v]).mean(axes[: exact[v].ndim])).max()) for v in values
        )
    assert errors[True] < 3e-3 < errors[False]


def test_a_layer_without_bias_stays(tmp_path: Path) -> None:
    path = write(tmp_path, "c = Conv(x, w)\ny = Relu(c)")
    corrected = quantize_onnx(path, tmp_path / "a.onnx", calibration={"x": DATA}).path
    plain = quantize_onnx(path, tmp_path / "b.onnx", calibration={"x": DATA}, correct_bias=False).path
    left, right = (onnx.load(str(p)).graph for p in (corrected, plain))
    assert left.SerializeToString(deterministic=True) == right.SerializeToString(deterministic=True)

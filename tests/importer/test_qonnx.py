"""QONNX's quantizers: any width, both roundings, narrow ranges, bipolar values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeconv.errors import QuantizationError, UnsupportedModelError
from edgeconv.importer import QuantizedGraph, Quantizer, Scale, read_onnx
from edgeconv.ir import Rounding
from tests.importer.interpreter import evaluate
from tests.importer.models import model, save

RNG = np.random.default_rng(9)
QUANT = "qonnx.custom_op.general.Quant"


def read(tmp_path: Path, nodes: str, constants: dict[str, Any], **options: Any) -> QuantizedGraph:
    return read_onnx(save(model(nodes, constants=constants, **options), tmp_path))


def parameters(scale: Any = 0.5, zero: Any = 0.0, bits: float = 4) -> dict[str, Any]:
    return {"s": np.float32(scale), "z": np.float32(zero), "b": np.float32(bits)}


def quantizer_of(graph: QuantizedGraph) -> Quantizer:
    quantizer = graph.nodes[0].attributes["quantizer"]
    assert isinstance(quantizer, Quantizer)
    return quantizer


@pytest.mark.parametrize(
    ("bits", "signed", "narrow", "name", "lo", "hi"),
    [
        (2, 1, 0, "i2", -2, 1),
        (3, 1, 1, "i3", -3, 3),
        (4, 0, 0, "u4", 0, 15),
        (5, 0, 1, "u5", 0, 30),
        (8, 1, 1, "i8", -127, 127),
        (11, 1, 0, "i11", -1024, 1023),
        (16, 0, 0, "u16", 0, 65535),
    ],
)
def test_width_sign_and_narrow_range_give_type_and_bounds(
    tmp_path: Path, bits: int, signed: int, narrow: int, name: str, lo: int, hi: int
) -> None:
    nodes = f"y = {QUANT}<signed={signed}, narrow={narrow}>(x, s, z, b)"
    graph = read(tmp_path, nodes, parameters(bits=bits))
    quantizer = quantizer_of(graph)
    assert (str(quantizer.dtype), quantizer.lo, quantizer.hi) == (name, lo, hi)
    assert graph.nodes[1].attributes["scale"] == Scale((0.5,), (0,))
    assert graph.dialect == "qonnx"


@pytest.mark.parametrize("domain", ["qonnx.custom_op.general", "onnx.brevitas"])
@pytest.mark.parametrize(
    ("mode", "rounding", "expected"),
    [("ROUND", Rounding.HALF_EVEN, [-2, -2, 0, 0, 2, 2]), ("HALF_UP", Rounding.HALF_AWAY, [-3, -2, -1, 1, 2, 3])],
)
def test_ties_round_as_the_mode_says(
    tmp_path: Path, domain: str, mode: str, rounding: Rounding, expected: list[int]
) -> None:
    nodes = f'y = {domain}.Quant<rounding_mode="{mode}", signed=1, narrow=0>(x, s, z, b)'
    graph = read(tmp_path, nodes, parameters(1.0), inputs={"x": (1, 6)})
    assert quantizer_of(graph).rounding is rounding
    x = np.float32([[-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]])
    np.testing.assert_array_equal(evaluate(graph, {"x": x})[0], [expected])


def test_the_zero_point_is_added_before_rounding_and_taken_back(tmp_path: Path) -> None:
    graph = read(tmp_path, f"y = {QUANT}<signed=0, narrow=0>(x, s, z, b)", parameters(1.0, 3), inputs={"x": (1, 4)})
    assert quantizer_of(graph).zero_point_inside
    # 0.5 + 3 = 3.5 rounds to 4, whereas round(0.5) + 3 = 3.
    np.testing.assert_array_equal(evaluate(graph, {"x": np.float32([[0.5, 1.5, -9, 99]])})[0], [[1, 1, -3, 12]])


def test_weights_become_integers_of_their_width_per_channel(tmp_path: Path) -> None:
    w = (RNG.integers(-40, 40, (4, 3, 3)) / 8).astype(np.float32)
    scale = np.float32([0.25, 0.5, 1, 2]).reshape(4, 1, 1)
    nodes = f"q = {QUANT}<signed=1, narrow=1>(w, s, z, b)\ny = Conv(x, q)"
    graph = read(tmp_path, nodes, {"w": w, **parameters(scale, bits=3)})
    (name,) = graph.nodes[0].inputs
    np.testing.assert_array_equal(graph.constants[name], np.rint(np.clip(w / scale, -3, 3)))
    assert str(graph.constant_dtypes[name]) == "i3"
    assert graph.nodes[0].attributes["scale"] == Scale((0.25, 0.5, 1.0, 2.0), (0,), 0)


def test_a_bias_may_have_32_bits(tmp_path: Path) -> None:
    bias = np.float32([100000, -3.5, 7]).reshape(3, 1)
    graph = read(tmp_path, f"q = {QUANT}(b0, s, z, b)\ny = Add(x, q)", {"b0": bias, **parameters(bits=32)})
    np.testing.assert_array_equal(graph.constants[graph.nodes[0].inputs[0]].reshape(-1), [200000, -7, 14])


def test_activations_may_have_a_scale_per_channel(tmp_path: Path) -> None:
    scale = np.float32([0.25, 0.5, 1]).reshape(1, 3, 1)
    quantizer = quantizer_of(read(tmp_path, f"y = {QUANT}(x, s, z, b)", parameters(scale)))
    assert (quantizer.scale, quantizer.axis) == ((0.25, 0.5, 1.0), 1)


def test_bipolar_values_are_plus_and_minus_one(tmp_path: Path) -> None:
    nodes = (
        "q = qonnx.custom_op.general.BipolarQuant(w, s)\nm = Conv(x, q)\ny = qonnx.custom_op.general.BipolarQuant(m, s)"
    )
    w = np.float32([[[0.0, -0.1, 3]] * 3] * 2)
    graph = read(tmp_path, nodes, {"w": w, "s": np.float32(0.5)})
    assert [node.op for node in graph.nodes] == ["Dequantize", "Conv", "Bipolar", "Dequantize"]
    name = graph.nodes[0].inputs[0]
    np.testing.assert_array_equal(graph.constants[name], np.where(w >= 0, 1, -1))
    assert str(graph.constant_dtypes[name]) == "i2"
    x = RNG.integers(-3, 4, (1, 3, 8)).astype(np.float32)
    (y,) = evaluate(graph, {"x": x})
    assert set(np.unique(y)) <= {-0.5, 0.5}


@pytest.mark.parametrize(
    ("nodes", "constants", "kind", "text"),
    [
        (f"y = {QUANT}(x, s, z, b)", parameters(-1.0), QuantizationError, "the scale is -1.0"),
        (f"y = {QUANT}(x, s, z, b)", parameters(bits=17), UnsupportedModelError, "width [17.0]"),
        (f"y = {QUANT}(x, s, z, b)", parameters(bits=1), UnsupportedModelError, "BipolarQuant for one bit"),
        (f"y = {QUANT}(x, s, z, b)", parameters(bits=3.5), UnsupportedModelError, "bit width [3.5]"),
        (f"y = {QUANT}(x, s, z, b)", parameters(zero=0.5), UnsupportedModelError, "zero points [0.5]"),
        (f"y = {QUANT}(x, s, z, b)", parameters([1, 1]), QuantizationError, "2 entries of the scale for axis 2"),
        (f"y = {QUANT}(x, s, z, b)", parameters(np.ones((3, 8))), QuantizationError, "the scale has shape (3, 8)"),
        (f'y = {QUANT}<rounding_mode="FLOOR">(x, s, z, b)', parameters(), UnsupportedModelError, "rounding_mode FLOOR"),
        ("y = qonnx.custom_op.general.Trunc(x, s, z, b, b)", parameters(), UnsupportedModelError, "versions disagree"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_by_name(
    tmp_path: Path, nodes: str, constants: Any, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind) as caught:
        read(tmp_path, nodes, constants)
    assert "-> y'" in str(caught.value)
    assert "try: " in str(caught.value)
    assert text in str(caught.value)

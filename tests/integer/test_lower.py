"""What lowering makes of a graph: the program, the bias rule, narrow weights; refusals that name every node."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from edgeconv.errors import QuantizationError, UnsupportedModelError
from edgeconv.integer import lower
from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.reference import run
from tests.integer.graphs import GraphWriter


def one_convolution(bias: np.ndarray, bias_scale: tuple[float, ...] | None, weight_type: str = "i8") -> Program:  # type: ignore[type-arg]
    g = GraphWriter()
    x = g.fake_quantize(g.input((1, 2, 8)), 0.3, 5)
    w = g.dequantize(g.constant(np.arange(-6, 6, dtype=np.int8).reshape(2, 2, 3), weight_type), (0.7, 0.9), 0, 0)
    b = g.constant(bias)
    if bias_scale is not None:
        b = g.dequantize(b, bias_scale, 0, 0)
    return lower(g.graph(g.quantize(g.conv(x, w, b), 1.0)))


def exported_scales() -> tuple[float, ...]:
    return tuple(float(np.float32(0.3) * np.float32(w)) for w in (0.7, 0.9))


def test_bias_at_the_exported_scale_is_an_integer_of_the_accumulator() -> None:
    """The scale float32(s_x·s_w) is not the exact product; the integers count, not the product."""
    program = one_convolution(np.array([11, -12], np.int32), exported_scales())
    conv, requant = program.operators[1:]
    assert isinstance(conv, ops.Conv)
    assert isinstance(requant, ops.Requant)
    assert program.constants[conv.bias or ""].array.tolist() == [11, -12]
    assert requant.linear.offset == (0,)
    assert requant.linear.factors[0][1] == Fraction(float(np.float32(0.3))) * Fraction(float(np.float32(0.9)))


def test_bias_at_any_other_scale_is_a_real_offset() -> None:
    wrong = (exported_scales()[0], exported_scales()[1] * 2)
    program = one_convolution(np.array([11, -12], np.int32), wrong)
    conv, requant = program.operators[1:]
    assert isinstance(conv, ops.Conv)
    assert isinstance(requant, ops.Requant)
    assert conv.bias is None
    assert requant.linear.offset == (11 * Fraction(wrong[0]), -12 * Fraction(wrong[1]))


def test_float_bias_on_the_accumulators_scale_is_an_integer() -> None:
    g = GraphWriter()
    x = g.fake_quantize(g.input((1, 1, 4)), 0.25)
    w = g.dequantize(g.constant(np.ones((2, 1, 1), np.int8)), 0.5)
    program = lower(g.graph(g.quantize(g.conv(x, w, g.constant(np.array([0.375, -1.0], np.float32))), 1.0)))
    assert isinstance(program.operators[1], ops.Conv)
    assert program.constants[program.operators[1].bias or ""].array.tolist() == [3, -8]


def test_bias_that_follows_a_matmul_is_folded_into_it() -> None:
    g = GraphWriter()
    x = g.fake_quantize(g.input((1, 3)), 0.3, 5)
    w = g.dequantize(g.constant(np.arange(6, dtype=np.int8).reshape(3, 2)), (0.7, 0.9), 0, 1)
    b = g.dequantize(g.constant(np.array([11, -12], np.int32)), exported_scales(), 0, 0)
    program = lower(g.graph(g.quantize(g.node("Add", g.node("MatMul", x, w), b), 1.0)))
    assert [operator.keyword for operator in program.operators] == ["quantize", "matmul", "requant"]
    matmul = program.operators[1]
    assert isinstance(matmul, ops.MatMul)
    assert program.constants[matmul.bias or ""].array.tolist() == [11, -12]


def test_narrow_weights_stay_narrow() -> None:
    program = one_convolution(np.array([1.0, 2.0], np.float32), None, "i4")
    assert sorted(str(constant.dtype) for constant in program.constants.values()) == ["i4"]


def test_weights_with_a_zero_point_become_symmetric() -> None:
    for point, expected in ((128, "i8"), (100, "i9")):
        g = GraphWriter()
        x = g.fake_quantize(g.input((1, 1, 4)), 0.25)
        w = g.constant(np.array([0, 255, 128], np.uint8).reshape(3, 1, 1))
        program = lower(g.graph(g.quantize(g.conv(x, g.dequantize(w, 0.5, point)), 1.0)))
        (constant,) = program.constants.values()
        assert str(constant.dtype) == expected
        assert constant.array.ravel().tolist() == [-point, 255 - point, 128 - point]


def test_equal_steps_and_constants_are_shared_and_unused_ones_dropped() -> None:
    g = GraphWriter()
    x = g.fake_quantize(g.input((1, 2, 4)), 0.25)
    outputs = []
    for _ in range(2):
        w = g.dequantize(g.constant(np.ones((2, 2, 1), np.int8)), 0.5)
        outputs.append(g.quantize(g.conv(x, w), 1.0 + len(outputs)))
    g.quantize(g.node("Sigmoid", x), 0.01)
    program = lower(g.graph(*outputs))
    assert [operator.keyword for operator in program.operators] == ["quantize", "conv", "requant", "requant"]
    assert len(program.constants) == 1


def test_operators_name_the_node_they_came_from_and_tensors_the_value() -> None:
    g = GraphWriter()
    x = g.fake_quantize(g.input((1, 2, 4)), 0.25)
    y = g.conv(x, g.dequantize(g.constant(np.ones((2, 2, 1), np.int8)), 0.5))
    program = lower(g.graph(g.quantize(y, 1.0)))
    assert [(operator.output, operator.origin) for operator in program.operators] == [
        ("quantize0", "/quantize0"), ("conv3", "/conv3"), ("y0", "/quantize4"),
    ]  # fmt: skip


def test_an_activation_moves_after_it_was_made_narrow() -> None:
    """Pooling and reshaping follow the requantization, so that no accumulator is moved."""
    g = GraphWriter()
    x = g.fake_quantize(g.input((1, 2, 4)), 0.25)
    y = g.node("Relu", g.conv(x, g.dequantize(g.constant(np.ones((2, 2, 1), np.int8)), 0.5)))
    y = g.node("MaxPool", y, kernel=(2,), strides=(2,), dilations=(1,), pads=(0, 0))
    program = lower(g.graph(g.quantize(g.node("Reshape", y, shape=(1, 4)), 1.0)))
    found = [operator.keyword for operator in program.operators]
    assert found == ["quantize", "conv", "requant", "max_pool", "reshape"]


def test_wide_sums_use_64_bits() -> None:
    g = GraphWriter()
    x = g.dequantize(g.input((1, 600, 1), "i16"), 1.0)
    w = g.dequantize(g.constant(np.full((1, 600, 1), 127, np.int8)), 1.0)
    program = lower(g.graph(g.quantize(g.conv(x, w), 2.0**20)))
    assert str(program.types[program.operators[0].output].dtype) == "i64"


def test_sums_beyond_64_bits_are_refused() -> None:
    g = GraphWriter()
    x = g.dequantize(g.input((1, 2, 1), "i16"), 1.0)
    w = g.dequantize(g.constant(np.full((1, 2, 1), 2**48, np.int64), "i50"), 1.0)
    with pytest.raises(QuantizationError, match=r"Conv '/conv2'.*outside 64 bits"):
        lower(g.graph(g.quantize(g.conv(x, w), 1.0)))


def test_integers_pass_through_and_outputs_are_tensors_of_their_own() -> None:
    g = GraphWriter()
    x = g.input((1, 2), "i8")
    q = g.quantize(g.dequantize(x, 0.5), 0.25)
    graph = g.graph(x, q, q)
    program = lower(graph)
    result = run(program, {"x0": np.array([[[3, -5]]], np.int8)})
    assert [result[name].ravel().tolist() for name in ("y0", "y1", "y2")] == [[3, -5], [6, -10], [6, -10]]


def float_network() -> GraphWriter:
    g = GraphWriter()
    x = g.input((1, 2, 8))
    w = g.constant(np.ones((2, 2, 3), np.float32))
    y = g.node("Relu", g.conv(x, w, pads=(1, 1)))
    y = g.node("MaxPool", y, kernel=(2,), strides=(2,), dilations=(1,), pads=(0, 0))
    g.conv(y, w)
    return g


def test_a_float_network_is_refused_with_every_operator_that_lacks_a_quantizer() -> None:
    g = float_network()
    with pytest.raises(QuantizationError) as caught:
        lower(g.graph(g.nodes[-1].output))
    text = str(caught.value)
    assert "3 nodes cannot become integer arithmetic" in text
    for node in ("Conv '/conv0'", "Relu '/relu1'", "Conv '/conv3'"):
        assert node in text
    assert "MaxPool" not in text
    assert "edgeconv quantize" in text


def test_all_unsupported_operators_are_listed_at_once() -> None:
    g = GraphWriter()
    x = g.fake_quantize(g.input((1, 2, 8)), 0.25)
    a = g.quantize(g.node("LogSoftmax", x), 0.01)
    b = g.node("LpNormalization", g.dequantize(a, 0.01))
    c = g.conv(g.dequantize(a, 0.01), g.constant(np.ones((2, 2, 1), np.float32)))
    with pytest.raises(UnsupportedModelError) as caught:
        lower(g.graph(g.quantize(b, 1.0), g.quantize(c, 1.0)))
    text = str(caught.value)
    assert "LogSoftmax '/logsoftmax2' has no integer form yet" in text
    assert "LpNormalization '/lpnormalization5'" in text
    assert "Conv '/conv7' has float weights 'k0'" in text


def test_convolution_over_unequal_scales_is_refused_with_advice() -> None:
    g = GraphWriter()
    a, b = (g.fake_quantize(g.input((1, 1, 4)), scale) for scale in (0.25, 0.3))
    w = g.dequantize(g.constant(np.ones((1, 2, 1), np.int8)), 0.5)
    y = g.conv(g.node("Concat", a, b, axis=1), w)
    with pytest.raises(UnsupportedModelError, match="unequal scales that nobody requantized") as caught:
        lower(g.graph(g.quantize(y, 1.0)))
    assert "quantizer after the Concat" in str(caught.value)


def test_convolution_over_a_sum_without_quantizer_is_refused() -> None:
    g = GraphWriter()
    a, b = (g.fake_quantize(g.input((1, 1, 4)), scale) for scale in (0.25, 0.3))
    y = g.conv(g.node("Add", a, b), g.dequantize(g.constant(np.ones((1, 1, 1), np.int8)), 0.5))
    with pytest.raises(QuantizationError, match=r"Conv '/conv6' reads a real value that no quantizer brought"):
        lower(g.graph(g.quantize(y, 1.0)))


def test_convolution_over_channels_of_unequal_scales_is_refused() -> None:
    g = GraphWriter()
    x = g.dequantize(g.quantize(g.input((1, 2, 4)), (0.25, 0.3)), (0.25, 0.3))
    y = g.conv(x, g.dequantize(g.constant(np.ones((1, 2, 1), np.int8)), 0.5))
    with pytest.raises(UnsupportedModelError, match="sums input channels of unequal scales"):
        lower(g.graph(g.quantize(y, 1.0)))


def test_a_float_output_of_a_function_of_an_accumulator_is_refused() -> None:
    g = GraphWriter()
    x = g.fake_quantize(g.input((1, 1, 4)), 0.25)
    y = g.node("Sigmoid", g.conv(x, g.dequantize(g.constant(np.ones((1, 1, 1), np.int8)), 0.5)))
    with pytest.raises(QuantizationError, match="float output computed by a function that no quantizer precedes"):
        lower(g.graph(y))


def test_a_tensor_broadcast_by_a_constant_is_refused() -> None:
    g = GraphWriter()
    x = g.fake_quantize(g.input((1, 1, 4)), 0.25)
    y = g.node("Mul", x, g.constant(np.array([[[1.0], [2.0]]], np.float32)))
    with pytest.raises(UnsupportedModelError, match="broadcasts a tensor"):
        lower(g.graph(g.quantize(y, 1.0)))


@pytest.mark.parametrize("op", ["AveragePool", "ResizeLinear"])
def test_averages_along_an_axis_of_unequal_scales_are_refused(op: str) -> None:
    g = GraphWriter()
    scales = (0.5, 0.25, 0.125)
    x = g.dequantize(g.quantize(g.input((1, 2, 3)), scales, axis=2), scales, axis=2)
    attributes: dict[str, dict[str, object]] = {
        "AveragePool": {"kernel": (3,), "strides": (1,), "dilations": (1,), "pads": (1, 1), "counted_pads": (0, 0)},
        "ResizeLinear": {"indices": ((0, 1),), "left": ((1, 1),), "right": ((1, 1),), "denominators": (2,)},
    }
    y = g.quantize(g.node(op, x, **attributes[op]), 1.0)
    with pytest.raises(UnsupportedModelError, match="averages along an axis of unequal scales"):
        lower(g.graph(y))


def test_resampling_that_reads_zeros_needs_a_zero_that_is_an_integer() -> None:
    g = GraphWriter()
    half = g.node("Add", g.fake_quantize(g.input((1, 2, 3)), 1.0), g.constant(np.float32(0.5)))
    resized = g.node("ResizeLinear", half, indices=((0, 0),), left=((2, 0),), right=((0, 0),), denominators=(2,))
    with pytest.raises(QuantizationError, match="counts zeros around a value whose zero is no integer"):
        lower(g.graph(g.quantize(resized, 1.0)))

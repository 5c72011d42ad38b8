"""Lowered programs, run by the reference interpreter, equal the graph evaluated in exact fractions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from edgeconv.importer.graph import QuantizedGraph
from edgeconv.integer import lower
from edgeconv.ir import Program, Rounding, from_text, to_text
from edgeconv.reference import run
from tests.integer.graphs import GraphWriter
from tests.integer.oracle import evaluate

Rng = np.random.Generator
SAMPLES = 3


def check(graph: QuantizedGraph, seed: int, samples: int = SAMPLES) -> Program:
    """Every output of random samples, bit for bit."""
    program = lower(graph)
    assert from_text(to_text(program), program.constants) == program
    rng = np.random.default_rng(seed)
    inputs = {}
    for source in graph.inputs:
        shape = (samples, *source.shape)
        if source.dtype.is_float:
            # Multiples of 1/8 meet ties of the scales used here; the tails saturate.
            inputs[source.name] = (rng.integers(-400, 400, shape) / 8).astype(np.float32)
        else:
            inputs[source.name] = rng.integers(source.dtype.lo, source.dtype.hi + 1, shape).astype(
                source.dtype.container
            )
    results = run(program, inputs)
    for sample in range(samples):
        expected = evaluate(graph, {name: array[sample] for name, array in inputs.items()})
        for name, array in expected.items():
            found = results[name][sample]
            np.testing.assert_array_equal(found, array, err_msg=f"seed {seed}, output {name}, sample {sample}")
            if array.dtype == np.float32:
                assert found.dtype == np.float32
    return program


def keywords(program: Program) -> list[str]:
    return [operator.keyword for operator in program.operators]


def weights(g: GraphWriter, rng: Rng, shape: tuple[int, ...], *, zero_point: int = 0, axis: int = 0) -> str:
    scales = tuple(float(v) for v in rng.uniform(0.01, 0.5, shape[axis]))
    integers = g.constant(rng.integers(-128, 128, shape).astype(np.int8))
    return g.dequantize(integers, scales, zero_point, axis)


def image(g: GraphWriter, channels: int = 3, extent: int = 6, scale: float = 0.25, zero_point: int = 7) -> str:
    return g.fake_quantize(g.input((1, channels, extent)), scale, zero_point)


def convolution(g: GraphWriter, rng: Rng) -> str:
    bias = g.dequantize(
        g.constant(rng.integers(-900, 900, 4).astype(np.int32)), tuple(rng.uniform(0.001, 0.1, 4)), 0, 0
    )
    x = image(g)
    return g.quantize(g.conv(x, weights(g, rng, (4, 3, 3)), bias, stride=2, pads=(1, 2)), 1.5, -3)


def convolution_2d_grouped(g: GraphWriter, rng: Rng) -> str:
    x = g.fake_quantize(g.input((1, 4, 5, 6)), 0.3, 100, "u8")
    w = weights(g, rng, (6, 2, 2, 3), zero_point=-5)
    y = g.conv(x, w, g.constant(rng.normal(size=6).astype(np.float32)), groups=2, dilation=2, pads=(1, 0, 2, 3))
    return g.quantize(g.node("Relu", y), 2.7, 3, "u8")


def depthwise_per_channel_activation(g: GraphWriter, rng: Rng) -> str:
    scales = (0.25, 0.5, 0.3)
    q = g.quantize(g.input((1, 3, 6)), scales, 4)
    y = g.conv(g.dequantize(q, scales, 4), weights(g, rng, (6, 1, 3)), groups=3, pads=(1, 1))
    return g.quantize(y, 3.1)


def batch_norm(g: GraphWriter, rng: Rng) -> str:
    y = g.conv(image(g), weights(g, rng, (5, 3, 3)), g.constant(rng.normal(size=5).astype(np.float32)))
    columns = [rng.normal(size=5), rng.normal(size=5), rng.normal(size=5), rng.uniform(0.1, 9, 5)]
    names = [g.constant(column.astype(np.float32)) for column in columns]
    y = g.node("BatchNormalization", y, *names, epsilon=float(np.float32(1e-5)))
    return g.quantize(g.node("Relu", y), 0.9, -100)


def batch_norm_after_relu(g: GraphWriter, rng: Rng) -> str:
    y = g.node("Relu", g.conv(image(g), weights(g, rng, (3, 3, 3))))
    columns = [np.array([0.5, -0.25, 0.1]), rng.normal(size=3), rng.normal(size=3), np.array([4.0, 0.3, 1.7])]
    names = [g.constant(column.astype(np.float32)) for column in columns]
    return g.quantize(g.node("BatchNormalization", y, *names, epsilon=0.0), 0.75)


def matmul_with_bias(g: GraphWriter, rng: Rng) -> str:
    x = g.node("Reshape", image(g), shape=(1, 18))
    y = g.node("MatMul", x, weights(g, rng, (18, 4), axis=1))
    y = g.node("Add", y, g.constant(rng.normal(size=4).astype(np.float32)))
    return g.quantize(y, 4.4, 5)


def matmul_of_two(g: GraphWriter, rng: Rng) -> str:
    a = g.fake_quantize(g.input((1, 2, 3, 4)), 0.5, 3)
    b = g.fake_quantize(g.input((1, 2, 4, 2)), 0.3, 9, "u8")
    return g.quantize(g.node("MatMul", a, b), 11.0, -1, "i16")


def residual_sum(g: GraphWriter, rng: Rng) -> str:
    x = image(g)
    y = g.conv(x, weights(g, rng, (3, 3, 3)), pads=(1, 1))
    return g.quantize(g.node("Relu", g.node("Add", y, x)), 1.7, -128)


def difference_of_one(g: GraphWriter, rng: Rng) -> str:
    x = image(g)
    three = g.node("Add", g.node("Add", x, x), x)
    return g.quantize(g.node("Sub", three, g.node("Mul", x, g.constant(np.float32(0.5)))), 0.7)


def product(g: GraphWriter, rng: Rng) -> str:
    x, gate = image(g), g.fake_quantize(g.input((1, 3, 1)), 0.1, 20, "u8")
    return g.quantize(g.node("Mul", x, gate), 0.33, 12)


def average_pools(g: GraphWriter, rng: Rng) -> str:
    x = g.fake_quantize(g.input((1, 2, 7)), 0.5, 7)
    lists = {"kernel": (3,), "strides": (2,), "dilations": (1,), "pads": (1, 1)}
    excluded = g.node("AveragePool", x, counted_pads=(0, 0), **lists)
    included = g.node("AveragePool", x, counted_pads=(1, 1), **lists)
    return g.quantize(g.node("Add", excluded, included), 0.25, 3)


def average_of_accumulator(g: GraphWriter, rng: Rng) -> str:
    y = g.conv(image(g), weights(g, rng, (2, 3, 3)), g.constant(rng.normal(size=2).astype(np.float32)))
    y = g.node("AveragePool", y, kernel=(4,), strides=(1,), dilations=(1,), pads=(0, 0), counted_pads=(0, 0))
    return g.quantize(y, 2.2)


def concat_of_unequal_scales(g: GraphWriter, rng: Rng) -> str:
    a = g.fake_quantize(g.input((1, 2, 5)), 0.25, 7)
    b = g.node("Relu", g.conv(a, weights(g, rng, (3, 2, 1))))
    joined = g.node("Concat", a, b, axis=1)
    pooled = g.node("MaxPool", g.node("Relu", joined), kernel=(2,), strides=(1,), dilations=(1,), pads=(0, 1))
    return g.quantize(pooled, (0.5, 0.25, 0.3, 2.0, 0.7), 3)


def concat_on_one_grid(g: GraphWriter, rng: Rng) -> str:
    x = image(g)
    joined = g.node("Concat", x, g.node("Relu", x), axis=1)
    return g.quantize(g.conv(joined, weights(g, rng, (2, 6, 1))), 3.0)


def moved_accumulator(g: GraphWriter, rng: Rng) -> str:
    y = g.conv(image(g), weights(g, rng, (4, 3, 3)), pads=(1, 1))
    y = g.node("MaxPool", y, kernel=(2,), strides=(2,), dilations=(1,), pads=(0, 0))
    y = g.node("Transpose", g.node("LeakyRelu", y, alpha=0.125), permutation=(0, 2, 1))
    y = g.node("Slice", y, starts=(0, 2, 3), sizes=(1, 2, 2), steps=(1, -1, -2))
    return g.quantize(g.node("Reshape", y, shape=(1, 4)), 1.3, 2)


def per_channel_moved(g: GraphWriter, rng: Rng) -> str:
    q = g.quantize(g.input((1, 3, 4)), (0.25, 0.5, 0.3), 4)
    x = g.dequantize(q, (0.25, 0.5, 0.3), 4)
    x = g.node(
        "Slice", g.node("Transpose", x, permutation=(0, 2, 1)), starts=(0, 0, 2), sizes=(1, 4, 2), steps=(1, 1, -1)
    )
    return g.quantize(g.node("Reshape", x, shape=(1, 8)), 0.4, 1)


def padded_and_resized(g: GraphWriter, rng: Rng) -> str:
    x = g.node("Pad", image(g), pads=(0, 0, 1, 0, 0, 2), value=0.0, mode="constant")
    x = g.node("Resize", x, indices=(tuple(i // 2 for i in range(18)),))
    y = g.conv(x, weights(g, rng, (2, 3, 2)))
    return g.quantize(g.node("Pad", y, pads=(0, 0, 0, 0, 0, 1), value=1.7, mode="constant"), 2.9, 6)


def clip_off_the_grid(g: GraphWriter, rng: Rng) -> str:
    y = g.conv(image(g), weights(g, rng, (3, 3, 2)))
    return g.quantize(g.node("Clip", y, min=-1.3, max=float(np.float32(6.1))), 0.4, 3)


def clip_of_integers(g: GraphWriter, rng: Rng) -> str:
    q = g.node("Clip", g.quantize(g.input((1, 3, 6)), 0.5), min=-7, max=7)
    return g.quantize(g.conv(g.dequantize(q, 0.5), weights(g, rng, (2, 3, 2))), 5.0)


def qonnx_rounding(g: GraphWriter, rng: Rng) -> str:
    q = g.quantize(g.input((1, 3, 6)), 0.25, 3, "i6", -31, 31, Rounding.HALF_AWAY, True)
    y = g.conv(g.dequantize(q, 0.25, 3), weights(g, rng, (2, 3, 2)))
    return g.quantize(y, 0.5, -2, "i12", rounding=Rounding.HALF_AWAY, inside=True)


def bipolar(g: GraphWriter, rng: Rng) -> str:
    x = g.dequantize(g.node("Bipolar", image(g)), 0.5)
    y = g.conv(x, weights(g, rng, (2, 3, 2)), g.constant(rng.normal(size=2).astype(np.float32)))
    return g.node("Bipolar", y)


def integer_input(g: GraphWriter, rng: Rng) -> str:
    x = g.dequantize(g.input((1, 2, 6), "i16"), 0.001, -30)
    return g.quantize(g.conv(x, weights(g, rng, (3, 2, 3))), 0.05, 0, "i16")


def quantized_constant_operand(g: GraphWriter, rng: Rng) -> str:
    table = g.dequantize(g.constant(rng.integers(-8, 8, (1, 3, 6)).astype(np.int8), "i4"), 0.3)
    x = image(g)
    return g.quantize(g.node("Add", g.node("Mul", x, table), x), 0.9)


def elementwise_chain(g: GraphWriter, rng: Rng) -> str:
    x = image(g)
    column = g.constant(rng.normal(size=(3, 1)).astype(np.float32))
    x = g.node("Div", g.node("Sub", g.constant(np.float32(1.5)), x), g.constant(np.float32(0.7)))
    x = g.node("Mul", g.node("Add", x, column), column)
    return g.quantize(g.node("Neg", x), 0.31)


def prelu_of_accumulator(g: GraphWriter, rng: Rng) -> str:
    y = g.conv(image(g), weights(g, rng, (3, 3, 2)))
    return g.quantize(g.node("PRelu", y, slope=(0.25, 0.1, 0.0), axis=1), 1.1, 4, "u8")


def falling_function_of_accumulator(g: GraphWriter, rng: Rng) -> str:
    y = g.node("Sigmoid", g.node("Neg", g.conv(image(g), weights(g, rng, (3, 3, 2)))))
    return g.quantize(g.node("Add", y, g.constant(np.float32(0.25))), 1 / 64)


CASES: list[Callable[[GraphWriter, Rng], str]] = [
    convolution, convolution_2d_grouped, depthwise_per_channel_activation, batch_norm, batch_norm_after_relu,
    matmul_with_bias, matmul_of_two, residual_sum, difference_of_one, product, average_pools, average_of_accumulator,
    concat_of_unequal_scales, concat_on_one_grid, moved_accumulator, per_channel_moved, padded_and_resized,
    clip_off_the_grid, clip_of_integers, qonnx_rounding, bipolar, integer_input, quantized_constant_operand,
    elementwise_chain, prelu_of_accumulator, falling_function_of_accumulator,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
@pytest.mark.parametrize("seed", [1, 2])
def test_integer_output_equals_the_exact_graph(case: Callable[[GraphWriter, Rng], str], seed: int) -> None:
    writer = GraphWriter()
    output = case(writer, np.random.default_rng(seed))
    program = check(writer.graph(output), seed)
    assert [program.types[name].dtype.is_float for name in program.outputs] == [False]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_float_output_is_the_exact_value_rounded_once(case: Callable[[GraphWriter, Rng], str]) -> None:
    """The last quantizer's grid dequantized, beside the integers themselves."""
    writer = GraphWriter()
    output = case(writer, np.random.default_rng(3))
    program = check(writer.graph(writer.dequantize(output, 0.1, 3), output), 3)
    assert [program.types[name].dtype.is_float for name in program.outputs] == [True, False]


RAW = [convolution, convolution_2d_grouped, residual_sum, average_pools, clip_off_the_grid, elementwise_chain, product]


@pytest.mark.parametrize("case", RAW, ids=lambda case: case.__name__)
def test_output_without_quantizer_is_the_accumulator_rounded_to_float32(
    case: Callable[[GraphWriter, Rng], str],
) -> None:
    writer = GraphWriter()
    case(writer, np.random.default_rng(4))
    before = writer.nodes.pop().inputs[0]
    program = check(writer.graph(before), 4)
    assert keywords(program)[-1] == "dequantize"


def test_convolution_over_a_sum_of_two_batch_norms_on_one_integer_scale() -> None:
    """Back-to-back quantizers round twice, as the model says; a repeated grid rounds once."""
    g = GraphWriter()
    x = image(g)
    again = g.fake_quantize(x, 0.25, 7)
    program = check(g.graph(g.quantize(g.node("Relu", again), 0.25, 7)), 5)
    assert keywords(program) == ["quantize"]
    assert program.operators[0].grid.lo == 7  # type: ignore[attr-defined]

"""Reductions of real values: sums and means are exact accumulators, extremes and indices those of the integers."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from edgeconv.errors import QuantizationError, UnsupportedModelError
from edgeconv.integer import lower
from edgeconv.ir.operators import Requant
from tests.integer.graphs import GraphWriter
from tests.integer.test_lower_exact import check, image, keywords, weights

AXES = [(1,), (2,), (0, 2), (1, 2), (0, 1, 2)]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("op", ["ReduceSum", "ReduceMean"])
def test_sums_and_means_round_once(op: str, axes: tuple[int, ...]) -> None:
    g = GraphWriter()
    x = image(g)
    quantized = g.quantize(g.node(op, x, axes=axes), 0.375, -3)
    assert keywords(check(g.graph(quantized), 1)) == ["quantize", "reduce_sum", "requant"]


def test_a_mean_of_an_accumulator_keeps_its_real_offset() -> None:
    g, rng = GraphWriter(), np.random.default_rng(2)
    bias = g.constant((rng.integers(-12, 13, 5) / 4).astype(np.float32))
    acc = g.conv(image(g), weights(g, rng, (5, 3, 2)), bias)
    quantized = g.quantize(g.node("ReduceMean", acc, axes=(2,)), 0.5, 3)
    assert keywords(check(g.graph(quantized), 2)) == ["quantize", "conv", "reduce_sum", "requant"]


@pytest.mark.parametrize(("op", "summed", "scale"), [("ReduceSum", 5, 32), ("ReduceMean", 1, 8)])
def test_a_reduction_of_batch_normalized_sums_keeps_root_and_shift(op: str, summed: int, scale: int) -> None:
    g, rng = GraphWriter(), np.random.default_rng(3)
    gamma, beta, mean = ((rng.integers(-12, 13, 5) / 4).astype(np.float32) for _ in range(3))
    variance = rng.uniform(0.3, 2, 5).astype(np.float32)
    acc = g.conv(image(g), weights(g, rng, (5, 3, 2)))
    normal = g.node("BatchNormalization", acc, *map(g.constant, (gamma, beta, mean, variance)), epsilon=0.0)
    program = check(g.graph(g.quantize(g.node(op, normal, axes=(0, 2)), float(scale), 3)), 3, samples=20)
    assert keywords(program) == ["quantize", "conv", "reduce_sum", "requant"]
    requant = program.operators[-1]
    assert isinstance(requant, Requant)
    # gamma·(Σ acc - n·mean) / √variance + n·beta, over the scale: exact, with the root as a root.
    assert requant.linear.radicand == tuple(Fraction(float(v)) for v in variance)
    assert requant.linear.shift == tuple(summed * Fraction(float(b)) / scale for b in beta)
    assert requant.linear.offset == tuple(
        -summed * Fraction(float(m)) * Fraction(float(c)) / scale for m, c in zip(mean, gamma, strict=True)
    )


@pytest.mark.parametrize(("op", "keyword"), [("ReduceMax", "reduce_max"), ("ReduceMin", "reduce_min")])
def test_extremes_wait_for_the_rounding_of_an_accumulator(op: str, keyword: str) -> None:
    g, rng = GraphWriter(), np.random.default_rng(4)
    acc = g.conv(image(g), weights(g, rng, (5, 3, 2)))
    found = check(g.graph(g.quantize(g.node(op, acc, axes=(1, 2)), 0.5, 3)), 4)
    assert keywords(found) == ["quantize", "conv", "requant", keyword]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("largest", [False, True])
def test_the_index_of_an_extreme_follows_the_sign_of_the_scale(largest: bool, last: bool) -> None:
    g = GraphWriter()
    x = g.node("Neg", image(g, extent=9, scale=8.0))
    index = g.node("ArgMax", x, axis=2, largest=largest, last=last)
    assert keywords(check(g.graph(index), 5)) == ["quantize", "argmax"]


def test_the_index_of_the_largest_sum_needs_no_quantizer() -> None:
    g, rng = GraphWriter(), np.random.default_rng(6)
    w = g.dequantize(g.constant(rng.integers(-128, 128, (5, 3, 2)).astype(np.int8)), 0.03125)
    index = g.node("ArgMax", g.conv(image(g), w), axis=1, largest=True, last=False)
    assert keywords(check(g.graph(index), 6)) == ["quantize", "conv", "argmax"]


def test_an_index_over_unequal_scales_is_refused() -> None:
    g, rng = GraphWriter(), np.random.default_rng(7)
    acc = g.conv(image(g), weights(g, rng, (5, 3, 2)))
    with pytest.raises(UnsupportedModelError, match="compares along an axis of unequal scales"):
        lower(g.graph(g.node("ArgMax", acc, axis=1, largest=True, last=False)))


def test_a_mean_of_a_sum_of_tensors_is_refused() -> None:
    g = GraphWriter()
    both = g.node("Add", image(g), image(g, scale=0.1))
    with pytest.raises(QuantizationError, match="averages a sum of several tensors"):
        lower(g.graph(g.quantize(g.node("ReduceMean", both, axes=(1,)), 0.5)))

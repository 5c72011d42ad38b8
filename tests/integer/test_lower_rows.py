"""Softmax and normalizations stay within the bound of docs/arithmetic.md of the exact real value."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeconv.errors import EdgeconvError, QuantizationError, UnsupportedModelError
from edgeconv.importer.graph import Node, QuantizedGraph
from edgeconv.integer import lower, prove
from edgeconv.integer.policy import POLICIES
from edgeconv.integer.rows import MOST_ERROR
from edgeconv.ir import Program, dtype, from_text, to_text
from edgeconv.reference import run
from tests.integer.graphs import GraphWriter

Array = NDArray[np.generic]
DIGITS = 60


@dataclass(frozen=True)
class Row:
    """One row function on integers of a type: its node, scales and zero points."""

    op: str
    attributes: dict[str, object]
    type_: str = "i8"
    scale: float = 0.05
    zero_point: int = 0
    out_scale: float = 1 / 256
    out_type: str = "u8"


def graph_of(row: Row, shape: tuple[int, ...]) -> QuantizedGraph:
    g = GraphWriter()
    x = g.dequantize(g.input(shape, row.type_), row.scale, row.zero_point)
    return g.graph(g.quantize(g.node(row.op, x, **row.attributes), row.out_scale, 3, row.out_type))


def exact_rows(row: Row, x: Array) -> Array:
    """The real values, to many digits: object array of mpf."""
    real = np.vectorize(lambda v: mpmath.mpf(int(v) - row.zero_point) * float(np.float32(row.scale)), otypes="O")(x)
    if row.op == "Softmax":
        exp = np.vectorize(mpmath.exp, otypes="O")(real)
        return np.asarray(exp / exp.sum(row.attributes["axis"], keepdims=True))
    axes, groups = row.attributes["axes"], row.attributes["groups"]
    assert isinstance(axes, tuple)
    assert isinstance(groups, int)
    split = real.reshape(*x.shape[: axes[0]], groups, x.shape[axes[0]] // groups, *x.shape[axes[0] + 1 :])
    inside = tuple(axis + 1 for axis in axes)
    n = int(np.prod([split.shape[axis] for axis in inside]))
    if row.attributes["centered"]:
        split = split - split.sum(inside, keepdims=True) / n
    root = np.vectorize(mpmath.sqrt, otypes="O")(
        (split * split).sum(inside, keepdims=True) / n + row.attributes["epsilon"]
    )
    # Without epsilon a row of equal elements counts as zero.
    return (split / np.where(root == 0, mpmath.mpf(1), root)).reshape(x.shape)


def inputs_of(row: Row, shape: tuple[int, ...], seed: int) -> Array:
    """Random rows, equal rows, rows of two extreme values, rows that differ in one element, rows of one value."""
    rng, type_ = np.random.default_rng(seed), dtype(row.type_)
    full = (8, *shape)
    x = rng.integers(type_.lo, type_.hi + 1, full)
    x[1] = rng.integers(type_.lo, type_.hi + 1)
    x[2] = np.where(rng.random(shape) < 0.5, type_.lo, type_.hi)
    x[3] = np.clip(row.zero_point, type_.lo, type_.hi)
    x[4] = x[3]
    x[4].flat[int(rng.integers(0, x[4].size))] += 1
    x[5] = type_.hi
    x[6] = np.clip(x[6] // 16, type_.lo, type_.hi)
    x[7] = type_.lo
    x[7].flat[0] = type_.hi
    return x.astype(type_.container)


def check_bound(row: Row, shape: tuple[int, ...], seed: int = 1) -> Program:
    """Every output lies within 1/2 + MOST_ERROR of the exact value, and nearly always is its rounding."""
    program = lower(graph_of(row, shape))
    assert from_text(to_text(program), program.constants) == program
    x = inputs_of(row, shape, seed)
    found = run(program, {"x0": x})["y0"].astype(np.int64)
    grid = dtype(row.out_type)
    other = 0
    with mpmath.workdps(DIGITS):
        for sample in range(len(x)):
            exact = exact_rows(row, x[sample]) / float(np.float32(row.out_scale)) + 3
            for value, integer in zip(exact.ravel(), found[sample].ravel(), strict=True):
                wanted = min(max(value, grid.lo), grid.hi)
                assert abs(int(integer) - wanted) <= 0.5 + float(MOST_ERROR), (seed, sample, value, integer)
                other += int(integer) != min(max(int(mpmath.nint(value)), grid.lo), grid.hi)
    assert other <= found.size // 50
    return program


SOFTMAX = [
    (Row("Softmax", {"axis": 2}), (1, 3, 17)),
    (Row("Softmax", {"axis": 1}, "u8", 0.11, 128), (1, 9, 4)),
    (Row("Softmax", {"axis": 0}, "i4", 0.7), (5, 3)),
    (Row("Softmax", {"axis": 1}, scale=1.0, out_scale=1 / 255), (1, 2, 5)),
    (Row("Softmax", {"axis": 1}, "i16", 2.0**-10, -5, 2.0**-16, "u16"), (1, 33)),
    (Row("Softmax", {"axis": 1}, "u12", 0.003, 99, 2.0**-15, "i16"), (1, 6, 2)),
    (Row("Softmax", {"axis": 1}, scale=30.0), (1, 4, 3)),
    (Row("Softmax", {"axis": 1}), (1, 1, 6)),
    (Row("Softmax", {"axis": 2}, scale=1e-4), (1, 2, 600)),
]


@pytest.mark.parametrize(("row", "shape"), SOFTMAX)
def test_softmax_stays_within_its_bound(row: Row, shape: tuple[int, ...]) -> None:
    assert [operator.keyword for operator in check_bound(row, shape).operators] == ["softmax"]


def norm(axes: tuple[int, ...], *, groups: int = 1, centered: bool = True, epsilon: float = 1e-5) -> dict[str, object]:
    return {"axes": axes, "groups": groups, "centered": centered, "epsilon": epsilon}


NORMALIZE = [
    (Row("Normalization", norm((2,)), out_scale=1 / 32, out_type="i8"), (1, 3, 16)),
    (Row("Normalization", norm((1,)), "u8", 0.2, 131, 1 / 20, "u8"), (1, 7, 3)),
    (Row("Normalization", norm((1, 2)), "i4", 0.3, 2, 1 / 25, "i8"), (1, 3, 5)),
    (Row("Normalization", norm((1, 2), groups=2), out_scale=1 / 30, out_type="i8"), (1, 6, 4)),
    (Row("Normalization", norm((2, 3)), out_scale=1 / 30, out_type="i8"), (1, 2, 3, 5)),
    (Row("Normalization", norm((2,), centered=False), "u8", 0.02, 120, 1 / 32, "i8"), (1, 3, 16)),
    (Row("Normalization", norm((1,), centered=False, epsilon=0.0), out_scale=1 / 9, out_type="i8"), (1, 1, 5)),
    (Row("Normalization", norm((1,), epsilon=0.0), out_scale=1 / 9, out_type="i8"), (1, 2, 5)),
    (Row("Normalization", norm((1,)), "i16", 2.0**-12, 7, 2.0**-12, "i16"), (1, 40)),
    (Row("Normalization", norm((1,), centered=False), "u16", 2.0**-9, 30000, 2.0**-12, "i16"), (1, 24)),
    (Row("Normalization", norm((2,), epsilon=1.0), scale=1e-3, out_scale=1e-3, out_type="i8"), (1, 2, 12)),
    (Row("Normalization", norm((2,), epsilon=1e-12), scale=3e-5, out_scale=1 / 16, out_type="i8"), (1, 1, 300)),
]


@pytest.mark.parametrize(("row", "shape"), NORMALIZE)
def test_normalizations_stay_within_their_bound(row: Row, shape: tuple[int, ...]) -> None:
    assert [operator.keyword for operator in check_bound(row, shape).operators] == ["normalize"]


def test_scale_bias_and_relu_belong_to_the_one_rounding() -> None:
    g, rng = GraphWriter(), np.random.default_rng(4)
    x = g.dequantize(g.input((1, 3, 8), "i8"), 0.1)
    gamma, beta = rng.uniform(0.3, 2, 8).astype(np.float32), rng.uniform(-1, 1, 8).astype(np.float32)
    scaled = g.node("Mul", g.node("Normalization", x, **norm((2,))), g.constant(gamma))
    y = g.quantize(g.node("Relu", g.node("Add", scaled, g.constant(beta))), 1 / 40, -100)
    program = lower(g.graph(y))
    assert [operator.keyword for operator in program.operators] == ["normalize"]
    values = inputs_of(Row("Normalization", norm((2,)), scale=0.1), (1, 3, 8), 5)
    found = run(program, {"x0": values})["y0"].astype(np.int64)
    with mpmath.workdps(DIGITS):
        for sample in range(len(values)):
            exact = exact_rows(Row("Normalization", norm((2,)), scale=0.1), values[sample])
            real = np.maximum(exact * gamma.astype(float) + beta.astype(float), 0) / float(np.float32(1 / 40)) - 100
            wanted = np.minimum(real, 127)
            assert (np.abs(found[sample] - wanted) <= 0.75).all()


def test_what_moves_a_row_function_follows_its_rounding() -> None:
    g = GraphWriter()
    x = g.dequantize(g.input((1, 2, 3, 4), "i8"), 0.1)
    turned = g.node("Transpose", g.node("Softmax", x, axis=3), permutation=(0, 2, 1, 3))
    flat = g.node("Reshape", turned, shape=(1, 3, 8))
    program = lower(g.graph(g.quantize(flat, 1 / 256, 0, "u8")))
    assert [operator.keyword for operator in program.operators] == ["softmax", "transpose", "reshape"]


def test_a_group_normalization_written_with_reshapes_is_one_operator() -> None:
    g, rng = GraphWriter(), np.random.default_rng(2)
    gamma, beta = rng.uniform(0.5, 2, (6, 1)).astype(np.float32), rng.uniform(-1, 1, (6, 1)).astype(np.float32)
    x = g.dequantize(g.input((1, 6, 4), "i8"), 0.1)
    rows = g.node("Normalization", g.node("Reshape", x, shape=(1, 2, 12)), **norm((2,)))
    ones = g.node("Mul", rows, g.constant(np.ones((2, 1), np.float32)))
    back = g.node("Reshape", ones, shape=(1, 6, 4))
    y = g.node("Add", g.node("Mul", back, g.constant(gamma)), g.constant(beta))
    program = lower(g.graph(g.quantize(y, 1 / 30)))
    assert [operator.keyword for operator in program.operators] == ["normalize"]
    row = Row("Normalization", norm((1, 2), groups=2), scale=0.1)
    values = inputs_of(row, (1, 6, 4), 5)
    found = run(program, {"x0": values})["y0"].astype(np.int64)
    with mpmath.workdps(DIGITS):
        for sample in range(len(values)):
            real = exact_rows(row, values[sample]) * gamma.astype(float) + beta.astype(float)
            wanted = np.clip(real / float(np.float32(1 / 30)), -128, 127)
            assert (np.abs(found[sample] - wanted) <= 0.75).all()


def test_a_softmax_that_leaves_as_float_is_right_to_sixteen_bits() -> None:
    g = GraphWriter()
    row = Row("Softmax", {"axis": 1}, scale=0.1)
    program = lower(g.graph(g.node("Softmax", g.dequantize(g.input((1, 10), "i8"), 0.1), axis=1)))
    assert [operator.keyword for operator in program.operators] == ["softmax", "dequantize"]
    x = inputs_of(row, (1, 10), 6)
    found = run(program, {"x0": x})["y0"]
    with mpmath.workdps(DIGITS):
        worst = max(float(np.abs(exact_rows(row, x[i]) - found[i].astype(float)).max()) for i in range(len(x)))
    assert worst <= 0.75 * 2.0**-16


def test_row_functions_are_defined_in_the_certificate() -> None:
    program = check_bound(*SOFTMAX[0])
    certificate = prove(program, next(iter(POLICIES.values())))
    assert certificate.defined == (("softmax", program.operators[0].output),)
    assert certificate.operators == ()


def _two(build: str) -> QuantizedGraph:
    g = GraphWriter()
    x = g.dequantize(g.input((1, 4, 8), "i8"), 0.1)
    rows = g.node("Softmax", x, axis=2)
    value = {
        "function": lambda: g.node("Sigmoid", rows),
        "sum": lambda: g.node("Add", rows, x),
        "product": lambda: g.node("Mul", rows, x),
        "mean": lambda: g.node("ReduceMean", rows, axes=(2,)),
        "again": lambda: g.node("Softmax", rows, axis=2),
        "index": lambda: rows,
    }[build]()
    if build == "index":
        return g.graph(g.node("ArgMax", rows, axis=2, largest=True, last=False))
    return g.graph(g.quantize(value, 0.1))


@pytest.mark.parametrize("build", ["function", "sum", "product", "mean", "again", "index"])
def test_what_reads_an_unquantized_row_function_is_refused(build: str) -> None:
    with pytest.raises(EdgeconvError, match="quantizer"):
        lower(_two(build))


def test_a_grid_too_fine_for_the_integer_form_is_refused_with_its_error() -> None:
    row = Row("Softmax", {"axis": 1}, "i16", 2.0**-10, out_scale=2.0**-24, out_type="i16")
    with pytest.raises(UnsupportedModelError, match=r"would be off by up to .* units of its quantizer"):
        lower(graph_of(row, (1, 64)))


def test_an_accumulator_needs_a_quantizer_before_a_softmax() -> None:
    g, rng = GraphWriter(), np.random.default_rng(1)
    w = g.dequantize(g.constant(rng.integers(-128, 128, (8, 8)).astype(np.int8)), 0.1)
    acc = g.node("MatMul", g.dequantize(g.input((1, 4, 8), "i8"), 0.1), w)
    with pytest.raises(QuantizationError, match="more than 16 bits"):
        lower(g.graph(g.quantize(g.node("Softmax", acc, axis=2), 1 / 256)))


def test_exponentials_are_the_nearest_integers() -> None:
    from edgeconv.integer.rows import exponentials

    scale = Fraction(float(np.float32(0.037)))
    found = exponentials(scale, 256)
    with mpmath.workdps(80):
        step = mpmath.mpf(scale.numerator) / scale.denominator
        errors = [abs(int(found[d]) - mpmath.ldexp(mpmath.exp(-step * d), 30)) for d in range(256)]
    assert found[0] == 1 << 30
    assert max(errors) <= 0.5


def test_node_attributes_name_the_row_in_refusals() -> None:
    node = Node("Softmax", "/attention/softmax", ("x",), "y", {"axis": 1})
    g = GraphWriter()
    x = g.dequantize(g.input((1, 4), "i8"), -0.5)
    g.nodes.append(Node(node.op, node.name, (x,), "y", node.attributes))
    g.shapes["y"] = (1, 4)
    with pytest.raises(UnsupportedModelError, match="/attention/softmax' reads a value of a negative scale"):
        lower(g.graph(g.quantize("y", 1 / 256)))

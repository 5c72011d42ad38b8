"""Functions of one value: tables and thresholds hold the exact value, rounded once."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from edgeconv.errors import UnsupportedModelError
from edgeconv.integer import lower
from edgeconv.ir import Grid, Rounding, dtype
from edgeconv.ir.exact import fraction_to_float32, round_fraction
from edgeconv.reference import run
from tests.integer.graphs import GraphWriter
from tests.integer.oracle import evaluate

SELU = {"alpha": float(np.float32(1.67326319217681884765625)), "gamma": float(np.float32(1.05070102214813232421875))}
FUNCTIONS: list[tuple[str, dict[str, object]]] = [
    ("Sigmoid", {}), ("Tanh", {}), ("Exp", {}), ("Erf", {}), ("Sin", {}), ("Cos", {}), ("Tan", {}), ("Atan", {}),
    ("Sinh", {}), ("Cosh", {}), ("Asinh", {}), ("Floor", {}), ("Ceil", {}), ("Round", {}), ("Sign", {}), ("Abs", {}),
    ("Neg", {}), ("Softplus", {}), ("Softsign", {}), ("HardSwish", {}), ("Mish", {}), ("Relu", {}),
    ("LeakyRelu", {"alpha": float(np.float32(0.01))}),
    ("Elu", {"alpha": 0.75}), ("Celu", {"alpha": 1.5}),
    ("Selu", SELU),
    ("HardSigmoid", {"alpha": float(np.float32(0.2)), "beta": 0.5}), ("ThresholdedRelu", {"alpha": 0.75}),
    ("Swish", {"alpha": 1.0}), ("Swish", {"alpha": -0.5}), ("Gelu", {"approximate": "none"}),
    ("Gelu", {"approximate": "tanh"}), ("Clip", {"min": -1.1, "max": 2.3}),
]  # fmt: skip


def every_level(op: str, attributes: dict[str, object], scale: float, zero_point: int) -> GraphWriter:
    """The function of every 8-bit integer, quantized and as a float output."""
    g = GraphWriter()
    value = g.node(op, g.dequantize(g.input((1, 256), "i8"), scale, zero_point), **attributes)
    g.quantize(value, 1 / 32, -3)
    return g


@pytest.mark.parametrize(("op", "attributes"), FUNCTIONS)
@pytest.mark.parametrize(("scale", "zero_point"), [(1 / 16, 5), (0.037, -128)])
def test_every_entry_of_a_table_is_correctly_rounded(
    op: str, attributes: dict[str, object], scale: float, zero_point: int
) -> None:
    g = every_level(op, attributes, scale, zero_point)
    graph = g.graph(g.nodes[-1].output, g.nodes[-1].inputs[0])
    inputs = {"x0": np.arange(-128, 128, dtype=np.int8).reshape(1, 256)}
    found = run(lower(graph), {"x0": inputs["x0"][None]})
    expected = evaluate(graph, inputs)
    np.testing.assert_array_equal(found["y0"][0], expected["y0"])
    np.testing.assert_array_equal(found["y1"][0], expected["y1"])


def test_a_product_of_functions_of_one_value_is_one_table() -> None:
    """x·sigmoid(x) written out, GELU in its Erf form, x·tanh(softplus(x)): no rounding inside."""
    g = GraphWriter()
    x = g.dequantize(g.input((1, 256), "u8"), 0.05, 100)
    half, one, root = (g.constant(np.float32(v)) for v in (0.5, 1.0, np.sqrt(2)))
    swish = g.node("Mul", x, g.node("Sigmoid", x))
    erf = g.node("Add", g.node("Erf", g.node("Div", x, root)), one)
    gelu = g.node("Mul", g.node("Mul", x, erf), half)
    mish = g.node("Mul", x, g.node("Tanh", g.node("Softplus", x)))
    graph = g.graph(*(g.quantize(value, 0.03) for value in (swish, gelu, mish)))
    program = lower(graph)
    assert [operator.keyword for operator in program.operators] == ["table"] * 3
    inputs = np.arange(256, dtype=np.uint8).reshape(1, 256)
    found, expected = run(program, {"x0": inputs[None]}), evaluate(graph, {"x0": inputs})
    for name in ("y0", "y1", "y2"):
        np.testing.assert_array_equal(found[name][0], expected[name])


def test_sixteen_bit_tables_are_correctly_rounded() -> None:
    """All 65,536 entries, against 60 digits."""
    g = GraphWriter()
    x = g.dequantize(g.input((1, 65536), "i16"), 2.0**-12, 0)
    graph = g.graph(
        g.quantize(g.node("Tanh", x), 2.0**-15, 0, "i16"), g.quantize(g.node("HardSwish", x), 2.0**-11, 0, "i16")
    )
    q = np.arange(-(2**15), 2**15)
    found = run(lower(graph), {"x0": q.astype(np.int16).reshape(1, 1, -1)})
    with mpmath.workdps(60):
        sample = q[::37]
        tanh = [min(int(mpmath.nint(mpmath.tanh(mpmath.mpf(int(v)) / 4096) * 32768)), 32767) for v in sample]
    np.testing.assert_array_equal(found["y0"].ravel()[::37], tanh)
    numerator = q * np.clip(q + 3 * 4096, 0, 6 * 4096)  # x·clip(x/6 + 1/2) = q·clip(q + 3·2¹², …) / (6·2²⁴)
    exact = [round(Fraction(int(v), 6 * 2**13)) for v in numerator]
    np.testing.assert_array_equal(found["y1"].ravel(), np.clip(exact, -32768, 32767))


def test_infinities_saturate_and_nan_gives_the_zero_point() -> None:
    g = GraphWriter()
    x = g.dequantize(g.input((1, 256), "i8"), 1.0, 0)
    graph = g.graph(g.quantize(g.node("Log", x), 0.05, 9), g.quantize(g.node("Reciprocal", x), 0.01, 9))
    found = run(lower(graph), {"x0": np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256)})
    log, inverse = found["y0"].ravel(), found["y1"].ravel()
    assert set(log[:128]) == {9}
    assert log[128] == -128
    assert log[129] == 9
    assert inverse[128] == 127
    assert inverse[129] == 109


def test_table_per_channel() -> None:
    g = GraphWriter()
    x = g.dequantize(g.input((1, 3, 256), "i8"), (0.1, 0.02, 0.3), 4)
    graph = g.graph(g.quantize(g.node("PRelu", g.node("Tanh", x), slope=(0.5, 0.25, -1.0), axis=1), 0.01))
    program = lower(graph)
    assert program.types[program.operators[0].values].shape == (3, 256)  # type: ignore[attr-defined]
    inputs = np.tile(np.arange(-128, 128, dtype=np.int8), (1, 3, 1))
    np.testing.assert_array_equal(run(program, {"x0": inputs[None]})["y0"][0], evaluate(graph, {"x0": inputs})["y0"])


@pytest.mark.parametrize("op", ["Sigmoid", "Tanh", "Exp", "Softplus", "Atan", "Elu"])
def test_thresholds_of_an_accumulator_sit_exactly_where_the_function_steps(op: str) -> None:
    """One-tap convolutions with rising, falling and zero weights, every 8-bit input."""
    g = GraphWriter()
    x = g.dequantize(g.input((1, 1, 256), "i8"), 0.02, 3)
    w = g.dequantize(g.constant(np.array([100, -77, 0, 1], np.int8).reshape(4, 1, 1)), (0.03, 0.02, 0.01, 1.5), 0, 0)
    y = g.conv(x, w, g.constant(np.array([0.3, -0.2, 0.7, 0.0], np.float32)))
    value = g.node(op, y, **({"alpha": 1.0} if op == "Elu" else {}))
    graph = g.graph(g.quantize(value, 1 / 64, -20))
    program = lower(graph)
    assert [operator.keyword for operator in program.operators] == ["conv", "threshold"]
    inputs = np.arange(-128, 128, dtype=np.int8).reshape(1, 1, 256)
    np.testing.assert_array_equal(run(program, {"x0": inputs[None]})["y0"][0], evaluate(graph, {"x0": inputs})["y0"])


def test_ties_of_a_table_follow_the_rounding_mode() -> None:
    """LeakyRelu with slope 1/2 on a unit grid is a tie at every odd negative integer."""
    for rounding, expected in ((Rounding.HALF_EVEN, [-2, -2, -2, 0]), (Rounding.HALF_AWAY, [-3, -2, -2, -1])):
        g = GraphWriter()
        x = g.dequantize(g.input((1, 4), "i8"), 1.0)
        graph = g.graph(g.quantize(g.node("LeakyRelu", x, alpha=0.5), 1.0, rounding=rounding))
        inputs = np.array([[[-5, -4, -3, -1]]], np.int8)
        assert run(lower(graph), {"x0": inputs})["y0"].ravel().tolist() == expected


def test_function_of_an_accumulator_that_is_not_monotone_is_refused() -> None:
    g = GraphWriter()
    x = g.fake_quantize(g.input((1, 2, 4)), 0.1)
    w = g.dequantize(g.constant(np.ones((2, 2, 1), np.int8)), 0.1)
    graph = g.graph(g.quantize(g.node("Gelu", g.conv(x, w), approximate="none"), 0.1))
    with pytest.raises(UnsupportedModelError, match="not monotone") as caught:
        lower(graph)
    assert "quantizer before that function" in str(caught.value)


def test_function_undefined_at_some_accumulators_is_no_monotone_function() -> None:
    """Log gives the zero point below zero and rises above it: thresholds could not say that."""
    g = GraphWriter()
    x = g.fake_quantize(g.input((1, 2, 4)), 0.1)
    w = g.dequantize(g.constant(np.ones((2, 2, 1), np.int8)), 0.1)
    with pytest.raises(UnsupportedModelError, match="not monotone"):
        lower(g.graph(g.quantize(g.node("Log", g.conv(x, w)), 0.1)))


@pytest.mark.parametrize(
    ("op", "attributes"), [("Gelu", {"approximate": "none"}), ("Swish", {"alpha": 1.0}), ("Mish", {})]
)
def test_saturated_functions_stay_below_their_limit_at_ties(op: str, attributes: dict[str, object]) -> None:
    """x·f(x) with f(x) = 1 - 10⁻²⁰⁰ and less lies just below the tie x; no fixed precision would show it."""
    g = GraphWriter()
    x = g.dequantize(g.input((1, 3), "i10"), 1.0)
    graph = g.graph(g.quantize(g.node(op, x, **attributes), 2.0, 0, "i16"))
    found = run(lower(graph), {"x0": np.array([[[501, 503, 502]]], np.int16)})["y0"]
    assert found.ravel().tolist() == [250, 251, 251]


def test_rounding_helpers_agree_on_the_grid() -> None:
    """The float64 shortcut rounds like the exact definition, ties and ends included."""
    from edgeconv.integer.intervals import Float32Rounder, GridRounder

    values = np.arange(-40, 41) / 4
    for rounding in Rounding:
        grid = Grid(dtype("i4"), -7, 6, 2, rounding)
        exact = [grid.clip(round_fraction(Fraction(value), rounding)) for value in values]
        assert GridRounder(grid).array(values).tolist() == exact
    floats = values / 3
    exact32 = np.array([fraction_to_float32(Fraction(value)) for value in floats], np.float32)
    np.testing.assert_array_equal(Float32Rounder().array(floats), exact32)

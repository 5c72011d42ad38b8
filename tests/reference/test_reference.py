"""The interpreter against direct evaluation of the definitions, element by element."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from edgeconv import reference
from edgeconv.errors import InputError
from edgeconv.ir import Constant, Grid, Linear, Program, Rounding, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import nearest_float32, quantize_exact


def run_one(
    operator: ops.Operator, inputs: dict[str, tuple[str, np.ndarray]], constants: dict[str, Constant] | None = None
) -> np.ndarray:
    """Run a program of one operator on n samples."""
    types = {name: TensorType(array.shape[1:], dtype(type_)) for name, (type_, array) in inputs.items()}
    program = Program(types, (operator.output,), (operator,), constants or {})
    arrays = {name: array.astype(dtype(type_).container) for name, (type_, array) in inputs.items()}
    return reference.run(program, arrays)[operator.output]


def test_convolution_follows_its_definition() -> None:
    rng = np.random.default_rng(1)
    x, w, bias = (
        rng.integers(0, 256, (2, 1, 4, 9, 8)),
        rng.integers(-128, 128, (6, 2, 3, 2)),
        rng.integers(-999, 999, 6),
    )
    op = ops.Conv("y", "x", "w", "b", dtype("i32"), (2, 1), (1, 3), (1, 2, 0, 1), 2, 7)
    constants = {"w": Constant(dtype("i8"), w), "b": Constant(dtype("i32"), bias)}
    got = run_one(op, {"x": ("u8", x)}, constants)
    expected = np.zeros_like(got)
    for n, o, i, j in np.ndindex(2, 6, *got.shape[3:]):
        total = bias[o]
        for c, ky, kx in np.ndindex(2, 3, 2):
            y_at, x_at = 2 * i + ky - 1, j + 3 * kx - 2
            if 0 <= y_at < 9 and 0 <= x_at < 8:
                total += w[o, c, ky, kx] * (x[n, 0, o // 3 * 2 + c, y_at, x_at] - 7)
        expected[n, 0, o, i, j] = total
    assert np.array_equal(got, expected)


def test_transposed_convolution_follows_its_definition() -> None:
    rng = np.random.default_rng(2)
    x, w, bias = rng.integers(0, 256, (2, 1, 4, 3, 5)), rng.integers(-128, 128, (6, 2, 3, 2)), rng.integers(-9, 9, 6)
    op = ops.ConvTranspose("y", "x", "w", "b", dtype("i32"), (2, 3), (1, 2), (1, 0, 0, 2), (1, 0), 2, 7)
    got = run_one(op, {"x": ("u8", x)}, {"w": Constant(dtype("i8"), w), "b": Constant(dtype("i32"), bias)})
    assert got.shape == (2, 1, 6, 2 * 2 + 3 + 1 - 1, 4 * 3 + 3 - 2)
    expected = np.zeros_like(got) + bias[:, None, None]
    for n, o, c, i, j, ky, kx in np.ndindex(2, 6, 2, 3, 5, 3, 2):
        y_at, x_at = 2 * i + ky - 1, 3 * j + 2 * kx
        if 0 <= y_at < got.shape[3] and 0 <= x_at < got.shape[4]:
            expected[n, 0, o, y_at, x_at] += w[o, c, ky, kx] * (x[n, 0, o // 3 * 2 + c, i, j] - 7)
    assert np.array_equal(got, expected)


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("radicand", [Fraction(1), Fraction(2), Fraction(9, 4)])
@pytest.mark.parametrize("factor", [Fraction(3, 128), Fraction(-3, 10), Fraction(float(np.float32(0.0173))) / 3])
def test_requant_is_the_exact_definition(factor: Fraction, radicand: Fraction, rounding: Rounding) -> None:
    linear = Linear(((factor, factor / 2),), (Fraction(1, 2), Fraction(0)), (radicand,), (Fraction(1, 3), Fraction(0)))
    grid = Grid(dtype("i8"), -100, 120, 5, rounding)
    x = np.arange(-1500, 1500).reshape(1, 1, 2, 1500)
    got = run_one(ops.Requant("y", "x", linear, grid), {"x": ("i32", x)})
    for channel in range(2):
        exact = [quantize_exact(linear.channel(channel), grid, (int(v),)) for v in x[0, 0, channel]]
        assert got[0, 0, channel].tolist() == exact


def test_requant_of_huge_factors_is_exact_next_to_ties() -> None:
    scale = (
        Fraction(float(np.float32(0.0123))) * Fraction(float(np.float32(0.00371))) / Fraction(float(np.float32(0.019)))
    )
    linear = Linear(((scale,),))
    thresholds = [linear.channel(0).first_reaching(q, Rounding.HALF_EVEN) for q in range(-128, 128)]
    x = np.array([t + d for t in thresholds for d in (-1, 0, 1)])[None, None]
    got = run_one(ops.Requant("y", "x", linear, Grid.full(dtype("i8"))), {"x": ("i32", x)})
    assert got.ravel().tolist() == [
        quantize_exact(linear.channel(0), Grid.full(dtype("i8")), (int(v),)) for v in x.ravel()
    ]


def test_add_rounds_the_exact_sum_once_and_broadcasts() -> None:
    a, b = np.arange(-128, 128).reshape(1, 1, 256, 1), np.arange(256).reshape(1, 1, 1, 256)
    linear = Linear(((Fraction(1, 4),), (Fraction(3, 8),)), (Fraction(-5, 8),))
    grid = Grid.full(dtype("u8"), 2)
    got = run_one(ops.Add("y", ("a", "b"), linear, grid), {"a": ("i8", a), "b": ("u8", b)})
    for i, j in np.ndindex(256, 256):
        assert got[0, 0, i, j] == quantize_exact(linear.channel(0), grid, (i - 128, j))


@pytest.mark.parametrize("x", [-5, -1, 0, 1, 3, 2**20 + 1, -(2**31)])
def test_dequantize_rounds_once(x: int) -> None:
    linear = Linear(((Fraction(1, 3),),), (Fraction(1, 7),))
    got = run_one(ops.Dequantize("y", ("x",), linear, lo=Fraction(-1)), {"x": ("i32", np.array([[[x]]]))})
    assert got.ravel()[0] == nearest_float32(linear.channel(0), (x,), Fraction(-1), None)


def test_quantize_divides_in_float32_and_tames_special_values() -> None:
    scale = float(np.float32(0.1))
    values = np.array([np.nan, np.inf, -np.inf, 0.25, 0.35, -0.05, 3e38, 1.0], np.float32).reshape(1, 1, 8)
    got = run_one(ops.Quantize("q", "x", (scale,), Grid.full(dtype("i8"), 3)), {"x": ("f32", values)})
    with np.errstate(over="ignore"):
        expected = np.rint(values / np.float32(scale)).astype(np.float64)
    assert got.ravel()[:3].tolist() == [3, 127, -128]
    assert got.ravel()[3:].tolist() == np.clip(expected.ravel()[3:] + 3, -128, 127).tolist()


def test_quantize_rounds_half_away_where_asked() -> None:
    values = np.array([0.5, 1.5, -0.5, -2.5, 0.49999997], np.float32).reshape(1, 1, 5)
    grid = Grid.full(dtype("i8"), rounding=Rounding.HALF_AWAY)
    assert run_one(ops.Quantize("q", "x", (1.0,), grid), {"x": ("f32", values)}).ravel().tolist() == [1, 2, -1, -3, 0]


def test_average_pool_keeps_a_common_denominator() -> None:
    x = np.arange(1, 6).reshape(1, 1, 1, 5)
    excluded = ops.AvgPool("y", "x", dtype("i32"), (3,), (1,), (1,), (1, 1), (0, 0), 1)
    assert run_one(excluded, {"x": ("u8", x)}).ravel().tolist() == [3 * 1, 2 * 3, 2 * 6, 2 * 9, 3 * 7]
    included = ops.AvgPool("y", "x", dtype("i32"), (3,), (1,), (1,), (1, 1), (1, 1), 1)
    assert run_one(included, {"x": ("u8", x)}).ravel().tolist() == [1, 3, 6, 9, 7]


def test_max_pool_padding_never_wins() -> None:
    x = np.array([[[[-3, -7, -100, -128]]]]).reshape(1, 1, 1, 4)
    op = ops.MaxPool("y", "x", (2,), (2,), (1,), (1, 1))
    assert run_one(op, {"x": ("i8", x)}).ravel().tolist() == [-3, -7, -128]


def test_thresholds_count_in_both_directions() -> None:
    x = np.arange(-3, 4).reshape(1, 1, 7)
    thresholds = Constant(dtype("i64"), np.array([[-1, 2]]))
    up = ops.Threshold("y", "x", "t", dtype("i8"), (10,))
    assert run_one(up, {"x": ("i32", x)}, {"t": thresholds}).ravel().tolist() == [10, 10, 11, 11, 11, 12, 12]
    down = ops.Threshold("y", "x", "t", dtype("i8"), (10,), (False,))
    assert run_one(down, {"x": ("i32", x)}, {"t": thresholds}).ravel().tolist() == [10, 10, 10, 9, 9, 9, 8]


def test_tables_per_channel() -> None:
    values = Constant(dtype("i8"), np.stack([np.arange(16) - 8, 7 - np.arange(16)]))
    x = np.stack([np.arange(-8, 8), np.arange(-8, 8)])[None, None]
    got = run_one(ops.Table("y", "x", "t"), {"x": ("i4", x)}, {"t": values})
    assert got[0, 0].tolist() == [list(range(-8, 8)), list(range(7, -9, -1))]


def test_movement_matches_numpy() -> None:
    x = np.arange(24).reshape(2, 1, 3, 4)
    assert np.array_equal(run_one(ops.Transpose("y", "x", (0, 2, 1)), {"x": ("i8", x)}), x.transpose(0, 1, 3, 2))
    assert np.array_equal(
        run_one(ops.Slice("y", "x", (0, 2, 0), (1, 2, 2), (1, -1, 3)), {"x": ("i8", x)}), x[:, :, 2:0:-1, ::3]
    )
    padded = np.pad(x, [(0, 0), (0, 0), (1, 0), (0, 2)], constant_values=9)
    assert np.array_equal(run_one(ops.Pad("y", "x", (0, 1, 0, 0, 0, 2), 9), {"x": ("i8", x)}), padded)
    assert np.array_equal(run_one(ops.Resize("y", "x", ((0, 1, 3, 3),)), {"x": ("i8", x)}), x[..., [0, 1, 3, 3]])
    joined = run_one(ops.Concat("y", ("x", "x"), 1), {"x": ("i8", x)})
    assert np.array_equal(joined, np.concatenate([x, x], 2))


def test_batched_matmul_with_both_zero_points() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.integers(0, 256, (2, 3, 4, 5)), rng.integers(-128, 128, (2, 5, 6))
    got = run_one(ops.MatMul("y", "a", "b", None, dtype("i32"), 9, -4), {"a": ("u8", a), "b": ("i8", b)})
    assert np.array_equal(got, (a - 9) @ (b[:, None] + 4))


def test_wrong_inputs_are_named() -> None:
    op = ops.Reshape("y", "x", (4,))
    with pytest.raises(InputError, match=r"has shape \(1, 3\)"):
        program = Program({"x": TensorType((2, 2), dtype("i8"))}, ("y",), (op,))
        reference.run(program, {"x": np.zeros((1, 3), np.int8)})

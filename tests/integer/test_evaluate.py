"""The numpy models of the float forms against the fused multiply-add of this machine."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeconv.integer.evaluate import evaluate, fma_f32, fma_f64
from edgeconv.ir import Grid, Rounding, dtype
from edgeconv.ir.exact import round_fraction
from edgeconv.ir.forms import (
    WINDOW,
    WINDOW_BITS,
    AddFmaF32,
    AddFmaF64,
    AddMulShift,
    FmaBitsF32,
    FmaF32,
    FmaF64,
    FmaOffsetF32,
    MulShift,
    Ratio,
    WideMulShift,
)

SOURCE = r"""
#include <math.h>
#include <stdint.h>
#include <string.h>
static int32_t bits(float x) { int32_t n; memcpy(&n, &x, 4); return n; }
void fma32(long n, const float *a, const float *b, const float *c, float *out)
{ for (long i = 0; i < n; i++) out[i] = fmaf(a[i], b[i], c[i]); }
void fma64(long n, const double *a, const double *b, const double *c, double *out)
{ for (long i = 0; i < n; i++) out[i] = fma(a[i], b[i], c[i]); }
void form32(long n, const int32_t *acc, float factor, int32_t *out)
{ for (long i = 0; i < n; i++) out[i] = bits(fmaf((float)acc[i], factor, 12582912.0f)) - 0x4B400000; }
void bits32(long n, const int32_t *acc, float factor, float addend, int32_t start, int32_t *out)
{ for (long i = 0; i < n; i++) {
    int32_t word = acc[i] + start; float x; memcpy(&x, &word, 4);
    out[i] = bits(fmaf(x, factor, addend)) - 0x4B400000; } }
void offset32(long n, const int32_t *acc, float factor, float offset, int32_t *out)
{ for (long i = 0; i < n; i++) {
    volatile float inner = fmaf((float)acc[i], factor, offset);
    out[i] = bits(inner + 12582912.0f) - 0x4B400000; } }
void add32(long n, const int32_t *x, const int32_t *y, float a, float b, float offset, int32_t *out)
{ for (long i = 0; i < n; i++) {
    volatile float inner = fmaf((float)x[i], a, fmaf((float)y[i], b, offset));
    out[i] = bits(inner + 12582912.0f) - 0x4B400000; } }
void add64(long n, const int32_t *x, const int32_t *y, double a, double b, double offset, int32_t *out)
{ for (long i = 0; i < n; i++) {
    volatile double sum = fma((double)x[i], a, fma((double)y[i], b, offset));
    double shifted = sum + 6755399441055744.0;
    int64_t word; memcpy(&word, &shifted, 8); out[i] = (int32_t)word; } }
void form64(long n, const int32_t *acc, double factor, double offset, int32_t *out)
{ for (long i = 0; i < n; i++) {
    volatile double sum = offset == 0 ? fma((double)acc[i], factor, 6755399441055744.0)
                                      : fma((double)acc[i], factor, offset);
    if (offset != 0) sum = sum + 6755399441055744.0;
    double copy = sum; int64_t word; memcpy(&word, &copy, 8); out[i] = (int32_t)word; } }
"""
WIDE_GRID = Grid.full(dtype("i32"))


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder: Path = tmp_path_factory.mktemp("fma")
    (folder / "fma.c").write_text(SOURCE)
    command = ["gcc", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-o", "fma.so", "fma.c", "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "fma.so"))


def call(function: Callable[..., None], out: NDArray[np.generic], *arguments: object) -> NDArray[np.generic]:
    """Call a C function (n, arguments…, out); arrays go by pointer, floats as the C type that they have."""
    passed = [a.ctypes.data_as(ctypes.c_void_p) if isinstance(a, np.ndarray) else a for a in arguments]
    function(ctypes.c_long(len(out)), *passed, out.ctypes.data_as(ctypes.c_void_p))
    return out


def near_ties(rng: np.random.Generator, a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """Addends that cancel most of a·b, or leave the sum next to the middle between two floats."""
    product = a.astype(np.float64) * b.astype(np.float64)
    scale = np.exp2(rng.integers(-30, 30, len(a)).astype(np.float64))
    return np.where(rng.random(len(a)) < 0.5, -product, product * scale).astype(a.dtype)


@pytest.mark.needs_gcc
@pytest.mark.parametrize(("kind", "span"), [("float32", 30), ("float64", 200)])
def test_fma_models_equal_the_machine(machine: ctypes.CDLL, kind: str, span: int) -> None:
    rng = np.random.default_rng(11)
    a, b = ((rng.standard_normal(200_000) * np.exp2(rng.integers(-span, span, 200_000))).astype(kind) for _ in "ab")
    a[::3] = np.rint(a[::3] / np.abs(a[::3]).max() * 2**20)  # short significands make exact ties likely
    b[::3] = np.exp2(rng.integers(-20, 20, len(b[::3]))) * 3
    c = near_ties(rng, a, b)
    function, model = (machine.fma32, fma_f32) if kind == "float32" else (machine.fma64, fma_f64)
    expected = call(function, np.empty_like(a), a, b, c)
    got = model(a.astype(np.float64), b.astype(np.float64), c.astype(np.float64))
    assert np.array_equal(got.astype(kind), expected)


def accumulators(rng: np.random.Generator, bits: int) -> NDArray[np.int32]:
    return rng.integers(-(1 << bits), 1 << bits, 100_000).astype(np.int32)


@pytest.mark.needs_gcc
@pytest.mark.parametrize("bits", [8, 16, 23, 30])
def test_float_forms_equal_the_machine(machine: ctypes.CDLL, bits: int) -> None:
    rng = np.random.default_rng(bits)
    acc = accumulators(rng, bits)
    index, wide = np.zeros(len(acc), np.intp), acc.astype(np.int64)
    for _ in range(8):
        factor = float(np.float32(rng.uniform(-1, 1) * 2.0 ** (20 - bits)))
        offset = float(np.float32(rng.uniform(-300, 300)))
        out = np.empty(len(acc), np.int32)
        call(machine.form32, out, acc, ctypes.c_float(factor))
        assert np.array_equal(evaluate([FmaF32(factor)], index, [wide], WIDE_GRID), out)
        _assert_bits_form(machine, rng, acc)
        call(machine.offset32, out, acc, ctypes.c_float(factor), ctypes.c_float(offset))
        assert np.array_equal(evaluate([FmaOffsetF32(factor, offset)], index, [wide], WIDE_GRID), out)
        for real in (0.0, rng.uniform(-300, 300)):
            double = rng.uniform(-1, 1) * 2.0 ** (20 - bits)
            call(machine.form64, out, acc, ctypes.c_double(double), ctypes.c_double(real))
            assert np.array_equal(evaluate([FmaF64(double, real)], index, [wide], WIDE_GRID), out)


def _assert_bits_form(machine: ctypes.CDLL, rng: np.random.Generator, acc: NDArray[np.int32]) -> None:
    """The form that reads accumulators as bits, where these are floats in [2²³, 2²⁴) and its sums too."""
    inside = acc[np.abs(acc.astype(np.int64)) < 1 << 22]
    factor, addend = (float(np.float32(value)) for value in (rng.uniform(-1, 1) / 8, rng.integers(11 << 20, 13 << 20)))
    out = np.empty(len(inside), np.int32)
    start = WINDOW_BITS + WINDOW // 2
    call(machine.bits32, out, inside, ctypes.c_float(factor), ctypes.c_float(addend), ctypes.c_int32(start))
    index, wide = np.zeros(len(inside), np.intp), inside.astype(np.int64)
    assert np.array_equal(evaluate([FmaBitsF32(factor, addend, start)], index, [wide], WIDE_GRID), out)


@pytest.mark.needs_gcc
def test_nested_sums_equal_the_machine(machine: ctypes.CDLL) -> None:
    rng = np.random.default_rng(5)
    x, y = (rng.integers(-(1 << 15), 1 << 16, 100_000).astype(np.int32) for _ in "xy")
    operands = [x.astype(np.int64), y.astype(np.int64)]
    for _ in range(8):
        a, b, offset = (float(np.float32(rng.uniform(-1, 1))) for _ in range(3))
        out = np.empty(len(x), np.int32)
        call(machine.add32, out, x, y, *map(ctypes.c_float, (a, b, offset)))
        form = AddFmaF32((a, b), offset)
        assert np.array_equal(evaluate([form], np.zeros(len(x), np.intp), operands, WIDE_GRID), out)


@pytest.mark.needs_gcc
@pytest.mark.parametrize("bits", [8, 20, 30])
def test_nested_sums_in_float64_equal_the_machine(machine: ctypes.CDLL, bits: int) -> None:
    rng = np.random.default_rng(bits)
    x, y = accumulators(rng, bits), accumulators(rng, 8)
    operands = [x.astype(np.int64), y.astype(np.int64)]
    for number in range(8):
        a, b, offset = rng.uniform(-1, 1, 3) * (2.0 ** (20 - bits), 2.0**10, 300.0)
        if number % 2:  # few bits: sums that are ties
            a, b, offset = 2.0 ** (8 - bits), -0.75, 2.5
        out = np.empty(len(x), np.int32)
        call(machine.add64, out, x, y, *map(ctypes.c_double, (a, b, offset)))
        form = AddFmaF64((float(a), float(b)), float(offset))
        assert np.array_equal(evaluate([form], np.zeros(len(x), np.intp), operands, WIDE_GRID), out)


@pytest.mark.parametrize("half_even", [True, False])
def test_shifts_equal_python_integers(half_even: bool) -> None:
    rng = np.random.default_rng(3)
    acc = rng.integers(-(1 << 20), 1 << 20, 500)
    zeros = np.zeros(len(acc), np.intp)
    for shift in (1, 2, 20, 40):
        form = MulShift(int(rng.integers(1, 1 << 20)) | 1 << 10, int(rng.integers(-999, 999)), shift, half_even)
        got = evaluate([form], zeros, [acc], Grid.full(dtype("i64")))
        pair = evaluate(
            [AddMulShift((form.multiplier, 0), form.addend, shift, half_even)],
            zeros,
            [acc, acc],
            Grid.full(dtype("i64")),
        )
        half = 1 << (shift - 1)
        for a, value in zip(acc.tolist(), got.tolist(), strict=True):
            product = a * form.multiplier + form.addend
            floor, rest = divmod(product, 1 << shift)
            tie = floor & 1 if half_even else 1
            assert value == floor + (rest > half or (rest == half and tie))
        assert pair.tolist() == got.tolist()


def test_two_limbs_equal_one_long_product() -> None:
    rng = np.random.default_rng(4)
    acc = rng.integers(-(1 << 30), 1 << 30, 500)
    for high, low, addend, shift in ((1 << 29, 12345, -(1 << 40), 20), (-77, (1 << 26) - 1, 1 << 50, 7)):
        got = evaluate([WideMulShift(high, low, addend, shift)], np.zeros(500, np.intp), [acc], Grid.full(dtype("i64")))
        exact = [(a * ((high << 26) + low) + (addend << 26)) >> (26 + shift) for a in acc.tolist()]
        assert got.tolist() == exact


@pytest.mark.parametrize("rounding", list(Rounding))
def test_ratio_rounds_as_the_definition(rounding: Rounding) -> None:
    grid = Grid.full(dtype("i32"), 0, rounding)
    x = np.arange(-300, 301)
    got = evaluate([Ratio((3, -1), 5, 10)], np.zeros(len(x), np.intp), [x, x[::-1].copy()], grid)
    expected = [round_fraction(Fraction(3 * a - b + 5, 10), rounding) for a, b in zip(x, x[::-1], strict=True)]
    assert got.tolist() == expected


def test_kinds_can_be_mixed() -> None:
    acc = np.arange(-64, 64)
    channel = np.arange(128) % 2
    got = evaluate([FmaF32(0.5), MulShift(1, 0, 1)], channel, [acc], WIDE_GRID)
    assert got.tolist() == [round(a / 2) for a in acc.tolist()]

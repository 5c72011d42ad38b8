"""The two ends on integers alone: quantize by integer division of significands, dequantize in fixed-point limbs.

`fixed_point` and `float_bits` say why the results are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgeconv.codegen.builder import Builder, View, bind, const, reinterpret
from edgeconv.codegen.kernels.fixed_point import fixed_point, order_key
from edgeconv.codegen.kernels.float_bits import (
    clip_float32_bits,
    float32_of_limbs,
    held,
    order_key_of_bits,
    rounded_quotient,
)
from edgeconv.codegen.kernels.loops import broadcast_indices, each_element
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.errors import UnsupportedModelError
from edgeconv.ir import Grid, Rounding, describe
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import fraction_to_float32

_MOST_THRESHOLDS = 1 << 16
_MOST_THRESHOLDS_FOR_SPEED = 1 << 10  # 4 KiB of constants
_NEVER = np.iinfo(np.int32).max


@kernel(ops.Quantize, "quantize.integers", parallel=True)
def _quantize(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Quantize)
    x, y = build.view(operator.x), build.view(step.output)
    function, detail = (
        (_by_thresholds(build, step, operator), "binary search in thresholds")
        if operator.offset or _prefers_thresholds(build, operator)
        else (_by_division(build, step, operator), "division of significands")
    )
    with each_element(build, y.layout) as indices:
        bits = held(reinterpret("int32", x.load(indices, "float32")), "int32")
        channel = indices[operator.axis] if len(operator.scale) > 1 else 0
        y.store(indices, function(bits, channel))
    return detail


def _prefers_thresholds(build: Builder, operator: ops.Quantize) -> bool:
    """Small processors divide 64-bit numbers in software, in more time than a few comparisons take."""
    levels = len(operator.scale) * (operator.grid.hi - operator.grid.lo)
    return build.isa.plain and levels <= _MOST_THRESHOLDS_FOR_SPEED


def _by_division(build: Builder, step: Step, operator: ops.Quantize) -> Callable[[Expr, Expr], Expr]:
    grid = operator.grid
    fractions, exponents = np.frexp(np.array(operator.scale, np.float64))
    significands = build.constant(f"{step.output}/scale", (fractions * (1 << 24)).astype(np.int64))
    weights = build.constant(f"{step.output}/scale_exponent", exponents.astype(np.int64) - 24)
    lo, hi = (const(bound - grid.zero_point, "int64") for bound in (grid.lo, grid.hi))

    def quantized(bits: Expr, channel: Expr) -> Expr:
        scale = held(significands.load([channel], "int64")), held(weights.load([channel], "int64"))
        rounded = rounded_quotient(bits, *scale, half_even=grid.rounding is Rounding.HALF_EVEN)
        return tirx.max(tirx.min(rounded, hi), lo) + const(grid.zero_point, "int64")

    return quantized


def _by_thresholds(build: Builder, step: Step, operator: ops.Quantize) -> Callable[[Expr, Expr], Expr]:
    grid, offset = operator.grid, np.float32(operator.offset)
    if grid.hi - grid.lo > _MOST_THRESHOLDS:
        raise UnsupportedModelError(
            f"{describe(operator)}: an offset inside the rounding, with {grid.hi - grid.lo + 1} levels",
            expected=f"at most {_MOST_THRESHOLDS} levels on an instruction set without floating point",
            advice="leave that instruction set out",
        )
    rows = [quantize_thresholds(np.float32(scale), offset, grid) for scale in operator.scale]
    bits_of_count = len(rows[0]).bit_length()
    padded = [[*row, *[_NEVER] * ((1 << bits_of_count) - 1 - len(row))] for row in rows]
    table = build.constant(f"{step.output}/thresholds", np.array(padded, np.int32))
    for_nan = build.constant(f"{step.output}/nan", np.array([_level_of_zero(row) for row in rows], np.int32))

    def quantized(bits: Expr, channel: Expr) -> Expr:
        key = held(order_key_of_bits(bits), "int32")
        count: Expr = const(0)
        for bit in reversed(range(bits_of_count)):
            reached = table.load([channel, count + ((1 << bit) - 1)]) <= key
            count = held(count + tirx.Select(reached, const(1 << bit), const(0)), "int32")
        is_nan = tirx.bitwise_and(bits, const(0x7FFFFFFF)) > const(0x7F800000)
        return tirx.Select(is_nan, for_nan.load([channel]), count) + const(grid.lo)

    return quantized


def _level_of_zero(thresholds: Sequence[int]) -> int:
    return int(np.searchsorted(np.array(thresholds), 0, side="right"))


def quantize_thresholds(scale: np.float32, offset: np.float32, grid: Grid) -> list[int]:
    """Order keys: level lo + j + 1 is reached from the float32 with key thresholds[j] on.

    Quantization is monotone, so a bisection over the keys of all float32 numbers finds each one by the definition.
    """
    targets = np.arange(grid.lo + 1, grid.hi + 1)
    # -∞ saturates at lo, below every target, and +∞ at hi, which reaches all.
    low = np.full(targets.shape, order_key(np.float32(-np.inf)), np.int64)
    high = np.full(targets.shape, order_key(np.float32(np.inf)), np.int64)
    while (high - low > 1).any():
        middle = (low + high) // 2
        reached = _quantized_keys(middle, scale, offset, grid) >= targets
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return [int(key) for key in high]


def _quantized_keys(keys: np.ndarray, scale: np.float32, offset: np.float32, grid: Grid) -> np.ndarray:
    inside = keys.astype(np.int32)
    x = (inside ^ ((inside >> 31) & 0x7FFFFFFF)).view(np.float32)
    with np.errstate(over="ignore"):
        value = (x / scale + offset).astype(np.float64)
    clipped = np.clip(value, grid.lo - grid.zero_point - 1.0, grid.hi - grid.zero_point + 1.0)
    if grid.rounding is Rounding.HALF_EVEN:
        rounded = np.rint(clipped)
    else:
        floor = np.floor(np.abs(clipped))
        rounded = np.copysign(floor + (np.abs(clipped) - floor >= 0.5), clipped)
    return np.clip(rounded.astype(np.int64) + grid.zero_point, grid.lo, grid.hi)


@kernel(ops.Dequantize, "dequantize.integers", parallel=True)
def _dequantize(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Dequantize)
    dtypes = [step.type(name).dtype for name in operator.inputs]
    constants = fixed_point(operator.linear, dtypes)
    factors = build.constant(f"{step.output}/factors", constants.factors)
    offset = build.constant(f"{step.output}/offset", constants.offset)
    views, y = [build.view(name) for name in operator.inputs], build.view(step.output)
    lo_key, hi_key = (
        None if bound is None else order_key(np.float32(fraction_to_float32(bound)))
        for bound in (operator.lo, operator.hi)
    )
    with each_element(build, y.layout) as indices:
        channel = indices[operator.linear.axis] if constants.channels > 1 else 0
        parts: list[Expr] = []
        for name, view, wide in zip(operator.inputs, views, constants.wide, strict=True):
            parts += _parts(view, broadcast_indices(indices, step.type(name).shape), wide)
        sums = []
        for limb in range(constants.limbs):
            total = offset.load([limb, channel], "int64")
            for part, value in enumerate(parts):
                total = total + factors.load([part, limb, channel], "int64") * value
            sums.append(total)
        bits = float32_of_limbs(sums, constants.dropped, constants.fraction_bits)
        y.store(indices, reinterpret("float32", clip_float32_bits(bits, lo_key, hi_key)))
    return f"{constants.limbs} limbs of 26 bits, {constants.fraction_bits} fractional bits"


def _parts(view: View, indices: Sequence[Expr], wide: bool) -> list[Expr]:
    value = bind(view.load(indices, "int64"))
    if not wide:
        return [value]
    low = bind(tirx.bitwise_and(value, const(0xFFFFFFFF, "int64")))
    return [low, bind(tirx.shift_right(value, const(32, "int64")))]

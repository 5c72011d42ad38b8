"""How a target may compute a requantization: the forms, as data.

`Linear` and `Grid` say what a requantization *is*; a form says how it is *computed*, with its constants. Every form in
use is proved equal to the definition for each accumulator that can occur (edgeconv.integer), and docs/arithmetic.md,
"Forms", defines each one bit by bit. One form object serves one channel. All channels of a panel (a run of `PANEL`
channels, the widest vector of any instruction set) carry the same kind, so that one vector instruction serves them.

In all forms acc is the accumulator; the result is clipped to [grid.lo, grid.hi] after grid.zero_point was added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

PANEL = 16
"""Channels that share one kind of form."""

MAGIC_F32, MAGIC_F32_BITS = 12582912.0, 0x4B400000  # 1.5·2²³: adding it leaves the rounded integer in the low bits
WINDOW_BITS, WINDOW = 0x4B000000, 1 << 23
"""Bits WINDOW_BITS + i are the float32 WINDOW + i for every i in [0, WINDOW): integers that need no conversion."""
MAGIC_F64 = 6755399441055744.0  # 1.5·2⁵²
LIMB = 26  # bits of the low limb of a WideMulShift


@dataclass(frozen=True)
class FmaF32:
    """int32_bits(fma(float32(acc + fix), factor, MAGIC_F32)) - MAGIC_F32_BITS: one rounding, half-even.

    fix is delta where acc equals one of `fixes`, else 0. float32(…) rounds half-even. Wrapping cannot occur:
    acc·factor > -1.5·2²³ over the whole range.
    """

    kind: ClassVar[str] = "fma_f32"
    factor: float
    fixes: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class FmaBitsF32:
    """int32_bits(fma(float32_of_bits(acc + fix + start), factor, addend)) - MAGIC_F32_BITS: one rounding, half-even.

    The accumulator is no integer to be converted but the bits of one: over the whole range acc + fix + start lies in
    [WINDOW_BITS, WINDOW_BITS + WINDOW), so that the operand is the float32 acc + fix + base.
    addend is an integer, and the exact sum lies in [2²³, 2²⁴ - 1/2): its last bit counts ones, and the result is
    acc·factor + d rounded half-even, with d = base·factor + addend - MAGIC_F32 exactly. fix is as in `FmaF32`.
    """

    kind: ClassVar[str] = "fma_bits_f32"
    factor: float
    addend: float
    start: int
    fixes: tuple[tuple[int, int], ...] = ()

    @property
    def base(self) -> int:
        """The integer that the float32 of an accumulator is more than the accumulator."""
        return self.start - WINDOW_BITS + WINDOW


@dataclass(frozen=True)
class FmaOffsetF32:
    """int32_bits(fma(float32(acc), factor, offset) + MAGIC_F32) - MAGIC_F32_BITS: two float32 roundings, proved."""

    kind: ClassVar[str] = "fma_offset_f32"
    factor: float
    offset: float


@dataclass(frozen=True)
class FmaF64:
    """low_int32_bits(fma(float64(acc), factor, offset) + MAGIC_F64).

    With offset 0 it is one rounding: fma(float64(acc), factor, MAGIC_F64).

    |acc·factor + offset| < 2³¹ over the whole range.
    """

    kind: ClassVar[str] = "fma_f64"
    factor: float
    offset: float = 0.0


@dataclass(frozen=True)
class MulShift:
    """(acc·multiplier + addend) >> shift in int64, rounded half-even, or half-up where half_even is False.

    half-even: p = acc·multiplier + addend; f = p >> shift; rem = p - (f << shift); half = 1 << (shift - 1);
    f + (rem > half or (rem == half and f odd)).  half-up: (p + half) >> shift.  1 <= shift <= 62 and
    |p| + half < 2⁶³ over the whole range.
    """

    kind: ClassVar[str] = "mul_shift"
    multiplier: int
    addend: int
    shift: int
    half_even: bool = True


@dataclass(frozen=True)
class WideMulShift:
    """(acc·high + ((acc·low) >> 26) + addend) >> shift in int64, both shifts rounding down: a multiplier of two limbs.

    That is (acc·(high·2²⁶ + low) + addend·2²⁶) / 2^(26 + shift) rounded down; addend holds the rounding half.
    0 <= low < 2²⁶, 1 <= shift <= 62, and |acc|·low and |acc|·(|high| + 1) + |addend| are below 2⁶³ on the whole range.
    """

    kind: ClassVar[str] = "wide_mul_shift"
    high: int
    low: int
    addend: int
    shift: int


@dataclass(frozen=True)
class Steps:
    """A threshold table: base + #{j: acc >= thresholds[j]}, or base - #{j: acc > thresholds[j]} where decreasing.

    The result is the final integer (zero point and clip included). Thresholds are in non-decreasing order.
    """

    kind: ClassVar[str] = "steps"
    base: int
    thresholds: tuple[int, ...]
    increasing: bool = True


@dataclass(frozen=True)
class AddFmaF32:
    """int32_bits(fma(float32(x₀), factors[0], … fma(float32(xₖ), factors[k], offset)) + MAGIC_F32) - MAGIC_F32_BITS.

    The innermost fma takes the last operand. Every operand has at most 16 bits, so float32(xᵢ) is exact.
    """

    kind: ClassVar[str] = "add_fma_f32"
    factors: tuple[float, ...]
    offset: float


@dataclass(frozen=True)
class AddFmaF64:
    """low_int32_bits(fma(float64(x₀), factors[0], … fma(float64(xₖ), factors[k], offset)) + MAGIC_F64).

    The innermost fma takes the last operand. Every operand is an int32, so float64(xᵢ) is exact; the value stays inside
    ±2³¹ over the whole range, and Σ|xᵢ·factors[i]| + |offset| below 2⁵⁰.
    """

    kind: ClassVar[str] = "add_fma_f64"
    factors: tuple[float, ...]
    offset: float


@dataclass(frozen=True)
class AddMulShift:
    """(Σ xᵢ·multipliers[i] + addend) >> shift in int64, rounded as in `MulShift`."""

    kind: ClassVar[str] = "add_mul_shift"
    multipliers: tuple[int, ...]
    addend: int
    shift: int
    half_even: bool = True


@dataclass(frozen=True)
class Ratio:
    """round((Σ xᵢ·numerators[i] + addend) / denominator) by int64 division, ties by the grid's rounding.

    Exact by construction where |Σ| + denominator < 2⁶²: floor division, then the remainder decides.
    """

    kind: ClassVar[str] = "ratio"
    numerators: tuple[int, ...]
    addend: int
    denominator: int


RequantForm = FmaF32 | FmaBitsF32 | FmaOffsetF32 | FmaF64 | MulShift | WideMulShift | Steps
SumForm = AddFmaF32 | AddFmaF64 | AddMulShift
Form = RequantForm | SumForm | Ratio
FORMS: dict[str, type[Form]] = {
    cls.kind: cls
    for cls in (
        *(FmaF32, FmaBitsF32, FmaOffsetF32, FmaF64, MulShift, WideMulShift, Steps),
        *(AddFmaF32, AddFmaF64, AddMulShift, Ratio),
    )
}


@dataclass(frozen=True)
class ProvedForms:
    """The forms of one requant or add, one per channel of its `Linear` (length 1 or channels).

    Attributes:
        output: the tensor the operator writes.
        ranges: reachable [lo, hi] of each operand: ranges[operand][channel or 0].
    """

    output: str
    forms: tuple[Form, ...]
    ranges: tuple[tuple[tuple[int, int], ...], ...]

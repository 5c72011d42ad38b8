"""Requantization of one accumulator at a time: every form, on every instruction set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from edgeconv.codegen.blob import narrowed
from edgeconv.codegen.builder import Builder, Memory, View, bind, const
from edgeconv.codegen.integer_forms import SoftFma, integer_form
from edgeconv.codegen.kernels.float_bits import held
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, T, tirx
from edgeconv.errors import ProgramError
from edgeconv.ir import Grid, Rounding
from edgeconv.ir.forms import (
    MAGIC_F32,
    MAGIC_F32_BITS,
    MAGIC_F64,
    FmaBitsF32,
    FmaF32,
    FmaF64,
    FmaOffsetF32,
    Form,
    MulShift,
    ProvedForms,
    Ratio,
    Steps,
    WideMulShift,
)

__all__ = ["Requantizer", "Uniform", "proved_forms", "reach_of"]

_LIMB = 26


def proved_forms(step: Step) -> ProvedForms:
    """The forms of the step's requant.

    Raises:
        ProgramError: it was never proved.
    """
    if step.forms is None:
        raise ProgramError(f"requantization to %{step.output} has no proved form", advice="prove the program first")
    return step.forms


def reach_of(forms: ProvedForms, channel: int) -> tuple[int, int]:
    """Reachable range of the accumulator of one channel."""
    ranges = forms.ranges[0]
    return ranges[channel if len(ranges) > 1 else 0]


@dataclass(frozen=True)
class Uniform:
    """One constant for all channels, read as a `View` is."""

    value: int

    def load(self, indices: Sequence[Expr], dtype: str = "int32") -> Expr:
        """The constant."""
        return const(self.value, dtype)


class Requantizer:
    """Computes clip(round(linear(acc)) + zero point) for one accumulator of a given channel.

    Args:
        grid: where the result lies.
    """

    def __init__(self, build: Builder, step: Step, grid: Grid) -> None:
        self._build, self._name, self._grid = build, step.output, grid
        proved = proved_forms(step)
        self._fixes = self._fix_columns(proved.forms)
        forms: list[Form | SoftFma] = list(proved.forms)
        if not build.isa.has_fma:
            forms = [integer_form(form, reach_of(proved, k), grid) for k, form in enumerate(proved.forms)]
        self._forms = forms
        self._per_channel = len(forms) > 1
        self._kinds = list(dict.fromkeys(type(form) for form in forms))
        self._emitters: dict[type, Callable[[Expr, Expr], Expr]] = {
            kind: _EMITTERS[kind](self, [form if isinstance(form, kind) else None for form in forms])
            for kind in self._kinds
        }
        if len(self._kinds) > 1:
            numbers = np.array([self._kinds.index(type(form)) for form in forms], np.int32)
            self._kind_numbers = build.constant(f"{self._name}/kinds", numbers)

    def column(self, label: str, values: Sequence[object], dtype: str) -> View | Uniform:
        """A constant per channel in the blob; in C source as narrow as it can be, and none where all are equal."""
        array = np.array(values, dtype)
        if self._build.isa.plain and array.dtype.kind == "i":
            if array.ndim == 1 and (array == array[0]).all():
                return Uniform(int(array[0]))
            array = narrowed(array)
        return self._build.constant(f"{self._name}/{label}", array)

    def scalar(self, acc: Expr, channel: Expr) -> Expr:
        """The value, an int32 scalar, for an int32 or int64 accumulator of `channel` (its index along the axis)."""
        channel = channel if self._per_channel else 0
        element = self._accumulator_element(acc)
        wide = bind(acc.astype(element))
        for at, delta in self._fixes:
            matches = tirx.EQ(wide, at.load([channel], element))
            wide = bind(wide + tirx.Select(matches, delta.load([channel], element), const(0, element)))
        if len(self._kinds) == 1:
            return bind(self._emitters[self._kinds[0]](wide, channel))
        result = self._build.local("int32", 1)
        result.store("int32", 0, const(0))  # each channel has one of the kinds, which a C compiler cannot know
        for number, kind in enumerate(self._kinds):
            with T.If(tirx.EQ(self._kind_numbers.load([channel]), number)), T.Then():
                result.store("int32", 0, self._emitters[kind](wide, channel))
        return bind(result.load("int32", 0))

    def _accumulator_element(self, acc: Expr) -> str:
        """GPUs take twice as long for integers of 64 bits: where a float form is all there is, 32 are kept."""
        small = str(acc.ty.dtype) == "int32" and all(kind in _FLOAT_FORMS for kind in self._kinds)
        return "int32" if self._build.isa.gpu and small else "int64"

    def clipped(self, rounded: Expr, *, small: bool = False) -> Expr:
        """Zero point and clip, for a rounded int64, or (`small`) one in which a float form has left 32 bits."""
        grid = self._grid
        narrow = small and self._build.isa.gpu and -(1 << 30) < grid.lo - grid.zero_point and grid.hi < 1 << 30
        narrow = narrow and abs(grid.zero_point) < 1 << 30
        element = "int32" if narrow else "int64"
        lo, hi = (const(bound - grid.zero_point, element) for bound in (grid.lo, grid.hi))
        inside = tirx.max(tirx.min(rounded.astype(element), hi), lo)
        return (inside + const(grid.zero_point, element)).astype("int32")

    def cell(self) -> Memory:
        """One int32 in a register."""
        return self._build.local("int32", 1)

    @property
    def plain(self) -> bool:
        """Whether this becomes C source."""
        return self._build.isa.plain

    @property
    def half_even(self) -> bool:
        """Whether ties go to even."""
        return self._grid.rounding is Rounding.HALF_EVEN

    def _fix_columns(self, forms: Sequence[Form]) -> list[tuple[View | Uniform, View | Uniform]]:
        fixes = [form.fixes if isinstance(form, (FmaF32, FmaBitsF32)) else () for form in forms]
        columns = []
        for index in range(max(map(len, fixes))):
            pairs = [pair[index] if index < len(pair) else (0, 0) for pair in fixes]
            at = self.column(f"fix{index}_at", [a for a, _ in pairs], "int64")
            delta = self.column(f"fix{index}_delta", [d for _, d in pairs], "int64")
            columns.append((at, delta))
        return columns


def _fma(dtype: str, a: Expr, b: Expr, c: Expr) -> Expr:
    return tirx.call_llvm_pure_intrin(dtype, f"llvm.fma.f{dtype[-2:]}", a, b, c)


def _half_even(product: Expr, shift: Expr) -> Expr:
    """product / 2^shift in int64, ties to even."""
    one = const(1, "int64")
    product = bind(product)
    odd = tirx.bitwise_and(tirx.shift_right(product, shift), one)
    return tirx.shift_right(product + (tirx.shift_left(one, shift - one) - one) + odd, shift)


def _fma_f32(requantizer: Requantizer, forms: Sequence[FmaF32 | None]) -> Callable[[Expr, Expr], Expr]:
    factors = requantizer.column("factor_f32", [form.factor if form else 0.0 for form in forms], "float32")

    def emit(acc: Expr, channel: Expr) -> Expr:
        factor = factors.load([channel], "float32")
        shifted = _fma("float32", acc.astype("float32"), factor, const(MAGIC_F32, "float32"))
        rounded = tirx.reinterpret("int32", shifted) - const(MAGIC_F32_BITS)
        return requantizer.clipped(rounded, small=True)

    return emit


def _fma_bits_f32(requantizer: Requantizer, forms: Sequence[FmaBitsF32 | None]) -> Callable[[Expr, Expr], Expr]:
    starts = requantizer.column("start", [form.start if form else 0 for form in forms], "int32")
    factors = requantizer.column("bits_factor_f32", [form.factor if form else 0.0 for form in forms], "float32")
    addends = requantizer.column("addend_f32", [form.addend if form else 0.0 for form in forms], "float32")

    def emit(acc: Expr, channel: Expr) -> Expr:
        bits = acc.astype("int32") + starts.load([channel])
        factor, addend = factors.load([channel], "float32"), addends.load([channel], "float32")
        total = _fma("float32", tirx.reinterpret("float32", bits), factor, addend)
        return requantizer.clipped(tirx.reinterpret("int32", total) - const(MAGIC_F32_BITS), small=True)

    return emit


def _fma_offset_f32(requantizer: Requantizer, forms: Sequence[FmaOffsetF32 | None]) -> Callable[[Expr, Expr], Expr]:
    factors = requantizer.column("factor_f32", [form.factor if form else 0.0 for form in forms], "float32")
    offsets = requantizer.column("offset_f32", [form.offset if form else 0.0 for form in forms], "float32")

    def emit(acc: Expr, channel: Expr) -> Expr:
        value = _fma(
            "float32", acc.astype("float32"), factors.load([channel], "float32"), offsets.load([channel], "float32")
        )
        rounded = tirx.reinterpret("int32", value + const(MAGIC_F32, "float32")) - const(MAGIC_F32_BITS)
        return requantizer.clipped(rounded, small=True)

    return emit


def _fma_f64(requantizer: Requantizer, forms: Sequence[FmaF64 | None]) -> Callable[[Expr, Expr], Expr]:
    # With no offset the magic number is the addend of the fma, and the addition after it adds an exact zero.
    factors = requantizer.column("factor_f64", [form.factor if form else 0.0 for form in forms], "float64")
    addends = [form.offset if form and form.offset else MAGIC_F64 for form in forms]
    inner = requantizer.column("offset_f64", addends, "float64")
    outer = requantizer.column("magic_f64", [MAGIC_F64 if a != MAGIC_F64 else 0.0 for a in addends], "float64")

    def emit(acc: Expr, channel: Expr) -> Expr:
        factor, addend = factors.load([channel], "float64"), inner.load([channel], "float64")
        value = _fma("float64", acc.astype("float64"), factor, addend) + outer.load([channel], "float64")
        return requantizer.clipped(tirx.reinterpret("int64", value).astype("int32"), small=True)

    return emit


def _below_half(requantizer: Requantizer, rows: Sequence[MulShift]) -> Callable[[Expr, Expr, View | Uniform], Expr]:
    """What is added before the shift: 2^(shift - 1), less one for half-even. C source computes it: flash is scarce."""
    if requantizer.plain:
        one = const(1, "int64")
        return lambda channel, shift, even: tirx.shift_left(one, shift - one) - even.load([channel], "int64")
    below = requantizer.column("half", [(1 << (form.shift - 1)) - form.half_even for form in rows], "int64")
    return lambda channel, shift, even: below.load([channel], "int64")


def _mul_shift(requantizer: Requantizer, forms: Sequence[MulShift | None]) -> Callable[[Expr, Expr], Expr]:
    plain = MulShift(0, 0, 1)
    rows = [form or plain for form in forms]
    multipliers = requantizer.column("multiplier", [form.multiplier for form in rows], "int64")
    addends = requantizer.column("addend", [form.addend for form in rows], "int64")
    shifts = requantizer.column("shift", [form.shift for form in rows], "int64")
    # Half-even adds half - 1 + (the lowest kept bit), half-up adds half.
    even = requantizer.column("even", [int(form.half_even) for form in rows], "int64")
    below = _below_half(requantizer, rows)

    def emit(acc: Expr, channel: Expr) -> Expr:
        shift = bind(shifts.load([channel], "int64"))
        product = bind(acc * multipliers.load([channel], "int64") + addends.load([channel], "int64"))
        total = product + below(channel, shift, even)
        if even != Uniform(0):
            total = total + tirx.bitwise_and(tirx.shift_right(product, shift), even.load([channel], "int64"))
        return requantizer.clipped(tirx.shift_right(total, shift))

    return emit


def _soft_fma(requantizer: Requantizer, forms: Sequence[SoftFma | None]) -> Callable[[Expr, Expr], Expr]:
    rows = [form or SoftFma(0, _LIMB + 1, False) for form in forms]
    high = requantizer.column("multiplier_high", [form.multiplier >> _LIMB for form in rows], "int64")
    low = requantizer.column("multiplier_low", [form.multiplier & ((1 << _LIMB) - 1) for form in rows], "int64")
    # One more bit holds whether anything is left below the limb ("sticky"), so the shift is one longer.
    shifts = requantizer.column("shift", [form.shift - _LIMB + 1 for form in rows], "int64")
    narrow = any(form.narrow for form in rows)

    def emit(acc: Expr, channel: Expr) -> Expr:
        acc = bind(_narrowed(acc)) if narrow else acc
        part = bind(acc * low.load([channel], "int64"))
        top = acc * high.load([channel], "int64") + tirx.shift_right(part, const(_LIMB, "int64"))
        rest = tirx.bitwise_and(part, const((1 << _LIMB) - 1, "int64"))
        sticky = tirx.Select(tirx.NE(rest, const(0, "int64")), const(1, "int64"), const(0, "int64"))
        return requantizer.clipped(_half_even(top * 2 + sticky, bind(shifts.load([channel], "int64"))))

    return emit


def _wide_mul_shift(requantizer: Requantizer, forms: Sequence[WideMulShift | None]) -> Callable[[Expr, Expr], Expr]:
    rows = [form or WideMulShift(0, 0, 0, 1) for form in forms]
    columns = [
        requantizer.column(label, [getattr(form, label) for form in rows], "int64")
        for label in ("high", "low", "addend", "shift")
    ]

    def emit(acc: Expr, channel: Expr) -> Expr:
        high, low, addend, shift = (column.load([channel], "int64") for column in columns)
        part = tirx.shift_right(acc * low, const(_LIMB, "int64"))
        return requantizer.clipped(tirx.shift_right(acc * high + part + addend, shift))

    return emit


def _narrowed(acc: Expr) -> Expr:
    """acc rounded half-even to 24 significant bits, as the conversion to float32 does."""
    zero, one = const(0, "int64"), const(1, "int64")
    magnitude = bind(tirx.max(acc, zero - acc))
    leading = tirx.call_llvm_pure_intrin("int64", "llvm.ctlz.i64", magnitude, tirx.const(0, "bool"))
    drop = bind(tirx.max(const(40, "int64") - leading, zero))
    odd = tirx.bitwise_and(tirx.shift_right(magnitude, drop), one)
    half = tirx.shift_right(tirx.shift_left(one, drop), one)
    borrowed = tirx.Select(drop > zero, half - one + odd, zero)
    rounded = bind(tirx.shift_left(tirx.shift_right(magnitude + borrowed, drop), drop))
    return tirx.Select(acc < zero, zero - rounded, rounded)


def _steps(requantizer: Requantizer, forms: Sequence[Steps | None]) -> Callable[[Expr, Expr], Expr]:
    rows = [form or Steps(0, ()) for form in forms]
    levels = max(1, max(len(form.thresholds) for form in rows))
    size = (1 << levels.bit_length()) - 1
    never = np.iinfo(np.int64).max
    # Decreasing: acc > t is acc >= t + 1, and the count is subtracted.
    table = [[t + (not form.increasing) for t in form.thresholds] for form in rows]
    padded = np.array([row + [never] * (size - len(row)) for row in table], np.int64)
    thresholds = requantizer.column("thresholds", padded, "int64")  # type: ignore[arg-type]
    bases = requantizer.column("base", [form.base for form in rows], "int32")
    signs = requantizer.column("sign", [1 if form.increasing else -1 for form in rows], "int32")
    bits = levels.bit_length()

    def emit(acc: Expr, channel: Expr) -> Expr:
        count = requantizer.cell()
        count.store("int32", 0, const(0))
        for bit in reversed(range(bits)):
            found = count.load("int32", 0)
            reached = thresholds.load([channel, found + ((1 << bit) - 1)], "int64") <= acc
            count.store("int32", 0, found + tirx.Select(reached, const(1 << bit), const(0)))
        return bases.load([channel]) + signs.load([channel]) * count.load("int32", 0)

    return emit


def _ratio(requantizer: Requantizer, forms: Sequence[Ratio | None]) -> Callable[[Expr, Expr], Expr]:
    rows = [form or Ratio((0,), 0, 1) for form in forms]
    numerators = requantizer.column("numerator", [form.numerators[0] for form in rows], "int64")
    addends = requantizer.column("addend", [form.addend for form in rows], "int64")
    denominators = requantizer.column("denominator", [form.denominator for form in rows], "int64")

    def emit(acc: Expr, channel: Expr) -> Expr:
        denominator = bind(denominators.load([channel], "int64"))
        total = bind(acc * numerators.load([channel], "int64") + addends.load([channel], "int64"))
        return requantizer.clipped(divided(total, denominator, half_even=requantizer.half_even))

    return emit


def divided(total: Expr, denominator: Expr, *, half_even: bool) -> Expr:
    """total / denominator (positive) rounded to the nearest int64; ties to even, or away from zero."""
    zero, one = const(0, "int64"), const(1, "int64")
    floor = held(tirx.floordiv(total, denominator))
    twice = bind((total - floor * denominator) * 2)
    if half_even:
        tie_up = tirx.NE(tirx.bitwise_and(floor, one), zero)
    else:
        tie_up = floor >= zero
    up = tirx.any(twice > denominator, tirx.all(tirx.EQ(twice, denominator), tie_up))
    return floor + tirx.Select(up, one, zero)


_FLOAT_FORMS = (FmaF32, FmaBitsF32, FmaOffsetF32, FmaF64)
_EMITTERS: dict[type, Callable[..., Callable[[Expr, Expr], Expr]]] = {
    FmaF32: _fma_f32,
    FmaBitsF32: _fma_bits_f32,
    FmaOffsetF32: _fma_offset_f32,
    FmaF64: _fma_f64,
    MulShift: _mul_shift,
    SoftFma: _soft_fma,
    WideMulShift: _wide_mul_shift,
    Steps: _steps,
    Ratio: _ratio,
}

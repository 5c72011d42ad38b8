"""Hand-made programs with hand-made forms, small enough that their proofs are obvious."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from edgeconv.ir import Constant, DType, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import (
    MAGIC_F32,
    WINDOW,
    WINDOW_BITS,
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
from edgeconv.ir.operators import Operator

KINDS = (
    "fma_f32",
    "fixed",
    "fma_bits_f32",
    "bits_fixed",
    "fma_offset_f32",
    "fma_f64",
    "fma_f64_offset",
    "mul_shift",
    "wide_mul_shift",
    "steps",
    "ratio",
)
"""Names that `form_of` knows: the forms, with their variants."""
BITS = ("fma_bits_f32", "bits_fixed")
"""Those that want accumulators within ±MOST_BITS."""
MOST_BITS = WINDOW // 2 - 4


@dataclass
class Draft:
    """Collects the parts of a program."""

    rng: np.random.Generator
    inputs: dict[str, TensorType] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    constants: dict[str, Constant] = field(default_factory=dict)
    forms: dict[str, ProvedForms] = field(default_factory=dict)

    def program(self) -> Program:
        """The finished program."""
        return Program(self.inputs, tuple(self.outputs), tuple(self.operators), self.constants)

    def random(self, type_: DType, *shape: int) -> np.ndarray:
        """Random values of a type, its extremes likely."""
        values = self.rng.integers(type_.lo, type_.hi, shape, endpoint=True, dtype=np.int64)
        extreme = self.rng.random(shape) < 0.1
        values[extreme] = self.rng.choice([type_.lo, type_.hi], int(extreme.sum()))
        return values.astype(type_.container)

    def constant(self, name: str, type_: str, *shape: int) -> str:
        """A random constant."""
        self.constants[name] = Constant(dtype(type_), self.random(dtype(type_), *shape))
        return name

    def arrays(self, samples: int) -> dict[str, np.ndarray]:
        """Random inputs."""
        return {name: self.random(type_.dtype, samples, *type_.shape) for name, type_ in self.inputs.items()}

    def requant(
        self, name: str, source: str, channels: int, reach: int, grid: Grid, kinds: Sequence[str], axis: int = 1
    ) -> str:
        """A requant whose channels cycle through `kinds` in runs of 16, with ratios that give ties and saturation.

        Args:
            reach: the accumulator stays within ±reach.
        """
        scale = (grid.hi - grid.lo + 1) / reach
        factors, offsets, forms = [], [], []
        for channel in range(channels):
            kind = kinds[channel // 16 % len(kinds)]
            factor, offset = self._ratio(kind, scale, reach)
            factors.append(factor)
            offsets.append(offset)
            forms.append(form_of(kind, factor, offset, grid, reach))
        linear = Linear((tuple(factors),), tuple(offsets), axis=axis)
        self.operators.append(ops.Requant(name, source, linear, grid))
        self.forms[name] = ProvedForms(name, tuple(forms), (((-reach, reach),),))
        return name

    def _ratio(self, kind: str, scale: float, reach: int) -> tuple[Fraction, Fraction]:
        """A factor near `scale` and an offset that the form can take exactly; every other one makes ties."""
        exponent = 3 - round(float(np.log2(scale)))
        few = Fraction(int(self.rng.integers(1, 16)), 1 << exponent)
        if kind in _WITH_OFFSET:
            return few, Fraction(int(self.rng.integers(-9, 9)), 4)
        if kind == "wide_mul_shift" or self.rng.random() < 0.5:
            bits = {"wide_mul_shift": 33, "fma_f64": 50}.get(kind, 24)
            many = Fraction(int(self.rng.integers(1 << (bits - 1), 1 << bits)), 1 << (bits + exponent - 4))
            return many, _intercept(many, reach) if kind in BITS else Fraction(0)
        return few, _intercept(few, reach) if kind in BITS else Fraction(0)


def _intercept(factor: Fraction, reach: int) -> Fraction:
    """What the start of an accumulator within ±reach adds to its product: it differs from an integer by this."""
    whole = _first_bits(reach) * factor
    return whole - round(whole)


def _first_bits(reach: int) -> int:
    """The integer that is a float32 without conversion, for an accumulator of 0 in ±reach and two more."""
    return WINDOW + reach + 2


_WITH_OFFSET = {"fma_offset_f32", "fma_f64_offset", "mul_shift", "steps", "ratio"}


def form_of(kind: str, factor: Fraction, offset: Fraction, grid: Grid, reach: int) -> Form:
    """A form that equals round_half_even(acc·factor + offset) for dyadic factors of few bits and |acc| <= reach."""
    shift = factor.denominator.bit_length() - 1
    shift = max(shift, offset.denominator.bit_length() - 1, 1)
    multiplier, addend = int(factor * (1 << shift)), int(offset * (1 << shift))
    if kind == "fma_f32":
        return FmaF32(float(factor))
    if kind in BITS:
        first = _first_bits(reach)
        addend = offset - first * factor + Fraction(MAGIC_F32)
        fixes = ((reach + 1, 1), (-reach - 1, -1)) if kind == "bits_fixed" else ()
        return FmaBitsF32(float(factor), float(addend), first - WINDOW + WINDOW_BITS, fixes)
    if kind == "fixed":  # two corrections that the definition knows too: they leave the value as it is
        return FmaF32(float(factor), ((reach + 1, 1), (-reach - 1, -1)))
    if kind == "fma_offset_f32":
        return FmaOffsetF32(float(factor), float(offset))
    if kind in ("fma_f64", "fma_f64_offset"):
        return FmaF64(float(factor), float(offset))
    if kind == "mul_shift":
        return MulShift(multiplier, addend, shift)
    if kind == "wide_mul_shift":
        return _wide(factor)
    if kind == "ratio":
        return Ratio((multiplier,), addend, 1 << shift)
    return _steps(factor, offset, grid, reach)


def _wide(factor: Fraction) -> WideMulShift:
    # Half-up is half-even here: a factor with so many fractional bits meets no tie.
    shift = factor.denominator.bit_length() - 1 - 26
    grown = max(0, 1 - shift)
    multiplier, shift = factor.numerator << grown, shift + grown
    return WideMulShift(multiplier >> 26, multiplier & ((1 << 26) - 1), 1 << (shift - 1), shift)


def _steps(factor: Fraction, offset: Fraction, grid: Grid, reach: int) -> Steps:
    linear = Linear(((factor,),), (offset,)).channel(0)
    first = grid.clip(linear.round((-reach,), grid.rounding))
    last = grid.clip(linear.round((reach,), grid.rounding))
    levels = range(first + 1, last + 1)
    thresholds = [linear.first_reaching(level - grid.zero_point, grid.rounding) for level in levels]
    return Steps(first, tuple(int(t) for t in thresholds if t is not None))

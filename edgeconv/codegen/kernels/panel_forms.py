"""How a block of accumulators goes through each form of requantization: its constants, and its vector instructions.

`COLUMNS` gives the per-channel constants of a kind of form, `VALUES` the vectors computed with them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import numpy as np

from edgeconv.codegen.builder import bind, const
from edgeconv.codegen.kernels.bit_forms import columns_fma_bits_f32, values_fma_bits_f32
from edgeconv.codegen.kernels.forms_base import (
    BlockConstants,
    Columns,
    Ending,
    Fixes,
    Rows,
    fix_arrays,
    fma,
    form_array,
)
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir.forms import (
    LIMB,
    MAGIC_F32,
    MAGIC_F32_BITS,
    MAGIC_F64,
    Form,
    Steps,
)

__all__ = ["COLUMNS", "SHIFTED", "VALUES"]


def _columns_fma_f32(rows: Rows, fixes: int, finish: Ending) -> Columns:
    columns: Columns = {"factor": form_array(rows, lambda form: form.factor, "float32")}  # type: ignore[union-attr]
    for index, (at, delta) in enumerate(fix_arrays(rows, fixes)):
        columns[f"at{index}"], columns[f"delta{index}"] = at.astype(np.int32), delta.astype(np.int32)
    return columns


def _values_fma_f32(
    finish: Ending, constants: BlockConstants, panel: Expr, fixes: int, accumulators: Sequence[Expr]
) -> list[Expr]:
    lanes = constants.lanes
    factor = constants.load("factor", panel, 0)
    corrections = Fixes(constants, panel, fixes)
    values = []
    for acc in accumulators:
        fixed = corrections.applied(bind(acc))
        shifted = fma("float32", lanes, fixed.astype(f"float32x{lanes}"), factor, const(MAGIC_F32, "float32", lanes))
        values.append(
            bind(tirx.reinterpret(f"int32x{lanes}", shifted) - const(MAGIC_F32_BITS - finish.zero, "int32", lanes))
        )
    return values


def _columns_fma_offset_f32(rows: Rows, number: int, finish: Ending) -> Columns:
    return {
        "factor": form_array(rows, lambda form: form.factor, "float32"),  # type: ignore[union-attr]
        "offset": form_array(rows, lambda form: form.offset, "float32"),  # type: ignore[union-attr]
    }


def _values_fma_offset_f32(
    finish: Ending, constants: BlockConstants, panel: Expr, number: int, accumulators: Sequence[Expr]
) -> list[Expr]:
    lanes = constants.lanes
    factor, offset = constants.load("factor", panel, 0), constants.load("offset", panel, 0)
    values = []
    for acc in accumulators:
        value = fma("float32", lanes, acc.astype(f"float32x{lanes}"), factor, offset)
        shifted = value + const(MAGIC_F32, "float32", lanes)
        values.append(
            bind(tirx.reinterpret(f"int32x{lanes}", shifted) - const(MAGIC_F32_BITS - finish.zero, "int32", lanes))
        )
    return values


def _columns_fma_f64(rows: Rows, number: int, finish: Ending) -> Columns:
    columns = {"factor": form_array(rows, lambda form: form.factor, "float64")}  # type: ignore[union-attr]
    if number:
        addend = form_array(rows, lambda form: form.offset or MAGIC_F64, "float64")  # type: ignore[union-attr]
        columns["addend"] = addend
        columns["magic"] = np.where(addend == MAGIC_F64, 0.0, MAGIC_F64)
    return columns


def _values_fma_f64(
    finish: Ending, constants: BlockConstants, panel: Expr, number: int, accumulators: Sequence[Expr]
) -> list[Expr]:
    lanes = constants.lanes
    factor = constants.load("factor", panel, 0)
    addend = constants.load("addend", panel, 0) if number else const(MAGIC_F64, "float64", lanes)
    magic = constants.load("magic", panel, 0) if number else None
    values = []
    for acc in accumulators:
        value = fma("float64", lanes, acc.astype(f"float64x{lanes}"), factor, addend)
        shifted = value if magic is None else value + magic
        rounded = tirx.reinterpret(f"int64x{lanes}", shifted).astype(f"int32x{lanes}")
        values.append(bind(_saturating_add(rounded, finish.zero, lanes)))
    return values


def _saturating_add(rounded: Expr, zero: int, lanes: int) -> Expr:
    """rounded + zero where the sum may leave int32: the bounds are beyond any clip to 16 bits."""
    if zero == 0:
        return rounded
    bound = (1 << 30) - 1
    inside = tirx.max(tirx.min(rounded, const(bound, "int32", lanes)), const(-bound, "int32", lanes))
    return inside + const(zero, "int32", lanes)


def _columns_mul_shift(rows: Rows, number: int, finish: Ending) -> Columns:
    return {
        "multiplier": form_array(rows, lambda form: form.multiplier, "int64"),  # type: ignore[union-attr]
        "addend": form_array(rows, lambda form: form.addend, "int64"),  # type: ignore[union-attr]
        "shift": form_array(rows, lambda form: form.shift, "int64"),  # type: ignore[union-attr]
        "half": form_array(rows, lambda form: (1 << (form.shift - 1)) - form.half_even, "int64"),  # type: ignore[union-attr]
        "even": form_array(rows, lambda form: int(form.half_even), "int64"),  # type: ignore[union-attr]
    }


def _values_mul_shift(
    finish: Ending, constants: BlockConstants, panel: Expr, number: int, accumulators: Sequence[Expr]
) -> list[Expr]:
    lanes, wide = constants.lanes, f"int64x{constants.lanes}"
    multiplier, addend, shift, half, even = (
        constants.load(label, panel, 0) for label in ("multiplier", "addend", "shift", "half", "even")
    )
    values = []
    for acc in accumulators:
        product = bind(acc.astype(wide) * multiplier + addend)
        odd = tirx.bitwise_and(tirx.shift_right(product, shift), even)
        rounded = tirx.shift_right(product + half + odd, shift)
        values.append(bind(_narrowed(rounded, lanes) + const(finish.zero, "int32", lanes)))
    return values


def _narrowed(rounded: Expr, lanes: int) -> Expr:
    """int64 to int32 with saturation far beyond any clip to 16 bits, with room for a zero point."""
    bound = 1 << 30
    inside = tirx.max(tirx.min(rounded, const(bound, "int64", lanes)), const(-bound, "int64", lanes))
    return inside.astype(f"int32x{lanes}")


def _columns_wide_mul_shift(rows: Rows, number: int, finish: Ending) -> Columns:
    labels = ("high", "low", "addend", "shift")
    return {label: form_array(rows, operator.attrgetter(label), "int64") for label in labels}


def _values_wide_mul_shift(
    finish: Ending, constants: BlockConstants, panel: Expr, number: int, accumulators: Sequence[Expr]
) -> list[Expr]:
    lanes = constants.lanes
    high, low, addend, shift = (constants.load(label, panel, 0) for label in ("high", "low", "addend", "shift"))
    values = []
    for acc in accumulators:
        wide = bind(acc.astype(f"int64x{lanes}"))
        part = tirx.shift_right(wide * low, const(LIMB, "int64", lanes))
        rounded = tirx.shift_right(wide * high + part + addend, shift)
        values.append(bind(_narrowed(rounded, lanes) + const(finish.zero, "int32", lanes)))
    return values


def _columns_steps(rows: Rows, levels: int, finish: Ending) -> Columns:
    limits = np.iinfo(np.int32)

    def row(form: Form) -> list[int]:
        assert isinstance(form, Steps)
        # Decreasing: acc > t is acc >= t + 1, and the count is subtracted. What int32 never reaches counts never.
        reached = [t + (not form.increasing) for t in form.thresholds]
        below = sum(t <= limits.min for t in reached)
        finite = [t for t in reached if limits.min < t <= limits.max]
        return [below, *finite, *[1 << 31] * (levels - len(finite))]

    table = np.array([[row(form) for form in panel] for panel in rows], np.int64)
    always, thresholds = table[:, :, 0], table[:, :, 1:]
    base = np.array([[form.base for form in panel] for panel in rows], np.int32)  # type: ignore[union-attr]
    sign = np.array([[1 if form.increasing else -1 for form in panel] for panel in rows], np.int32)  # type: ignore[union-attr]
    # acc >= t is acc > t - 1, which also says "never" in int32.
    return {
        "thresholds": np.ascontiguousarray((thresholds - 1).transpose(0, 2, 1)).astype(np.int32),
        # The table gives the final integer, zero point included; only the storage bias is left to add.
        "base": (base + finish.bias + sign * always).astype(np.int32),
        "sign": sign,
    }


def _values_steps(
    finish: Ending, constants: BlockConstants, panel: Expr, levels: int, accumulators: Sequence[Expr]
) -> list[Expr]:
    lanes, build = constants.lanes, finish.build
    counts = build.local("int32", len(accumulators) * lanes)
    bound = [bind(acc) for acc in accumulators]
    for index in range(len(bound)):
        counts.store("int32", index * lanes, const(0, "int32", lanes), lanes)
    view = constants.views["thresholds"]
    with build.loop(levels, opaque=True) as level:
        below = bind(view.vload(view.layout.offset([panel, 0, level, 0]), lanes))
        for index, acc in enumerate(bound):
            more = tirx.Select(acc > below, const(1, "int32", lanes), const(0, "int32", lanes))
            counts.store("int32", index * lanes, counts.load("int32", index * lanes, lanes) + more, lanes)
    base, sign = constants.load("base", panel, 0), constants.load("sign", panel, 0)
    return [bind(base + sign * counts.load("int32", index * lanes, lanes)) for index in range(len(bound))]


COLUMNS: dict[str, Callable[[Rows, int, Ending], Columns]] = {
    "none": lambda rows, number, finish: {},
    "fma_bits_f32": columns_fma_bits_f32,
    "fma_f32": _columns_fma_f32,
    "fma_offset_f32": _columns_fma_offset_f32,
    "fma_f64": _columns_fma_f64,
    "mul_shift": _columns_mul_shift,
    "wide_mul_shift": _columns_wide_mul_shift,
    "steps": _columns_steps,
}
SHIFTED = ("fma_bits_f32", "fma_f32", "fma_offset_f32")
"""Kinds whose values, with `zero` MAGIC_F32_BITS, are bits of a float: MAGIC_F32 plus the rounded integer."""
VALUES: dict[str, Callable[[Ending, BlockConstants, Expr, int, Sequence[Expr]], list[Expr]]] = {
    "none": lambda finish, constants, panel, number, accumulators: [bind(acc) for acc in accumulators],
    "fma_bits_f32": values_fma_bits_f32,
    "fma_f32": _values_fma_f32,
    "fma_offset_f32": _values_fma_offset_f32,
    "fma_f64": _values_fma_f64,
    "mul_shift": _values_mul_shift,
    "wide_mul_shift": _values_wide_mul_shift,
    "steps": _values_steps,
}

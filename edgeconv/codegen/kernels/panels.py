"""Panels of output channels: vectors of accumulators through a requantization and into memory.

A *block* is one vector of `isa.lanes` output channels, a *panel* a few blocks that a kernel computes together. Panels
that differ only in constants form a *bucket* and share one loop.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, View, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.vectors import shuffle
from edgeconv.codegen.kernels.requantizer import proved_forms
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir.forms import (
    MAGIC_F32,
    MAGIC_F32_BITS,
    MAGIC_F64,
    FmaF32,
    FmaF64,
    FmaOffsetF32,
    Form,
    MulShift,
    Steps,
    WideMulShift,
)

__all__ = ["Bucket", "Finish", "Panel", "can_finish", "make_buckets"]

_MOST_STEPS = 1024
_MOST_BUCKETS = 4
LIMB_BITS = 26
"""Bits of the low limb of a `WideMulShift` multiplier."""


@dataclass(frozen=True)
class Panel:
    """Output channels of one panel: `first`, and how many there are (at most blocks × lanes)."""

    first: int
    count: int
    blocks: int


@dataclass(frozen=True)
class Bucket:
    """Panels of equal shape and equal kinds of forms; `kinds` holds one key per block."""

    panels: tuple[Panel, ...]
    kinds: tuple[tuple[str, int], ...]

    @property
    def blocks(self) -> int:
        """Blocks per panel."""
        return self.panels[0].blocks


def can_finish(isa: Isa, step: Step, first_channels: Sequence[int]) -> bool:
    """Whether vectors can write the step's output.

    Args:
        first_channels: first channel of every block; each block must meet one kind of form.
    """
    out = step.layout(step.output).storage
    if step.requant is None:
        return out.element == "int32"
    if out.element not in ("uint8", "int16") or step.forms is None or step.requant.linear.axis < 0:
        return False
    forms = step.forms.forms
    kinds = (FmaF32, FmaOffsetF32, FmaF64, MulShift, WideMulShift, Steps)
    if not all(isinstance(form, kinds) for form in forms):
        return False
    if any(isinstance(form, Steps) and len(form.thresholds) > _MOST_STEPS for form in forms):
        return False
    channels = step.type(step.output).shape[step.requant.linear.axis]
    if len(forms) == 1:
        return True
    ends = [*first_channels[1:], channels]
    blocks = [forms[a : min(b, a + isa.lanes)] for a, b in zip(first_channels, ends, strict=True)]
    return all(len({form.kind for form in block}) == 1 for block in blocks)


def make_buckets(step: Step, panels: Sequence[Panel], lanes: int) -> list[Bucket]:
    """Group panels into buckets; where that makes many, corrections of all panels are made equally many."""
    exact = _group(step, panels, lanes, None)
    if len(exact) <= _MOST_BUCKETS:
        return exact
    most: dict[str, int] = {}
    for bucket in exact:
        for kind, number in bucket.kinds:
            most[kind] = max(most.get(kind, 0), number)
    return _group(step, panels, lanes, most)


def _group(step: Step, panels: Sequence[Panel], lanes: int, most: dict[str, int] | None) -> list[Bucket]:
    found: dict[tuple[object, ...], list[Panel]] = {}
    for panel in panels:
        keys = [_kind_key(_block_forms(step, panel, block, lanes)) for block in range(panel.blocks)]
        if most is not None:
            keys = [(kind, most[kind]) for kind, _ in keys]
        ragged = panel.count % lanes
        found.setdefault((panel.blocks, ragged, *keys), []).append(panel)
    return [Bucket(tuple(members), tuple(key[2:])) for key, members in found.items()]  # type: ignore[arg-type]


def _block_forms(step: Step, panel: Panel, block: int, lanes: int) -> list[Form]:
    """The forms of a block's channels; lanes without a channel repeat the last one."""
    if step.requant is None:
        return []
    forms = proved_forms(step).forms
    if len(forms) == 1:
        return [forms[0]] * lanes
    inside = max(1, min(lanes, panel.count - block * lanes))
    start = min(panel.first + block * lanes, len(forms) - 1)
    block_forms = list(forms[start : start + inside])
    return block_forms + [block_forms[-1]] * (lanes - len(block_forms))


def _kind_key(forms: Sequence[Form]) -> tuple[str, int]:
    """Kind of a block, and a number on which its code depends."""
    if not forms:
        return ("none", 0)
    if isinstance(forms[0], FmaF32):
        return ("fma_f32", max(len(form.fixes) for form in forms if isinstance(form, FmaF32)))
    if isinstance(forms[0], FmaF64):
        return ("fma_f64", int(any(form.offset != 0 for form in forms if isinstance(form, FmaF64))))
    if isinstance(forms[0], Steps):
        return ("steps", max(1, max(len(form.thresholds) for form in forms if isinstance(form, Steps))))
    return (forms[0].kind, 0)


@dataclass(frozen=True)
class _Constants:
    """Per-channel constants of a bucket, (panels, blocks, lanes) each, by label."""

    views: dict[str, View]
    lanes: int

    def load(self, label: str, panel: Expr, block: int) -> Expr:
        view = self.views[label]
        return bind(view.vload(view.layout.offset([panel, block, *(0,) * (len(view.layout.axes) - 2)]), self.lanes))


class Finish:
    """The end of a kernel that computes panels: requantizes accumulators and stores them.

    Args:
        bucket: the panels that the calling loop runs over.
    """

    def __init__(self, build: Builder, step: Step, bucket: Bucket, label: str) -> None:
        self._build, self._isa = build, build.isa
        self._out = build.view(step.output)
        self._grid = step.requant.grid if step.requant else None
        self._kinds = bucket.kinds
        self._bucket = bucket
        self._constants: list[_Constants] = []
        lanes = build.isa.lanes
        for block in range(bucket.blocks):
            rows = [_block_forms(step, panel, block, lanes) for panel in bucket.panels]
            kind, number = bucket.kinds[block]
            arrays = _COLUMNS[kind](rows, number, self._out.layout.storage.bias)
            views = {
                name: build.constant(f"{step.output}/{label}.{block}.{name}", array[:, None])
                for name, array in arrays.items()
            }
            self._constants.append(_Constants(views, lanes))

    def values(self, panel: Expr, block: int, accumulators: Sequence[Expr]) -> list[Expr]:
        """Requantized vectors, in the numbers that memory holds (storage bias added), not yet clipped.

        Args:
            panel: index inside the bucket.
            accumulators: int32 vectors of one block.
        """
        kind, number = self._kinds[block]
        return _VALUES[kind](self, self._constants[block], panel, number, accumulators)

    @property
    def build(self) -> Builder:
        """The builder."""
        return self._build

    @property
    def zero(self) -> int:
        """What is added after rounding: zero point and storage bias."""
        return 0 if self._grid is None else self._grid.zero_point + self._out.layout.storage.bias

    def store(self, offsets: Sequence[Expr], vectors: Sequence[Expr], counts: Sequence[int]) -> None:
        """Clip, narrow and store.

        Args:
            offsets: element offset of each vector in the output's memory; vectors that follow one another directly
                may be given as None after the first.
            counts: how many lanes of each vector are real.
        """
        element, lanes = self._out.layout.storage.element, self._isa.lanes
        if element == "int32":
            for offset, vector, count in zip(_filled(offsets, lanes), vectors, counts, strict=True):
                self._store_run(offset, vector, count, lanes)
            return
        step = 4 if element == "uint8" else 2
        places = list(_filled(offsets, lanes))
        for start in range(0, len(vectors), step):
            members = list(vectors[start : start + step])
            padded = members + [members[-1]] * (step - len(members))
            pack = self._isa.pack_bytes if step == 4 else self._isa.pack_words
            packed = bind(self._clipped(pack(padded), step * lanes, element))
            at = 0
            while at < len(members):
                run = 1
                while _continues(offsets, counts, start, at + run, len(members), lanes):
                    run += 1
                total = (run - 1) * lanes + counts[start + at + run - 1]
                piece = range(at * lanes, at * lanes + total)
                self._store_pieces(places[start + at], packed, piece, step * lanes)
                at += run

    def _clipped(self, packed: Expr, lanes: int, element: str) -> Expr:
        assert self._grid is not None
        bias = self._out.layout.storage.bias
        lo, hi = self._grid.lo + bias, self._grid.hi + bias
        limits = np.iinfo(element)
        if lo > limits.min:
            packed = tirx.max(packed, const(lo, element, lanes))
        if hi < limits.max:
            packed = tirx.min(packed, const(hi, element, lanes))
        return packed

    def _store_pieces(self, offset: Expr, packed: Expr, piece: range, width: int) -> None:
        """Store elements `piece` of a vector with as few stores as powers of two allow."""
        done = 0
        while done < len(piece):
            size = 1 << ((len(piece) - done).bit_length() - 1)
            first = piece[0] + done
            part = packed if size == width else shuffle([packed], range(first, first + size))
            self._out.vstore(offset + done, part, size)
            done += size

    def _store_run(self, offset: Expr, vector: Expr, count: int, lanes: int) -> None:
        self._store_pieces(offset, bind(vector), range(count), lanes)


def _filled(offsets: Sequence[Expr], lanes: int) -> list[Expr]:
    places: list[Expr] = []
    for offset in offsets:
        places.append(places[-1] + lanes if offset is None else offset)
    return places


def _continues(
    offsets: Sequence[Expr], counts: Sequence[int], start: int, index: int, members: int, lanes: int
) -> bool:
    return index < members and offsets[start + index] is None and counts[start + index - 1] == lanes


Columns = dict[str, NDArray[np.generic]]
Rows = Sequence[Sequence[Form]]


def _array(rows: Rows, take: Callable[[Form], object], dtype: str) -> NDArray[np.generic]:
    return np.array([[take(form) for form in row] for row in rows], dtype)


def _columns_fma_f32(rows: Rows, fixes: int, bias: int) -> Columns:
    columns: Columns = {"factor": _array(rows, lambda form: form.factor, "float32")}  # type: ignore[union-attr]

    def fix(index: int, part: int) -> Callable[[Form], object]:
        return lambda form: (*form.fixes, *((0, 0),) * fixes)[index][part]  # type: ignore[union-attr]

    for index in range(fixes):
        columns[f"at{index}"] = _array(rows, fix(index, 0), "int32")
        columns[f"delta{index}"] = _array(rows, fix(index, 1), "int32")
    return columns


def _values_fma_f32(
    finish: Finish, constants: _Constants, panel: Expr, fixes: int, accumulators: Sequence[Expr]
) -> list[Expr]:
    lanes = constants.lanes
    factor = constants.load("factor", panel, 0)
    pairs = [(constants.load(f"at{i}", panel, 0), constants.load(f"delta{i}", panel, 0)) for i in range(fixes)]
    values = []
    for acc in accumulators:
        fixed = acc = bind(acc)
        for at, delta in pairs:
            fixed = fixed + tirx.Select(tirx.EQ(acc, at), delta, const(0, "int32", lanes))
        shifted = _fma("float32", lanes, fixed.astype(f"float32x{lanes}"), factor, const(MAGIC_F32, "float32", lanes))
        values.append(
            bind(tirx.reinterpret(f"int32x{lanes}", shifted) - const(MAGIC_F32_BITS - finish.zero, "int32", lanes))
        )
    return values


def _columns_fma_offset_f32(rows: Rows, number: int, bias: int) -> Columns:
    return {
        "factor": _array(rows, lambda form: form.factor, "float32"),  # type: ignore[union-attr]
        "offset": _array(rows, lambda form: form.offset, "float32"),  # type: ignore[union-attr]
    }


def _values_fma_offset_f32(
    finish: Finish, constants: _Constants, panel: Expr, number: int, accumulators: Sequence[Expr]
) -> list[Expr]:
    lanes = constants.lanes
    factor, offset = constants.load("factor", panel, 0), constants.load("offset", panel, 0)
    values = []
    for acc in accumulators:
        value = _fma("float32", lanes, acc.astype(f"float32x{lanes}"), factor, offset)
        shifted = value + const(MAGIC_F32, "float32", lanes)
        values.append(
            bind(tirx.reinterpret(f"int32x{lanes}", shifted) - const(MAGIC_F32_BITS - finish.zero, "int32", lanes))
        )
    return values


def _columns_fma_f64(rows: Rows, number: int, bias: int) -> Columns:
    columns = {"factor": _array(rows, lambda form: form.factor, "float64")}  # type: ignore[union-attr]
    if number:
        addend = _array(rows, lambda form: form.offset or MAGIC_F64, "float64")  # type: ignore[union-attr]
        columns["addend"] = addend
        columns["magic"] = np.where(addend == MAGIC_F64, 0.0, MAGIC_F64)
    return columns


def _values_fma_f64(
    finish: Finish, constants: _Constants, panel: Expr, number: int, accumulators: Sequence[Expr]
) -> list[Expr]:
    lanes = constants.lanes
    factor = constants.load("factor", panel, 0)
    addend = constants.load("addend", panel, 0) if number else const(MAGIC_F64, "float64", lanes)
    magic = constants.load("magic", panel, 0) if number else None
    values = []
    for acc in accumulators:
        value = _fma("float64", lanes, acc.astype(f"float64x{lanes}"), factor, addend)
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


def _columns_mul_shift(rows: Rows, number: int, bias: int) -> Columns:
    return {
        "multiplier": _array(rows, lambda form: form.multiplier, "int64"),  # type: ignore[union-attr]
        "addend": _array(rows, lambda form: form.addend, "int64"),  # type: ignore[union-attr]
        "shift": _array(rows, lambda form: form.shift, "int64"),  # type: ignore[union-attr]
        "half": _array(rows, lambda form: (1 << (form.shift - 1)) - form.half_even, "int64"),  # type: ignore[union-attr]
        "even": _array(rows, lambda form: int(form.half_even), "int64"),  # type: ignore[union-attr]
    }


def _values_mul_shift(
    finish: Finish, constants: _Constants, panel: Expr, number: int, accumulators: Sequence[Expr]
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


def _columns_wide_mul_shift(rows: Rows, number: int, bias: int) -> Columns:
    labels = ("high", "low", "addend", "shift")
    return {label: _array(rows, operator.attrgetter(label), "int64") for label in labels}


def _values_wide_mul_shift(
    finish: Finish, constants: _Constants, panel: Expr, number: int, accumulators: Sequence[Expr]
) -> list[Expr]:
    lanes = constants.lanes
    high, low, addend, shift = (constants.load(label, panel, 0) for label in ("high", "low", "addend", "shift"))
    values = []
    for acc in accumulators:
        wide = bind(acc.astype(f"int64x{lanes}"))
        part = tirx.shift_right(wide * low, const(LIMB_BITS, "int64", lanes))
        rounded = tirx.shift_right(wide * high + part + addend, shift)
        values.append(bind(_narrowed(rounded, lanes) + const(finish.zero, "int32", lanes)))
    return values


def _columns_steps(rows: Rows, levels: int, bias: int) -> Columns:
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
        "base": (base + bias + sign * always).astype(np.int32),
        "sign": sign,
    }


def _values_steps(
    finish: Finish, constants: _Constants, panel: Expr, levels: int, accumulators: Sequence[Expr]
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


def _fma(dtype: str, lanes: int, a: Expr, b: Expr, c: Expr) -> Expr:
    name = f"llvm.fma.v{lanes}f{dtype[-2:]}"
    return tirx.call_llvm_pure_intrin(f"{dtype}x{lanes}", name, a, b, c)


_COLUMNS: dict[str, Callable[[Rows, int, int], Columns]] = {
    "none": lambda rows, number, bias: {},
    "fma_f32": _columns_fma_f32,
    "fma_offset_f32": _columns_fma_offset_f32,
    "fma_f64": _columns_fma_f64,
    "mul_shift": _columns_mul_shift,
    "wide_mul_shift": _columns_wide_mul_shift,
    "steps": _columns_steps,
}
_VALUES: dict[str, Callable[[Finish, _Constants, Expr, int, Sequence[Expr]], list[Expr]]] = {
    "none": lambda finish, constants, panel, number, accumulators: [bind(acc) for acc in accumulators],
    "fma_f32": _values_fma_f32,
    "fma_offset_f32": _values_fma_offset_f32,
    "fma_f64": _values_fma_f64,
    "mul_shift": _values_mul_shift,
    "wide_mul_shift": _values_wide_mul_shift,
    "steps": _values_steps,
}

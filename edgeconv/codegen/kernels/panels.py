"""Panels of output channels: vectors of accumulators through a requantization and into memory.

A *block* is one vector of `isa.lanes` output channels, a *panel* a few blocks that a kernel computes together. Panels
that differ only in constants form a *bucket* and share one loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.vectors import gathered, shuffle
from edgeconv.codegen.kernels.bit_forms import bits_sign
from edgeconv.codegen.kernels.forms_base import BlockConstants, Ending
from edgeconv.codegen.kernels.panel_forms import COLUMNS, SHIFTED, VALUES
from edgeconv.codegen.kernels.requantizer import proved_forms
from edgeconv.codegen.kernels.sequel_vectors import Places, VectorSequel, can_go_on
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir.forms import (
    MAGIC_F32_BITS,
    FmaBitsF32,
    FmaF32,
    FmaF64,
    FmaOffsetF32,
    Form,
    MulShift,
    Steps,
    WideMulShift,
)

__all__ = ["Bucket", "Finish", "Panel", "can_finish", "cut_panels", "kind_key", "make_buckets"]

_MOST_STEPS = 1024
_MOST_BUCKETS = 4
_WORD = 4  # bytes that shuffles across a whole register move together
_FEWEST_TO_SHUFFLE = 8


@dataclass(frozen=True)
class Panel:
    """Output channels of one panel: `first`, and how many there are (at most blocks × lanes)."""

    first: int
    count: int
    blocks: int


def cut_panels(first: int, count: int, lanes: int, blocks: int) -> list[Panel]:
    """Cut `count` output channels into panels of at most `blocks` vectors."""
    panels = []
    for start in range(0, count, blocks * lanes):
        members = min(blocks * lanes, count - start)
        panels.append(Panel(first + start, members, -(-members // lanes)))
    return panels


@dataclass(frozen=True)
class Bucket:
    """Panels of equal shape and equal kinds of forms.

    Attributes:
        kinds: one key per block.
        paired: the last block has channels for half a vector at most, and its vectors hold them for two output
            positions, one in each half.
    """

    panels: tuple[Panel, ...]
    kinds: tuple[tuple[str, int], ...]
    paired: bool = False

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
    if step.requant is None and not step.sequel:
        return out.element == "int32"
    if out.element not in ("uint8", "int16") or not can_go_on(step):
        return False
    if step.requant is None:
        return True
    if step.forms is None or step.requant.linear.axis < 0:
        return False
    forms = step.forms.forms
    kinds = (FmaBitsF32, FmaF32, FmaOffsetF32, FmaF64, MulShift, WideMulShift, Steps)
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
        keys = [kind_key(_block_forms(step, panel, block, lanes)) for block in range(panel.blocks)]
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
    return [forms[channel] for channel in _block_channels(panel, block, lanes, len(forms))]


def _block_channels(panel: Panel, block: int, lanes: int, channels: int) -> list[int]:
    """The channel of each lane of a block; lanes without one repeat the last."""
    inside = max(1, min(lanes, panel.count - block * lanes))
    start = min(panel.first + block * lanes, channels - 1)
    return [start + min(lane, inside - 1) for lane in range(lanes)]


def kind_key(forms: Sequence[Form]) -> tuple[str, int]:
    """Kind of a block, and a number on which its code depends."""
    if not forms:
        return ("none", 0)
    if isinstance(forms[0], (FmaF32, FmaBitsF32)):
        return (forms[0].kind, max(len(form.fixes) for form in forms if isinstance(form, (FmaF32, FmaBitsF32))))
    if isinstance(forms[0], FmaF64):
        return ("fma_f64", int(any(form.offset != 0 for form in forms if isinstance(form, FmaF64))))
    if isinstance(forms[0], Steps):
        return ("steps", max(1, max(len(form.thresholds) for form in forms if isinstance(form, Steps))))
    return (forms[0].kind, 0)


class Finish:
    """The end of a kernel that computes panels: requantizes accumulators and stores them.

    Args:
        bucket: the panels that the calling loop runs over.
        started: the accumulators begin with what `bit_forms.channel_starts` says.
    """

    def __init__(self, build: Builder, step: Step, bucket: Bucket, label: str, *, started: bool = False) -> None:
        self._build, self._isa = build, build.isa
        self._out = build.view(step.output)
        self._rounded = step.requant.grid if step.requant else None
        self._kinds, self._bucket = bucket.kinds, bucket
        self._sequel: VectorSequel | None = None
        if step.sequel:
            self._sequel = VectorSequel(build, step, bucket.blocks, self._arranged, label)
        self._grid = self._sequel.grid if self._sequel else self._rounded
        # Memory holds what the sequel makes; what it begins with has no storage bias.
        bias = 0 if self._sequel else self._out.layout.storage.bias
        zero = 0 if self._rounded is None else self._rounded.zero_point + bias
        members = [channel for panel in bucket.panels for channel in range(panel.first, panel.first + panel.count)]
        self._ending = Ending(build, zero, bias, started, bits_sign(build.isa, step, zero, members))
        self._constants: list[BlockConstants] = []
        lanes = build.isa.lanes
        for block in range(bucket.blocks):
            rows = [_block_forms(step, panel, block, lanes) for panel in bucket.panels]
            if bucket.paired and block == bucket.blocks - 1:
                rows = [row[: lanes // 2] * 2 for row in rows]
            kind, number = bucket.kinds[block]
            arrays = COLUMNS[kind](rows, number, self._ending)
            views = {
                name: build.constant(f"{step.output}/{label}.{block}.{name}", array[:, None])
                for name, array in arrays.items()
            }
            self._constants.append(BlockConstants(views, lanes))

    def _arranged(self, values: NDArray[np.generic], block: int) -> NDArray[np.generic]:
        """(panels, lanes) of one number for each channel."""
        lanes, bucket = self._isa.lanes, self._bucket
        rows = np.array([_block_channels(panel, block, lanes, len(values)) for panel in bucket.panels])
        if bucket.paired and block == bucket.blocks - 1:
            rows = np.tile(rows[:, : lanes // 2], 2)
        return values[rows]

    def values(
        self, panel: Expr, block: int, accumulators: Sequence[Expr], places: Sequence[Sequence[Places]] = ()
    ) -> list[Expr]:
        """Vectors after requantization and sequel, in the numbers that memory holds, not yet clipped nor narrowed.

        Args:
            panel: index inside the bucket.
            accumulators: int32 vectors of one block.
            places: of each vector in each of `Step.others`; needed where the step has a sequel.
        """
        kind, number = self._kinds[block]
        constants = self._constants[block]
        if self._sequel is None:
            return VALUES[kind](self._ending, constants, panel, number, accumulators)
        shifted = kind in SHIFTED
        ending = replace(self._ending, zero=MAGIC_F32_BITS) if shifted else self._ending
        rounded = VALUES[kind](ending, constants, panel, number, accumulators)
        return self._sequel.values(rounded, places, panel, block, shifted=shifted)

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
            packed = self._narrowed(padded)
            at = 0
            while at < len(members):
                run = 1
                while _continues(offsets, counts, start, at + run, len(members), lanes):
                    run += 1
                total = (run - 1) * lanes + counts[start + at + run - 1]
                piece = range(at * lanes, at * lanes + total)
                self._store_pieces(places[start + at], packed, piece, step * lanes)
                at += run

    def store_halves(self, offsets: Sequence[tuple[Expr, Expr]], vectors: Sequence[Expr], count: int) -> None:
        """Clip, narrow and store vectors that hold channels of two positions, one in each half.

        Args:
            offsets: element offsets of the two in the output's memory.
            count: how many lanes of each half are real.
        """
        element, lanes = self._out.layout.storage.element, self._isa.lanes
        half = lanes // 2
        step = {"uint8": 4, "int16": 2}.get(element, 1)
        for start in range(0, len(vectors), step):
            members = list(vectors[start : start + step])
            if step == 1:
                packed = bind(members[0])
            else:
                packed = self._narrowed(members + [members[-1]] * (step - len(members)))
            for index, places in enumerate(offsets[start : start + step]):
                for side, place in enumerate(places):
                    first = index * lanes + side * half
                    self._store_pieces(place, packed, range(first, first + count), step * lanes)

    def closes_gaps(self, count: int) -> bool:
        """Whether `store_dense` is the way to write rows of `count` channels of which the last vector is not full."""
        narrow = self._out.layout.storage.element in ("uint8", "int16")
        return narrow and count % self._isa.lanes != 0 and count % _WORD == 0 and self._isa.lanes >= _FEWEST_TO_SHUFFLE

    def store_dense(self, offset: Expr, vectors: Sequence[Expr], order: Sequence[int]) -> None:
        """Clip and narrow vectors, and store some of their lanes one behind the other.

        Args:
            order: lanes of all vectors, counted through, in the order in which they are stored; neighbours come in
                words of four.
        """
        element, lanes = self._out.layout.storage.element, self._isa.lanes
        step = 4 if element == "uint8" else 2
        width = step * lanes
        packed = []
        for start in range(0, len(vectors), step):
            members = list(vectors[start : start + step])
            packed.append(self._narrowed(members + [members[-1]] * (step - len(members))))
        for start in range(0, len(order), width):
            part = order[start : start + width]
            self._store_pieces(offset + start, bind(gathered(packed, part, width)), range(len(part)), width)

    def _narrowed(self, vectors: Sequence[Expr]) -> Expr:
        element = self._out.layout.storage.element
        if element == "uint8":
            pack = self._isa.pack_bits if self._ending.sign else self._isa.pack_bytes
        else:
            pack = self._isa.pack_words
        return bind(self._clipped(pack(vectors), len(vectors) * self._isa.lanes, element))

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
            part = packed if size == width else self._part(packed, first, size, width)
            self._out.vstore(offset + done, part, size)
            done += size

    def _part(self, packed: Expr, first: int, size: int, width: int) -> Expr:
        """Elements first … first + size - 1 of a vector of `width`."""
        if self._out.layout.storage.element == "uint8" and (size, width) == (_WORD, 16) and first % _WORD == 0:
            # One lane of 32 bits; of four bytes LLVM makes a walk through general registers on Arm.
            word = shuffle([tirx.reinterpret("int32x4", packed)], [first // _WORD])
            return tirx.reinterpret("uint8x4", word)
        return shuffle([packed], range(first, first + size))

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

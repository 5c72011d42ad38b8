"""The inner product of convolutions and matrix products: panels of output channels over dense runs of activations.

For each output position the window is a few *runs* of neighbouring stored elements (for a convolution without dilation
one run of KW·C elements for each row of the kernel); each run is cut into groups, one for each dot product.
Weights lie in the order in which they are read: [panel][run][group][block][lane][group element]. What a run reads past
its end meets zero weights. The register tile is `rows` output positions × the blocks of a panel, times `chains`
independent sums where these alone would not hide the latency of the dot product.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.blob import wrapped
from edgeconv.codegen.builder import Builder, Memory, View, bind, const
from edgeconv.codegen.isa.base import Dot, Isa
from edgeconv.codegen.kernels.panels import Bucket, Finish, Panel
from edgeconv.codegen.kernels.tiles import UNROLLED_STEPS
from edgeconv.codegen.layout import Storage
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, T

__all__ = [
    "Offsets",
    "Product",
    "Runs",
    "byte_dot",
    "choose_chains",
    "choose_dot",
    "may_split",
    "product_fits",
    "stays_inside",
    "widened",
]

Offsets = Callable[[int], Expr]
"""Row of a tile -> element offset in a tensor's memory."""
_HIDING = 8  # independent sums that hide the latency of a dot product
_UNROLLED_RUNS = 7


@dataclass(frozen=True)
class Runs:
    """The runs of a window: `counts` × `strides` place them relative to the window's first element.

    Attributes:
        length: elements of one run.
    """

    counts: tuple[int, ...]
    strides: tuple[int, ...]
    length: int

    @property
    def number(self) -> int:
        """How many runs a window has."""
        return int(np.prod(self.counts, dtype=np.int64))

    def place(self, run: int) -> int:
        """Element offset of a run from the window's first element."""
        place = 0
        for count, stride in zip(reversed(self.counts), reversed(self.strides), strict=True):
            run, index = divmod(run, count)
            place += index * stride
        return place

    def groups(self, size: int) -> int:
        """Groups of `size` elements that cover a run."""
        return -(-self.length // size)


def choose_dot(isa: Isa, stored: str, weights: NDArray[np.int64], *, dense: bool = False) -> Dot | None:
    """The dot product for activations stored as `stored`; None where there is none for such weights.

    Where it takes wider activations than `stored`, they have to be `widened` first.

    Args:
        dense: every activation meets many weights, so that widening it first may pay.
    """
    if stored not in ("uint8", "int16"):
        return None
    lo, hi = int(weights.min(initial=0)), int(weights.max(initial=0))
    preferred = isa.dense_dot(stored, lo, hi) if dense else None
    if preferred is not None:
        return preferred
    return isa.dot(stored, lo, hi) or isa.dot("int16", lo, hi)


def byte_dot(isa: Isa, weights: NDArray[np.int64], *, any_offset: bool = False) -> Dot | None:
    """The dot product for vectors of stored bytes that differ from lane to lane; None where there is none.

    Args:
        any_offset: the caller uses `Dot.from_bytes` and makes good what `Dot.offset` takes off the activations.
    """
    dot = choose_dot(isa, "uint8", weights)
    return dot if dot is not None and dot.takes_bytes and (any_offset or dot.offset == 0) else None


def product_fits(dot: Dot, weights: NDArray[np.int64], bias: NDArray[np.int64], stored: tuple[int, int]) -> bool:
    """Whether no partial sum of stored activations can leave int32 in a way that matters.

    Args:
        weights: (outputs, …).
        bias: (outputs,), corrections for zero point and storage bias included.
        stored: smallest and largest stored activation.
    """
    return dot.wraps or stays_inside(weights, *_offset_sums(dot, weights, bias, stored))


def _offset_sums(
    dot: Dot, weights: NDArray[np.int64], bias: NDArray[np.int64], stored: tuple[int, int]
) -> tuple[NDArray[np.int64], tuple[int, int]]:
    """Bias and range of the activations as the dot product sees them, with its offset taken off."""
    sums = weights.reshape(len(weights), -1).sum(1)
    return bias + dot.offset * sums, (stored[0] - dot.offset, stored[1] - dot.offset)


def stays_inside(weights: NDArray[np.int64], bias: NDArray[np.int64], stored: tuple[int, int]) -> bool:
    """Whether no partial sum of stored activations, in any order, can leave int32 (arguments of `product_fits`)."""
    reach = max(abs(stored[0]), abs(stored[1]))
    largest = np.abs(weights).reshape(len(weights), -1).sum(1) * reach + np.abs(bias)
    return bool(largest.max(initial=0) < 1 << 31)


def may_split(dot: Dot, weights: NDArray[np.int64], bias: NDArray[np.int64], stored: tuple[int, int]) -> bool:
    """Whether sums may be split: the final additions, which unlike dot products must not overflow, cannot."""
    return stays_inside(weights, *_offset_sums(dot, weights, bias, stored))


def choose_chains(dot: Dot, accumulators: int, groups: int) -> int:
    """How many independent sums each accumulator of a tile is split into, where that is allowed (`may_split`).

    More than one only where the tile has few accumulators and long runs.
    """
    chains = max(1, _HIDING // (accumulators * dot.parts))
    while chains > 1 and groups < 4 * chains:
        chains //= 2
    return chains


def widened(build: Builder, view: View) -> View:
    """A copy of a uint8 tensor, halo included, as int16."""
    layout = view.layout
    copy = build.temporary("int16", layout.size + build.isa.lanes * 2)
    lanes = build.isa.lanes * 2
    with build.parallel(-(-layout.size // lanes)) as index:
        copy.vstore(index * lanes, view.vload(index * lanes, lanes).astype(f"int16x{lanes}"), lanes)
    build.barrier()
    return View(copy.memory, replace(layout, storage=Storage("int16", layout.storage.bias)), copy.origin)


class Product:
    """Emits register tiles for the panels of one bucket.

    Args:
        x: activations, of the type that `dot` takes.
        weights: (outputs, runs, run length) int64.
        bias: (outputs,), what an accumulator starts with, modulo 2³².
        packs: the panels as which the weights are packed, all of one shape: the bucket's panels, others like them, or
            wider ones of which the bucket's panels are blocks. One packing serves several buckets.
        started: the bias holds what `bit_forms.channel_starts` says.
    """

    def __init__(
        self,
        build: Builder,
        step: Step,
        bucket: Bucket,
        dot: Dot,
        runs: Runs,
        x: View,
        weights: NDArray[np.int64],
        bias: NDArray[np.int64],
        label: str,
        packs: Sequence[Panel] = (),
        *,
        started: bool = False,
    ) -> None:
        self._build, self._bucket, self._dot, self._runs, self._x = build, bucket, dot, runs, x
        self._lanes = build.isa.lanes
        self._groups = runs.groups(dot.group)
        narrow = weights.min(initial=0) >= -128 and weights.max(initial=0) <= 127
        self._element = "int8" if narrow else "int16"
        self._full = bucket.blocks - bucket.paired
        packs = packs or bucket.panels
        packed = np.stack([self._packed(panel, weights) for panel in packs])
        bias = bias + dot.offset * weights.reshape(len(weights), -1).sum(1)
        starts = np.stack([self._padded(bias, panel) for panel in bucket.panels])
        self._weights = build.constant(f"{step.output}/weights{label}", packed.astype(self._element))
        self._bias = build.constant(f"{step.output}/bias{label}", wrapped(starts))
        self._pack_blocks = packs[0].blocks
        self._panel_starts = self._starts(step, packs, label)
        self.finish = Finish(build, step, bucket, f"requant{label}", started=started)

    def _padded(self, values: NDArray[np.int64], panel: Panel) -> NDArray[np.int64]:
        """Rows of all lanes of a panel; those of a block for two positions stand in both of its halves."""
        size = panel.blocks * self._lanes
        members = values[panel.first : panel.first + panel.count]
        padded = np.concatenate([members, np.zeros((size - len(members), *values.shape[1:]), np.int64)])
        if self._bucket.paired:
            half = self._lanes // 2
            padded[size - half :] = padded[size - 2 * half : size - half]
        return padded

    def _packed(self, panel: Panel, weights: NDArray[np.int64]) -> NDArray[np.int64]:
        group = self._dot.group
        rows = self._padded(weights, panel)  # (block·lane, run, length)
        padded = np.zeros((*rows.shape[:2], self._groups * group), np.int64)
        padded[:, :, : rows.shape[2]] = rows
        split = padded.reshape(panel.blocks, self._lanes, self._runs.number, self._groups, group)
        return self._dot.arranged(split.transpose(2, 3, 0, 1, 4))

    def _starts(self, step: Step, packs: Sequence[Panel], label: str) -> Callable[[Expr], Expr]:
        """Where the weights of a panel of the bucket begin, in elements."""
        block = self._lanes * self._dot.group
        whole = self._runs.number * self._groups * self._pack_blocks * block
        places = {
            pack.first + index * self._lanes: number * whole + index * block
            for number, pack in enumerate(packs)
            for index in range(pack.blocks)
        }
        starts = np.array([places[panel.first] for panel in self._bucket.panels], np.int32)
        steps = np.unique(np.diff(starts))
        if len(steps) <= 1:
            return lambda panel: int(starts[0]) + panel * int(steps.sum())
        table = self._build.constant(f"{step.output}/starts{label}", starts)
        return lambda panel: bind(table.load([panel]))

    def tile(
        self,
        panel: Expr,
        windows: Sequence[Expr],
        outputs: Offsets,
        chains: int,
        dense: bool,
        others: Sequence[Offsets] = (),
    ) -> None:
        """Compute and store one tile.

        Args:
            panel: index inside the bucket.
            windows: element offset in x of each row's window; an even number where the bucket is paired.
            outputs: element offset in the output of a row's first channel of this panel.
            others: the same in each of `Step.others`.
            chains: independent sums per accumulator.
            dense: the rows of the tile follow one another without gap in the output.
        """
        blocks, lanes = self._bucket.blocks, self._lanes
        cells = self._cells(len(windows))
        parts = self._dot.parts
        if self._bucket.paired:
            halves = np.repeat(np.array([0, -1], np.int32), lanes // 2)
            self._upper = bind(self._build.constant(f"halves/{lanes}", halves).vload(0, lanes))
        acc = self._build.local("int32", chains * len(cells) * parts * lanes)
        if self._dot.products > 1:
            # LLVM steps pointers along windows that overlap by whole groups only where offsets are as wide as pointers.
            windows = [window if isinstance(window, int) else window.astype("int64") for window in windows]
        windows = [bind(window) if not isinstance(window, int) else window for window in windows]
        starts = [bind(self._bias.vload((panel * blocks + block) * lanes, lanes)) for block in range(blocks)]
        for slot in range(chains * len(cells) * parts):
            begins = parts == 1 and slot < len(cells)
            value = starts[cells[slot][1]] if begins else const(0, "int32", lanes)
            acc.store("int32", slot * lanes, value, lanes)
        self._sum(acc, self._panel_starts(panel), windows, chains)
        self._write(acc, panel, starts, len(windows), outputs, chains, dense, others)

    def _cells(self, rows: int) -> list[tuple[tuple[int, ...], int]]:
        """(rows, block) of every accumulator of a tile: one row, or two that share a vector of the last block."""
        cells: list[tuple[tuple[int, ...], int]] = []
        for row in range(rows):
            cells += [((row,), block) for block in range(self._full)]
            if self._bucket.paired and row % 2:
                cells.append(((row - 1, row), self._full))
        return cells

    def _get(self, acc: Memory, index: int) -> Expr:
        """Accumulator `index`: a vector, or a tuple of its parts."""
        parts, lanes = self._dot.parts, self._lanes
        vectors = tuple(acc.load("int32", (index * parts + part) * lanes, lanes) for part in range(parts))
        return vectors[0] if parts == 1 else vectors

    def _put(self, acc: Memory, index: int, value: Expr) -> None:
        parts, lanes = self._dot.parts, self._lanes
        for part, vector in enumerate((value,) if parts == 1 else value):
            acc.store("int32", (index * parts + part) * lanes, vector, lanes)

    def _sum(self, acc: Memory, begin: Expr, windows: Sequence[Expr], chains: int) -> None:
        per_run, number = self._groups, self._runs.number
        steps = number * per_run * len(self._cells(len(windows))) * max(1, self._dot.group // 4)
        if steps <= UNROLLED_STEPS:
            for run in range(number):
                self._groups_of(acc, begin, windows, self._runs.place(run), run * per_run, range(per_run), chains)
            return
        if number <= _UNROLLED_RUNS:
            for run in range(number):
                self._run(acc, begin, windows, self._runs.place(run), run * per_run, chains)
            return
        opaque = [self._build.opaque(count) for count in self._runs.counts]
        self._run_loops(acc, begin, windows, chains, opaque, [])

    def _run_loops(
        self, acc: Memory, begin: Expr, windows: Sequence[Expr], chains: int, counts: list[Expr], at: list[Expr]
    ) -> None:
        if len(at) < len(counts):
            with T.serial(0, counts[len(at)]) as index:
                self._run_loops(acc, begin, windows, chains, counts, [*at, index])
            return
        run: Expr = 0
        place: Expr = 0
        for index, count, stride in zip(at, self._runs.counts, self._runs.strides, strict=True):
            run, place = run * count + index, place + index * stride
        self._run(acc, begin, windows, place, run * self._groups, chains)

    def _run(self, acc: Memory, begin: Expr, windows: Sequence[Expr], place: Expr, first: Expr, chains: int) -> None:
        unit = max(chains, self._dot.span)
        whole = self._groups // unit if self._groups // unit > 1 else 0
        if whole:
            with self._build.loop(whole, opaque=True) as index:
                at, group = place + index * (unit * self._dot.group), first + index * unit
                self._groups_of(acc, begin, windows, at, group, range(unit), chains)
        rest = range(whole * unit, self._groups)
        self._groups_of(acc, begin, windows, place, first, rest, chains)

    def _groups_of(
        self,
        acc: Memory,
        begin: Expr,
        windows: Sequence[Expr],
        place: Expr,
        first: Expr,
        groups: range,
        chains: int,
    ) -> None:
        """Steps for some groups of a run, the activations loaded `span` groups at a time.

        Args:
            begin: offset of the panel's weights.
            place: of the run, relative to a window.
            first: index of the run's first group among the weights.
        """
        span, size = self._dot.span, self._dot.group
        for start in groups[::span]:
            places = [window + place + start * size for window in windows]
            loaded: list[Expr] = []
            for index in range(min(span, groups.stop - start)):
                group = start + index
                self._step(acc, begin, places, loaded, index, first + group, group % chains)

    def _step(
        self,
        acc: Memory,
        begin: Expr,
        places: Sequence[Expr],
        loaded: list[Expr],
        index: int,
        weight: Expr,
        chain: int,
    ) -> None:
        blocks, lanes, size = self._bucket.blocks, self._lanes, self._dot.group
        vectors = []
        for block in range(blocks):
            offset = begin + (weight * self._pack_blocks + block) * lanes * size
            memory, origin = self._weights.memory, self._weights.origin
            vectors.append(self._dot.weights(memory, self._element, origin + offset))
        rows: list[Expr] = []
        for row, place in enumerate(places):
            if len(loaded) == row:
                loaded.append(self._dot.activations(self._x, place))
            rows.append(self._dot.member(loaded[row], index))
        cells = self._cells(len(places))
        for number, (members, block) in enumerate(cells):
            activations = rows[members[0]]
            if len(members) > 1:
                activations = self._dot.joined(activations, rows[members[1]], self._upper)
            slot = chain * len(cells) + number
            self._put(acc, slot, self._dot.accumulate(self._get(acc, slot), activations, vectors[block]))

    def _write(
        self,
        acc: Memory,
        panel: Expr,
        starts: Sequence[Expr],
        rows: int,
        outputs: Offsets,
        chains: int,
        dense: bool,
        others: Sequence[Offsets],
    ) -> None:
        lanes, count = self._lanes, self._bucket.panels[0].count
        cells = self._cells(rows)
        values: dict[tuple[int, int], Expr] = {}
        for block in range(self._bucket.blocks):
            members = [index for index, cell in enumerate(cells) if cell[1] == block]
            sums = [self._total(acc, index, len(cells), chains, starts[block]) for index in members]
            added = [
                [tuple(other(row) + block * lanes for row in cells[index][0]) for other in others] for index in members
            ]
            finished = self.finish.values(panel, block, sums, added)
            for index, value in zip(members, finished, strict=True):
                values[cells[index][0][0], block] = value
        if dense and self.finish.closes_gaps(count):
            self._write_dense(values, rows, outputs(0), count)
            return
        if self._full:
            # Whole rows one behind the other are narrowed and stored together.
            together = dense and not self._bucket.paired and count % lanes == 0
            offsets: list[Expr] = []
            for row in range(rows):
                offsets += [None if together and row else outputs(row), *[None] * (self._full - 1)]
            counts = [min(lanes, count - block * lanes) for block in range(self._full)]
            vectors = [values[row, block] for row in range(rows) for block in range(self._full)]
            self.finish.store(offsets, vectors, counts * rows)
        if self._bucket.paired:
            done = self._full * lanes
            places = [(outputs(row) + done, outputs(row + 1) + done) for row in range(0, rows, 2)]
            self.finish.store_halves(places, [values[row, self._full] for row in range(0, rows, 2)], count - done)

    def _write_dense(self, values: dict[tuple[int, int], Expr], rows: int, first: Expr, count: int) -> None:
        """Store whole rows of `count` channels that follow one another although their last vectors are not full."""
        lanes, half = self._lanes, self._lanes // 2
        done = self._full * lanes
        vectors = [values[row, block] for row in range(rows) for block in range(self._full)]
        order: list[int] = []
        for row in range(rows):
            order += range(row * done, row * done + min(done, count))
            last = rows * done + row * half
            order += range(last, last + count - done)
        if self._bucket.paired:
            vectors += [values[row, self._full] for row in range(0, rows, 2)]
        self.finish.store_dense(first, vectors, order)

    def _total(self, acc: Memory, index: int, cells: int, chains: int, start: Expr) -> Expr:
        total = self._get(acc, index)
        for chain in range(1, chains):
            more = self._get(acc, chain * cells + index)
            total = total + more if self._dot.parts == 1 else tuple(a + b for a, b in zip(total, more, strict=True))
        return total if self._dot.parts == 1 else self._dot.total(total) + start

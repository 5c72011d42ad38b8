"""Convolutions, pools and products as passes: which bytes a window reads, and the weights that stand against them.

Everything that sums over a window becomes *lines*: outputs along one axis whose inputs advance by equal steps. A line
reads one run of bytes for each input row under its window, or one for each tap where that is shorter; bytes of a run
that belong to no tap have weight zero.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.compiler.memory import Buffer, View
from edgeconv.hw.compiler.passes import Channels, Pass, Reads, Writes
from edgeconv.hw.compiler.weights import digits, equal_steps, fits_nibbles, pack_words
from edgeconv.hw.spec import ACC_BITS, LANES, ArrayConfig

__all__ = ["Line", "Window"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Line:
    """Outputs that one descriptor can compute.

    Attributes:
        row_taps: taps along the first spatial axis, in the order of their input rows, which lie `row_step` apart.
        skip, rows: of these the first ones that are left out, and how many are read.
        first_row: input row of the first tap that is read.
        taps: (tap, input column for output 0) along the second axis.
        positions: number of outputs; output p reads `step`·p columns further.
        out, out_stride: place of output 0 and distance to the next, in bytes or results.
        weight: factor of all weights.
    """

    row_taps: tuple[int, ...]
    skip: int
    rows: int
    first_row: int
    row_step: int
    taps: tuple[tuple[int, int], ...]
    positions: int
    step: int
    out: int
    out_stride: int
    weight: int = 1


@dataclass(eq=False)
class Window:
    """What all lines of an operator have in common, and the passes they become.

    Attributes:
        layer: index of the layer.
        name: for messages.
        x: input; `index` is that of its elements as (C, H, W).
        w: integers (O, I, KH, KW); output channels fall into `groups` that read I input channels each.
        zero_point: integer that stands for zero.
        maximum: whether the largest value is wanted instead of the sum; all weights are 1 then.
        diagonal: whether output c reads input c alone, all with the same weights: `w` is (1, 1, KH, KW).
    """

    layer: int
    name: str
    x: View
    index: Ints
    w: Ints
    groups: int
    zero_point: int
    config: ArrayConfig
    maximum: bool = False
    diagonal: bool = False
    _packed: dict[object, NDArray[np.int8]] = field(default_factory=dict, init=False)

    def passes(self, line: Line, channels: Channels, to: Buffer | None) -> list[Pass]:
        """The passes of a line: one, or one for each output group where these do not read at equal distances.

        Args:
            to: the buffer that the results go to, or None for the result memory.

        Raises:
            UnsupportedModelError: the input's layout, a width or an accumulator does not fit the array; says which.
        """
        by_plane = digits(self.w * line.weight, self.name)
        self._check_sums(by_plane)
        # Nibbles double the outputs of a group: no gain where there are few of them.
        nibbles = len(by_plane) == 1 and fits_nibbles(by_plane) and len(channels) > self.config.elements
        nibbles = nibbles and not self.diagonal
        size = self.config.elements * (2 if nibbles else 1)
        starts, width = self._spans(len(channels), size)
        group_stride = self._group_stride(starts, width)
        if group_stride is not None:
            return [self._pass(line, channels, to, by_plane, range(len(starts)), starts, width, nibbles, group_stride)]
        return [
            self._pass(line, channels.part(g * size, size), to, by_plane, range(g, g + 1), starts, width, nibbles, 0)
            for g in range(len(starts))
        ]

    def _pass(
        self,
        line: Line,
        channels: Channels,
        to: Buffer | None,
        by_plane: Ints,
        groups: range,
        starts: list[int],
        width: int,
        nibbles: bool,
        group_stride: int,
    ) -> Pass:
        row, column = self._strides()
        size = self.config.elements * (2 if nibbles else 1)
        offsets, apart = self._offsets(line, starts[groups.start], width, column)
        # A maximum takes one tap a word, so rows become planes: there is nothing to multiply between them.
        planes = line.rows if self.maximum else max(len(by_plane), self.x.planes)
        runs = len(line.taps) if apart else line.rows
        beat = self.config.beat
        beats = size // beat if len(groups) > 1 else -(-len(channels) // beat)
        places = offsets - offsets.min()
        words = max(-(-(int(places.max()) + 1) // LANES), -(-beats // (planes * runs)))
        key = (line.row_taps, line.taps, line.weight, groups, words, apart, nibbles)
        if key not in self._packed:
            dense = self._dense(by_plane, line, groups, starts, size, places)
            if self.maximum:
                dense = dense[:, :, :1]
            self._packed[key] = pack_words(dense, self.config.elements, words, nibbles)
        step = line.row_step * row
        first = int(self.index[starts[groups.start], 0, 0]) + line.first_row * row + line.taps[0][1] * column
        zero = self.zero_point + self.x.offset
        return Pass(
            layer=self.layer,
            reads=Reads(
                buffer=self.x.buffer,
                base=first + int(offsets.min()),
                position_stride=line.step * column,
                positions=line.positions,
                run_stride=(equal_steps([at for _, at in line.taps]) or 0) * column if apart else step,
                plane_stride=step if self.maximum else self.x.plane_stride,
                group_stride=group_stride,
                bound=self._bound(line, row, column),
                bound_run_stride=0 if apart else step,
            ),
            writes=Writes(to, line.out + groups.start * size, line.out_stride),
            weights=self._packed[key],
            runs=runs,
            channels=channels,
            first_run=0 if apart else line.skip,
            planes=planes,
            beat=beat,
            zero_points=(zero >> 8, zero & 255) if self.x.planes > 1 else (zero, zero),
            nibbles=nibbles,
            maximum=self.maximum,
        )

    def _strides(self) -> tuple[int, int]:
        """Bytes from a row and from a column to the next; channels may lie anywhere, as they do in every column."""
        index = self.index
        row = int(index[0, 1, 0] - index[0, 0, 0]) if index.shape[1] > 1 else 0
        # With one column the others are padding, and must lie elsewhere.
        column = int(index[0, 0, 1] - index[0, 0, 0]) if index.shape[2] > 1 else int(np.ptp(index[:, 0, 0])) + 1
        steps = np.arange(index.shape[1])[:, None] * row + np.arange(index.shape[2]) * column
        if not np.array_equal(index[:, :1, :1] + steps, index):
            raise UnsupportedModelError(
                f"{self.name}: its input does not lie in equal steps in memory",
                expected="rows and columns at equal distances",
                advice="a convolution or a requantization before it writes the tensor anew",
            )
        return row, column

    def _spans(self, outputs: int, size: int) -> tuple[list[int], int]:
        """First input channel that each output group reads, and the number of channels, the same for all."""
        firsts = range(0, outputs, size)
        if self.diagonal:
            return list(firsts), size
        per_group, inputs = outputs // self.groups, self.w.shape[1]
        starts = [first // per_group * inputs for first in firsts]
        stops = [((min(first + size, outputs) - 1) // per_group + 1) * inputs for first in firsts]
        return starts, max(stop - start for start, stop in zip(starts, stops, strict=True))

    def _group_stride(self, starts: list[int], width: int) -> int | None:
        """Bytes from the channels of an output group to those of the next, None where they are not the same."""
        first = self._channel_bytes(starts[0], width)
        if any(not np.array_equal(self._channel_bytes(start, width), first) for start in starts[1:]):
            return None
        return equal_steps([int(self.index[start, 0, 0]) for start in starts])

    def _channel_bytes(self, start: int, width: int) -> Ints:
        """Bytes of the channels of a span relative to its first one; a span may reach past the last channel."""
        known = self.index[start : start + width, 0, 0] - self.index[start, 0, 0]
        beyond = np.arange(1, width - len(known) + 1)
        return np.concatenate([known, known[-1] + beyond])

    def _offsets(self, line: Line, start: int, width: int, column: int) -> tuple[Ints, bool]:
        """Byte of each tap and channel of a run relative to the first of them, and whether taps have runs of their own.

        Taps have where that reads fewer words. Then the bytes are those of one tap: (1, channels).
        """
        channels = self._channel_bytes(start, width)
        columns = [at for _, at in line.taps]
        joined = (np.array(columns) - columns[0])[:, None] * column + channels
        if self.maximum:
            return channels[None], True
        regular = len(line.row_taps) == 1 and len(columns) > 1 and equal_steps(columns) is not None
        words = [-(-(int(np.ptp(each)) + 1) // LANES) for each in (joined, channels)]
        if regular and words[1] * len(columns) < words[0]:
            return channels[None], True
        return joined, False

    def _bound(self, line: Line, row: int, column: int) -> tuple[int, int] | None:
        """Bytes of the first row of the window, None where the line stays inside of its rows.

        Raises:
            UnsupportedModelError: what counts as padding lies between bytes of the row.
        """
        columns = np.array([at for _, at in line.taps])[:, None] + np.arange(line.positions) * line.step
        outside = columns[(columns < 0) | (columns >= self.index.shape[2])]
        if not outside.size:
            return None
        channels = self.index[:, 0, 0] + line.first_row * row
        lo, hi = int(channels.min()), int(channels.max()) + 1
        ends = sorted((0, (self.index.shape[2] - 1) * column))
        bound = lo + ends[0], hi + ends[1]
        padding = outside * column
        if np.any((hi + padding > bound[0]) & (lo + padding < bound[1])):
            raise UnsupportedModelError(
                f"{self.name}: padding of a tensor whose positions interleave in memory",
                advice="a convolution or a requantization before it writes the tensor anew",
            )
        return bound

    def _dense(self, by_plane: Ints, line: Line, groups: range, starts: list[int], size: int, places: Ints) -> Ints:
        """Weights by output group, plane, run, byte of the run, and output channel of the group."""
        apart = self.maximum or len(places) < len(line.taps)
        runs = len(line.taps) if apart else len(line.row_taps)
        kinds = groups[:1] if self.diagonal else groups
        dense = np.zeros((len(kinds), len(by_plane), runs, int(places.max()) + 1, size), np.int64)
        outputs, inputs = self.w.shape[0], self.w.shape[1]
        for group in kinds:
            for channel in range(size if self.diagonal else min(size, outputs - group * size)):
                output = 0 if self.diagonal else group * size + channel
                first = channel if self.diagonal else output * self.groups // outputs * inputs - starts[group]
                reads = slice(first, first + inputs)
                for row, row_tap in enumerate(line.row_taps):
                    for column, (tap, _) in enumerate(line.taps):
                        run, at = (column, places[0]) if apart else (row, places[column])
                        values = by_plane[:, output, :, row_tap, tap]
                        dense[group - groups.start, :, run, at[reads], channel] = values.T
        return dense

    def _check_sums(self, by_plane: Ints) -> None:
        """Raise where a sum may leave the accumulator, whatever the inputs are."""
        # Plane by plane: acc·256 plus the digits' products, each partial sum bounded by the sum of magnitudes.
        reach = max(abs(self.x.lo - self.zero_point), abs(self.x.hi - self.zero_point), 255)
        magnitudes = np.abs(by_plane).sum(axis=(2, 3, 4), dtype=object)
        largest = max(
            reach * sum(int(plane[k]) * 256 ** (len(by_plane) - 1 - i) for i, plane in enumerate(magnitudes))
            for k in range(by_plane.shape[1])
        )
        if largest >= 1 << (ACC_BITS - 1):
            raise UnsupportedModelError(
                f"{self.name}: sums up to {largest} may leave the accumulator",
                expected=f"{ACC_BITS} bits",
                advice="fewer taps, or weights and inputs of 8 bits",
            )

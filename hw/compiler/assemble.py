"""From passes to an image: weights, constants, tables and descriptors in their memories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.compiler.image import bus_writes, split_words
from edgeconv.hw.compiler.passes import Channels, Pass
from edgeconv.hw.compiler.schedule import Schedule, absolute_bounds, run_distance
from edgeconv.hw.spec import (
    DESCRIPTOR,
    DESCRIPTOR_WORDS,
    PARAMETER,
    SELECT,
    ArrayConfig,
    pack,
)

__all__ = ["Memories", "require"]


def require(used: int, size: int, what: str, unit: str) -> None:
    """Raise where a network needs more of a memory than there is.

    Raises:
        UnsupportedModelError: names the memory, what is needed and what is there.
    """
    if used > size:
        raise UnsupportedModelError(
            f"the network needs {used} {unit} of {what}",
            expected=f"at most {size} {unit} on this configuration of the accelerator",
            advice="a smaller network, 4-bit weights, or another target",
        )


@dataclass
class Memories:
    """Contents of the weight, parameter and table memories; equal contents are stored once."""

    config: ArrayConfig
    weights: list[NDArray[np.int8]] = field(default_factory=list)
    weight_words: int = 0
    channels: list[Channels] = field(default_factory=list)
    parameter_words: int = 0
    tables: list[bytes] = field(default_factory=list)
    _weights_at: dict[bytes, int] = field(default_factory=dict)
    _channels_at: dict[bytes, int] = field(default_factory=dict)

    def add_weights(self, weights: NDArray[np.int8]) -> int:
        """Address of the first word of a pass's weights (groups, planes, runs, words, elements, lanes)."""
        key = str(weights.shape[:4]).encode() + weights.tobytes()
        if key not in self._weights_at:
            self._weights_at[key] = self.weight_words
            flat = weights.reshape(-1, *weights.shape[4:])
            self.weights.append(flat)
            self.weight_words += len(flat)
        return self._weights_at[key]

    def add_channels(self, channels: Channels) -> int:
        """Address of the first parameter word of a pass."""
        arrays = (channels.multiplier, channels.shift, channels.even)
        key = b"".join(each.tobytes() for each in arrays) + repr(channels.addend).encode()
        if key not in self._channels_at:
            self._channels_at[key] = self.parameter_words
            self.channels.append(channels)
            self.parameter_words += -(-len(channels) // self.config.beat)
        return self._channels_at[key]

    def add_table(self, table: NDArray[np.uint8]) -> int:
        """Number of a table."""
        data = table.tobytes()
        if data not in self.tables:
            self.tables.append(data)
        return self.tables.index(data)

    def writes(self, descriptors: Sequence[int]) -> NDArray[np.void]:
        """Everything as bus writes."""
        rows = [*self._weight_rows(), *self._parameter_rows(), *self._table_rows()]
        for number, descriptor in enumerate(descriptors):
            for word, data in enumerate(split_words(descriptor, DESCRIPTOR_WORDS)):
                rows.append((SELECT["descriptors"], number * DESCRIPTOR_WORDS + word, data))
        return bus_writes(rows)

    def _weight_rows(self) -> Iterator[tuple[int, int, int]]:
        if not self.weights:
            return
        words = np.ascontiguousarray(np.concatenate(self.weights)).view("<u8")[..., 0]  # (words, elements)
        for address, row in enumerate(words.tolist()):
            for element, data in enumerate(row):
                yield SELECT["weights"], element << 16 | address, data

    def _parameter_rows(self) -> Iterator[tuple[int, int, int]]:
        word, beat = 0, self.config.beat
        for channels in self.channels:
            columns = (channels.multiplier.tolist(), channels.shift.tolist(), channels.even.tolist(), channels.addend)
            for number, (multiplier, shift, even, addend) in enumerate(zip(*columns, strict=True)):
                values = {"multiplier": multiplier, "shift": shift, "even": even, "addend": addend}
                place = (word + number // beat) << 4 | (number % beat) << 1
                for half, data in enumerate(split_words(pack(PARAMETER, values), 2)):
                    yield SELECT["parameters"], place | half, data
            word += -(-len(channels) // beat)

    def _table_rows(self) -> Iterator[tuple[int, int, int]]:
        for number, table in enumerate(self.tables):
            for index, value in enumerate(table):
                yield SELECT["tables"], number * 256 + index, value


def descriptors(passes: Sequence[Pass], schedule: Schedule, memories: Memories) -> list[int]:
    """The descriptors of all passes, as integers of DESCRIPTOR_WORDS words.

    Raises:
        UnsupportedModelError: a value does not fit its field; names the field.
    """
    found = []
    for number, (each, delay) in enumerate(zip(passes, schedule.delays, strict=True)):
        values = _values(each, memories) | {"delay": delay, "last_layer": int(number == len(passes) - 1)}
        try:
            words = [pack(word, values) for word in DESCRIPTOR]
        except OverflowError as error:
            raise UnsupportedModelError(
                f"pass {number} of the network: descriptor field {error}", advice="a smaller layer"
            ) from error
        found.append(sum(word << 64 * index for index, word in enumerate(words)))
    return found


def _values(each: Pass, memories: Memories) -> dict[str, int]:
    reads, writes, channels = each.reads, each.writes, each.channels
    groups, planes, runs, words = each.weights.shape[:4]
    lo, hi = absolute_bounds(each)
    to_results = writes.buffer is None
    unit = each.beat if to_results else 1
    base = writes.base + (writes.buffer.base if writes.buffer else 0)
    return {
        "x_base": reads.buffer.base + reads.base,
        "x_position_stride": reads.position_stride,
        "x_run_stride": run_distance(each),
        "x_plane_stride": reads.plane_stride,
        "x_group_stride": reads.group_stride,
        "bound_run_stride": reads.bound_run_stride,
        "bound_lo": lo,
        "bound_hi": hi,
        "out_base": base // unit,
        "words": each.words - 1,
        "runs": each.runs - 1,
        "planes": each.planes - 1,
        "positions": reads.positions - 1,
        "groups": each.groups - 1,
        "w_base": memories.add_weights(each.weights) + each.first_run * words,
        "w_run_stride": words if runs > 1 else 0,
        "w_plane_stride": runs * words if planes > 1 else 0,
        "w_group_stride": planes * runs * words if groups > 1 else 0,
        "out_position_stride": writes.position_stride // unit,
        "out_group_stride": each.group_size // unit,
        "p_base": memories.add_channels(channels),
        "p_group_stride": each.beats,
        "clip_lo": channels.lo,
        "clip_hi": channels.hi,
        "zero_point": each.zero_points[0],
        "zero_point_low": each.zero_points[1],
        "beats": each.beats % 8,
        "last_beats": each.last_beats % 8,
        "last_bytes": each.last_channels - (each.last_beats - 1) * each.beat,
        "maximum": int(each.maximum),
        "nibbles": int(each.nibbles),
        "to_results": int(to_results),
        "use_table": int(channels.table is not None),
        "table_index": 0 if channels.table is None else memories.add_table(channels.table),
        "odd": int(channels.odd),
    }

"""A pass: what one descriptor makes the array do, before addresses are known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.hw.compiler.memory import Buffer

__all__ = ["Channels", "Layer", "Pass", "Reads", "Writes"]


@dataclass(frozen=True, eq=False)
class Channels:
    """Requantization of the channels of a pass: result = clip((acc·multiplier + addend) >> shift, lo, hi).

    Attributes:
        multiplier, shift, even: int64 arrays, one entry per channel; `even` where ties go to the even integer.
        addend: Python integers, one per channel.
        odd: whether the output's zero point is odd.
        table: 256 bytes by the byte before the table, or None.
    """

    multiplier: NDArray[np.int64]
    shift: NDArray[np.int64]
    even: NDArray[np.int64]
    addend: tuple[int, ...]
    lo: int
    hi: int
    odd: bool = False
    table: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.addend)

    def part(self, first: int, count: int) -> Channels:
        """The channels from `first` on, `count` of them or as many as there are."""
        cut = slice(first, first + count)
        arrays = (self.multiplier[cut], self.shift[cut], self.even[cut])
        return Channels(*arrays, self.addend[cut], self.lo, self.hi, self.odd, self.table)


@dataclass(frozen=True, eq=False)
class Reads:
    """Which bytes a pass reads: position p, plane l, run r, output group g begin at the sum of base and strides.

    Attributes:
        buffer: the base is relative to it.
        second: buffer of the second run, where that lies in another one; `second_base` is relative to it.
        bound: bytes [lo, hi) relative to the buffer that count, moved by `bound_run_stride` from run to run.
    """

    buffer: Buffer
    base: int
    position_stride: int
    positions: int
    run_stride: int = 0
    plane_stride: int = 0
    group_stride: int = 0
    bound: tuple[int, int] | None = None
    bound_run_stride: int = 0
    second: Buffer | None = None
    second_base: int = 0


@dataclass(frozen=True, eq=False)
class Writes:
    """Where the results of a pass go: position p, channel c to base + p·position_stride + c.

    Attributes:
        buffer: None for the result memory, whose places are counted in results.
    """

    buffer: Buffer | None
    base: int
    position_stride: int


@dataclass(frozen=True, eq=False)
class Pass:
    """One descriptor.

    Attributes:
        layer: index of the layer it belongs to.
        weights: int8 (groups or 1, planes or 1, runs or 1, words, elements, lanes), 1 where they are the same for all;
            passes may share an array and read some of its runs.
        first_run, runs: which runs of the weights it reads, one after the other.
        beat: results that the configuration writes in a cycle.
        zero_points: of plane 0 and of the others.
        nibbles: whether weights are packed by two, which doubles the group size.
        maximum: whether the largest value is taken instead of the sum.
    """

    layer: int
    reads: Reads
    writes: Writes
    weights: NDArray[np.int8]
    runs: int
    channels: Channels
    beat: int
    first_run: int = 0
    planes: int = 1
    zero_points: tuple[int, int] = (0, 0)
    nibbles: bool = False
    maximum: bool = False

    @property
    def group_size(self) -> int:
        """Output channels of a group."""
        return self.weights.shape[4] * (2 if self.nibbles else 1)

    @property
    def groups(self) -> int:
        """Output groups."""
        return -(-len(self.channels) // self.group_size)

    @property
    def words(self) -> int:
        """Words of a run."""
        return self.weights.shape[3]

    @property
    def interval(self) -> int:
        """Cycles of a position of a group."""
        return self.planes * self.runs * self.words

    @property
    def beats(self) -> int:
        """Writes of a group that is not the last one."""
        return self.group_size // self.beat

    @property
    def last_channels(self) -> int:
        """Output channels of the last group."""
        return len(self.channels) - (self.groups - 1) * self.group_size

    @property
    def last_beats(self) -> int:
        """Writes of the last group."""
        return -(-self.last_channels // self.beat)

    @property
    def issue_cycles(self) -> int:
        """Cycles in which the pass issues words: all of them, from its first one."""
        return self.groups * self.reads.positions * self.interval


@dataclass(frozen=True, eq=False)
class Layer:
    """One operator of the program, or several that were fused, on the array.

    Attributes:
        output: tensor it writes.
        operators: outputs of the operators it computes, in order.
        macs: useful multiply-accumulates.
    """

    output: str
    keyword: str
    origin: str
    macs: int
    operators: tuple[str, ...]

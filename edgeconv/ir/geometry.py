"""Window geometry shared by convolution and pooling: the one place where it stands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import lcm

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import ProgramError


@dataclass(frozen=True)
class Window:
    """A sliding window over the spatial axes.

    Attributes:
        kernel: extent along each spatial axis, in taps.
        strides, dilations: one integer per spatial axis.
        pads: begins of all spatial axes, then ends (the order of ONNX).
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]

    @staticmethod
    def of(
        kernel: tuple[int, ...],
        strides: tuple[int, ...] | None = None,
        dilations: tuple[int, ...] | None = None,
        pads: tuple[int, ...] | None = None,
    ) -> Window:
        """A window with stride 1, dilation 1 and no padding unless given."""
        rank = len(kernel)
        return Window(kernel, strides or (1,) * rank, dilations or (1,) * rank, pads or (0,) * (2 * rank))

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel)

    def begin(self, axis: int) -> int:
        """Padding before spatial axis `axis`."""
        return self.pads[axis]

    def end(self, axis: int) -> int:
        """Padding after spatial axis `axis`."""
        return self.pads[self.rank + axis]

    def reach(self, axis: int) -> int:
        """Extent of the dilated window along `axis`."""
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1

    def output_shape(self, spatial: tuple[int, ...]) -> tuple[int, ...]:
        """Output extents for input extents `spatial`.

        Raises:
            ProgramError: an extent would be less than 1, or the lists do not fit the rank.
        """
        self._check(spatial)
        extents = []
        for axis, extent in enumerate(spatial):
            free = extent + self.begin(axis) + self.end(axis) - self.reach(axis)
            if free < 0:
                raise ProgramError(
                    f"window of {self.reach(axis)} taps is longer than the padded input "
                    f"({extent} + {self.begin(axis)} + {self.end(axis)}) on spatial axis {axis}"
                )
            extents.append(free // self.strides[axis] + 1)
        return tuple(extents)

    def _check(self, spatial: tuple[int, ...]) -> None:
        rank = len(spatial)
        lengths = (len(self.kernel), len(self.strides), len(self.dilations), len(self.pads) / 2)
        if any(length != rank for length in lengths):
            raise ProgramError(
                f"window of {lengths[0]} kernel, {lengths[1]} stride, {lengths[2]} dilation and {len(self.pads)} pad "
                f"entries over {rank} spatial axes"
            )
        if min(self.kernel + self.strides + self.dilations) < 1 or min(self.pads) < 0:
            raise ProgramError(f"kernel, strides and dilations must be at least 1 and pads at least 0: {self}")

    def counts(self, spatial: tuple[int, ...], counted_pads: tuple[int, ...]) -> NDArray[np.int64]:
        """How many taps of each output position fall inside the input extended by `counted_pads`."""
        result = np.ones((), np.int64)
        for axis, out in enumerate(self.output_shape(spatial)):
            first = np.arange(out) * self.strides[axis] - self.begin(axis)
            taps = first[:, None] + np.arange(self.kernel[axis]) * self.dilations[axis]
            inside = (taps >= -counted_pads[axis]) & (taps < spatial[axis] + counted_pads[self.rank + axis])
            result = np.multiply.outer(result, inside.sum(1))
        return result

    def count_multiple(self, spatial: tuple[int, ...], counted_pads: tuple[int, ...]) -> int:
        """Least common multiple of all `counts`: the denominator of an average whose divisor varies at borders."""
        counts = np.unique(self.counts(spatial, counted_pads))
        if counts[0] < 1:
            raise ProgramError("an average-pool window lies wholly in the padding")
        return lcm(*(int(count) for count in counts))


@dataclass(frozen=True)
class Phase:
    """The outputs of a transposed window whose index is `first` modulo the stride, along one axis.

    Output first + stride·m reads, for each k, the input m + offsets[k] under tap taps[k].

    Attributes:
        count: how many such outputs there are.
        taps, offsets: in the order of increasing offset; none where no tap falls on these outputs.
    """

    first: int
    count: int
    taps: tuple[int, ...]
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class TransposedWindow:
    """The window of a transposed convolution: input i reaches output i·stride + tap·dilation - begin.

    Attributes:
        kernel, strides, dilations: one integer per spatial axis.
        pads: begins of all spatial axes, then ends: positions cut from the full result.
        output_padding: positions added at the end of each spatial axis, which only the bias reaches where no tap does.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]
    output_padding: tuple[int, ...]

    @property
    def rank(self) -> int:
        """Number of spatial axes."""
        return len(self.kernel)

    def full_extent(self, axis: int, extent: int) -> int:
        """Extent along `axis` before pads are cut, output padding included."""
        reach = (self.kernel[axis] - 1) * self.dilations[axis] + 1
        return (extent - 1) * self.strides[axis] + reach + self.output_padding[axis]

    def output_shape(self, spatial: tuple[int, ...]) -> tuple[int, ...]:
        """Output extents for input extents `spatial`.

        Raises:
            ProgramError: an extent would be less than 1, or the lists do not fit the rank.
        """
        rank = len(spatial)
        lists = (self.kernel, self.strides, self.dilations, self.output_padding)
        if any(len(values) != rank for values in lists) or len(self.pads) != 2 * rank:
            raise ProgramError(f"transposed window {self} over {rank} spatial axes")
        if min(self.kernel + self.strides + self.dilations) < 1 or min(self.pads + self.output_padding) < 0:
            raise ProgramError(
                f"kernel, strides and dilations must be at least 1, pads and output padding at least 0: {self}"
            )
        extents = tuple(
            self.full_extent(axis, extent) - self.pads[axis] - self.pads[rank + axis]
            for axis, extent in enumerate(spatial)
        )
        if min(extents) < 1:
            raise ProgramError(f"pads {self.pads} leave nothing of a transposed convolution over {spatial}")
        return extents

    def phases(self, axis: int, extent: int) -> tuple[Phase, ...]:
        """The sub-convolutions of stride 1 that together make the outputs along `axis`, `extent` of them."""
        stride, dilation, begin = self.strides[axis], self.dilations[axis], self.pads[axis]
        phases = []
        for first in range(min(stride, extent)):
            reached = [t for t in range(self.kernel[axis]) if (first + begin - t * dilation) % stride == 0]
            taps = tuple(reversed(reached))
            offsets = tuple((first + begin - t * dilation) // stride for t in taps)
            phases.append(Phase(first, (extent - first - 1) // stride + 1, taps, offsets))
        return tuple(phases)


BORDERS: dict[str, Callable[[int, int], int]] = {
    "edge": lambda position, extent: min(max(position, 0), extent - 1),
    "wrap": lambda position, extent: position % extent,
    "reflect": lambda position, extent: _reflected(position, extent),
}
"""Borders that repeat what is inside: the element that stands at a position before 0 or from `extent` on."""


def _reflected(position: int, extent: int) -> int:
    """Mirrored at the first and at the last element, which are not repeated, as often as it takes."""
    if extent == 1:
        return 0
    period = 2 * (extent - 1)
    return min(position % period, period - position % period)


def border_sources(mode: str, extent: int, begin: int, end: int) -> tuple[int, ...]:
    """The input position that each output position reads along an axis padded in a mode of `BORDERS`."""
    return tuple(BORDERS[mode](position, extent) for position in range(-begin, extent + end))

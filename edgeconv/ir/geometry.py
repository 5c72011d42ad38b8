"""Window geometry shared by convolution and pooling: the one place where it stands."""

from __future__ import annotations

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

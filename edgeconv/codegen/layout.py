"""How a tensor lies in memory: element type, order of axes, halo.

Inside the arena values of at most 8 bits are carried as uint8 (signed ones as q + 128), values of 9 to 16 bits as int16
(u16 as q - 32768), wider ones as int32 or int64. So a kernel meets four integer element types, whatever the program's.
Tensors with channels and one or two spatial axes are channels-last and dense, inside a halo that holds the padding of
the convolutions that read them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import DType

__all__ = ["Halo", "Layout", "Storage", "channels_last", "container_of", "row_major", "storage_of"]

Component = tuple[int, int]
"""Extent and stride (in elements) of one factor of a logical axis."""


@dataclass(frozen=True)
class Storage:
    """Element type in memory; the stored number is the value plus `bias`."""

    element: str
    bias: int = 0

    @property
    def bytes(self) -> int:
        """Bytes of one element."""
        return np.dtype(self.element).itemsize


def storage_of(dtype: DType) -> Storage:
    """How the arena stores values of `dtype`."""
    if dtype.is_float:
        return Storage("float32")
    if dtype.bits <= 8:
        return Storage("uint8", 128 if dtype.signed else 0)
    if dtype.bits <= 16:
        return Storage("int16", -32768 if not dtype.signed and dtype.bits == 16 else 0)
    fits_int32 = dtype.bits <= (32 if dtype.signed else 31)
    return Storage("int32" if fits_int32 else "int64")


def container_of(dtype: DType) -> Storage:
    """How a user's array stores values of `dtype`: its container, as it is."""
    return Storage(str(dtype.container))


@dataclass(frozen=True)
class Halo:
    """A border around the spatial axes: `pads` gives begins of all spatial axes, then ends; `value` fills it."""

    pads: tuple[int, ...]
    value: int

    def covers(self, pads: tuple[int, ...], value: int) -> bool:
        """Whether a window with these pads and this padding value may read the halo instead of checking bounds."""
        return self.value == value and all(have >= need for have, need in zip(self.pads, pads, strict=True))

    def union(self, other: Halo) -> Halo:
        """The halo that covers both, with the value of this one."""
        return Halo(tuple(map(max, self.pads, other.pads)), self.value)


@dataclass(frozen=True)
class Layout:
    """Where each element of a tensor lies, in elements from the start of its memory.

    Attributes:
        storage: element type in memory.
        axes: for each logical axis its components, most significant first; their extents multiply to the axis.
        base: offset of element (0, …, 0).
        size: elements from the start to the end of the memory, halo included.
        halo: border around the spatial axes, or None.
        order: "row_major", "channels_last" or "view" (an alias of another tensor's memory).
    """

    storage: Storage
    axes: tuple[tuple[Component, ...], ...]
    base: int
    size: int
    order: str
    halo: Halo | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The logical shape."""
        return tuple(prod(extent for extent, _ in axis) for axis in self.axes)

    @property
    def bytes(self) -> int:
        """Bytes of the memory."""
        return self.size * self.storage.bytes

    def stride(self, axis: int) -> int:
        """Stride of a logical axis in elements; the axis must have one component."""
        ((_, stride),) = self.axes[axis]
        return stride

    def offset(self, indices: Sequence[Any]) -> Any:
        """Element offset of a logical position: Python integers, arrays or TIR expressions."""
        total: Any = self.base
        for index, components in zip(indices, self.axes, strict=True):
            below = prod(extent for extent, _ in components)
            for position, (extent, stride) in enumerate(components):
                below //= extent
                digit = index if below == 1 else index // below
                if position and extent > 1:
                    digit = digit % extent
                # Also along an axis of one element: what reads a halo leaves it.
                total = total + digit * stride
        return total

    def offsets(self) -> NDArray[np.int64]:
        """Element offset of every logical position, in an array of the logical shape."""
        grid = np.ix_(*(np.arange(extent) for extent in self.shape))
        return np.broadcast_to(np.asarray(self.offset(grid), np.int64), self.shape)

    @property
    def rows(self) -> tuple[int, int, int] | None:
        """(rows, length, stride): the memory as equal dense rows in storage order, or None for views and batches.

        Elements of two layouts with equal shape, order and rows correspond one to one, row by row.
        """
        if self.order == "row_major":
            return 1, self.size, self.size
        if self.order != "channels_last" or self.shape[0] != 1:
            return None
        channels, width = self.shape[1], self.shape[-1]
        if len(self.shape) == 3:
            return 1, width * channels, width * channels
        height, stride = self.shape[2], self.stride(2)
        if stride == width * channels:
            return 1, height * stride, height * stride
        return height, width * channels, stride

    def reshaped(self, shape: tuple[int, ...]) -> Layout | None:
        """The same memory under another shape (row-major correspondence), or None where components would be cut."""
        flat = [component for axis in self.axes for component in axis if component[0] > 1]
        axes: list[tuple[Component, ...]] = []
        for extent in shape:
            taken: list[Component] = []
            while extent > 1:
                if not flat:
                    return None
                have, stride = flat.pop(0)
                if extent % have == 0:
                    taken.append((have, stride))
                    extent //= have
                elif have % extent == 0:
                    taken.append((extent, stride * (have // extent)))
                    flat.insert(0, (have // extent, stride))
                    extent = 1
                else:
                    return None
            axes.append(_merge(taken) if taken else ((1, 0),))
        return Layout(self.storage, tuple(axes), self.base, self.size, "view")

    def same_places(self, other: Layout) -> bool:
        """Whether every element of the two lies at the same offset of equally long memories."""
        if (self.shape, self.base, self.size) != (other.shape, other.base, other.size):
            return False
        pairs = zip(self.axes, other.axes, strict=True)
        return all(mine == theirs or prod(extent for extent, _ in mine) == 1 for mine, theirs in pairs)

    def permuted(self, permutation: tuple[int, ...]) -> Layout:
        """The same memory with logical axes in another order."""
        return Layout(self.storage, tuple(self.axes[axis] for axis in permutation), self.base, self.size, "view")


def _merge(components: list[Component]) -> tuple[Component, ...]:
    merged = [components[0]]
    for extent, stride in components[1:]:
        before, before_stride = merged[-1]
        if before_stride == extent * stride:
            merged[-1] = (before * extent, stride)
        else:
            merged.append((extent, stride))
    return tuple(merged)


def row_major(shape: tuple[int, ...], storage: Storage) -> Layout:
    """The dense layout of a numpy array."""
    axes = []
    for axis, extent in enumerate(shape):
        axes.append(((extent, prod(shape[axis + 1 :])),))
    return Layout(storage, tuple(axes), 0, prod(shape), "row_major")


def channels_last(shape: tuple[int, ...], storage: Storage, halo: Halo | None = None) -> Layout:
    """(N, C, W) as N·W·C, (N, C, H, W) as N·H·W·C, the spatial axes extended by the halo."""
    samples, channels, *spatial = shape
    rank = len(spatial)
    pads = halo.pads if halo else (0,) * (2 * rank)
    stride, base, strides = channels, 0, [0] * rank
    for axis in reversed(range(rank)):
        strides[axis] = stride
        base += pads[axis] * stride
        stride *= spatial[axis] + pads[axis] + pads[rank + axis]
    spatial_axes = tuple(((extent, step),) for extent, step in zip(spatial, strides, strict=True))
    axes = (((samples, stride),), ((channels, 1),), *spatial_axes)
    return Layout(storage, axes, base, samples * stride, "channels_last", halo)

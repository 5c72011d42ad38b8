"""Operators that move integers without arithmetic: max_pool, concat, slice, pad, reshape, transpose, resize."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from edgeconv.ir.geometry import BORDERS, Window, border_sources
from edgeconv.ir.operators.base import Operator, require, require_integer
from edgeconv.ir.types import TensorType


@dataclass(frozen=True)
class MaxPool(Operator):
    """The largest value under a window over 1 or 2 spatial axes; padding never wins."""

    keyword: ClassVar[str] = "max_pool"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: tuple[int, ...]

    @property
    def window(self) -> Window:
        """The sliding window."""
        return Window(self.kernel, self.strides, self.dilations, self.pads)

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x = types[self.x]
        require_integer(self.x, x)
        require(len(x.shape) in (3, 4), f"max_pool over a tensor of shape {x.shape}", "rank 3 (1-D) or 4 (2-D)")
        spatial = self.window.output_shape(x.shape[2:])
        require(self.window.counts(x.shape[2:], (0,) * len(self.pads)).min() > 0, "a window lies wholly in the padding")
        return TensorType((*x.shape[:2], *spatial), x.dtype)


@dataclass(frozen=True)
class Concat(Operator):
    """Tensors of one type joined along `axis`."""

    keyword: ClassVar[str] = "concat"
    operand_fields: ClassVar[tuple[str, ...]] = ("inputs",)
    inputs: tuple[str, ...]
    axis: int

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        operands = [types[name] for name in self.inputs]
        require(bool(operands), "concat of no operand")
        first = operands[0]
        require(0 <= self.axis < len(first.shape), f"axis {self.axis} of a tensor of rank {len(first.shape)}")
        for operand in operands:
            same = operand.dtype == first.dtype and len(operand.shape) == len(first.shape)
            rest = [i for i in range(len(first.shape)) if i != self.axis]
            same = same and all(operand.shape[i] == first.shape[i] for i in rest)
            require(same, f"concat of {first} and {operand} along axis {self.axis}")
        extent = sum(operand.shape[self.axis] for operand in operands)
        return TensorType((*first.shape[: self.axis], extent, *first.shape[self.axis + 1 :]), first.dtype)


@dataclass(frozen=True)
class Slice(Operator):
    """A box with steps: along axis i, the elements starts[i], starts[i] + steps[i], …, sizes[i] of them."""

    keyword: ClassVar[str] = "slice"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    starts: tuple[int, ...]
    sizes: tuple[int, ...]
    steps: tuple[int, ...]

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x = types[self.x]
        rank = len(x.shape)
        lengths = (len(self.starts), len(self.sizes), len(self.steps))
        require(lengths == (rank,) * 3, f"slice with {lengths} starts, sizes and steps over rank {rank}")
        for axis, (start, size, step) in enumerate(zip(self.starts, self.sizes, self.steps, strict=True)):
            last = start + (size - 1) * step
            inside = size >= 1 and step != 0 and 0 <= start < x.shape[axis] and 0 <= last < x.shape[axis]
            require(inside, f"slice {start} + {step}·[0, {size}) leaves axis {axis} of extent {x.shape[axis]}")
        return TensorType(self.sizes, x.dtype)


@dataclass(frozen=True)
class Pad(Operator):
    """A border: `pads` gives begins of all axes, then ends.

    `mode` is "constant", where `value` is the integer written, or "reflect", "edge" or "wrap" as in numpy, where value
    is 0. Axis after axis is padded, so a corner reads what both axes say.
    """

    keyword: ClassVar[str] = "pad"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    pads: tuple[int, ...]
    value: int
    mode: str = "constant"

    @property
    def fills(self) -> bool:
        """Whether the border is a constant."""
        return self.mode == "constant"

    def sources(self, axis: int, extent: int) -> tuple[int, ...]:
        """The input position that each output position along `axis` reads, where the border is no constant."""
        return border_sources(self.mode, extent, self.pads[axis], self.pads[len(self.pads) // 2 + axis])

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x = types[self.x]
        require_integer(self.x, x)
        rank = len(x.shape)
        modes = ("constant", *BORDERS)
        require(self.mode in modes, f"pad mode {self.mode!r}", ", ".join(modes))
        require(self.fills or self.value == 0, f"value {self.value} with mode {self.mode}", "0: it has no meaning")
        require(len(self.pads) == 2 * rank, f"{len(self.pads)} pad entries over rank {rank}", f"{2 * rank}")
        require(min(self.pads) >= 0, f"negative padding {self.pads}", "a slice")
        require(x.dtype.holds(self.value, self.value), f"pad value {self.value} is not a value of {x.dtype}")
        shape = tuple(extent + self.pads[i] + self.pads[rank + i] for i, extent in enumerate(x.shape))
        return TensorType(shape, x.dtype)


@dataclass(frozen=True)
class Reshape(Operator):
    """The same elements in the same order under another shape."""

    keyword: ClassVar[str] = "reshape"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    shape: tuple[int, ...]

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x = types[self.x]
        require(prod(self.shape) == x.size, f"reshape of {x} to {self.shape}: the number of elements differs")
        return TensorType(self.shape, x.dtype)


@dataclass(frozen=True)
class Transpose(Operator):
    """Axes in another order: axis i of the output is axis permutation[i] of the input."""

    keyword: ClassVar[str] = "transpose"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    permutation: tuple[int, ...]

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x = types[self.x]
        is_permutation = sorted(self.permutation) == list(range(len(x.shape)))
        require(is_permutation, f"permutation {self.permutation} of a tensor of rank {len(x.shape)}")
        return TensorType(tuple(x.shape[axis] for axis in self.permutation), x.dtype)


@dataclass(frozen=True)
class Resize(Operator):
    """Nearest-neighbour resampling of the spatial axes: output position j along spatial axis i reads indices[i][j].

    The coordinate mode of the original is already resolved to these indices, so no float takes part.
    """

    keyword: ClassVar[str] = "resize"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    indices: tuple[tuple[int, ...], ...]

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x = types[self.x]
        require_integer(self.x, x)
        require(len(self.indices) == len(x.shape) - 2, f"{len(self.indices)} index lists for a tensor {x}")
        for axis, indices in enumerate(self.indices):
            inside = bool(indices) and min(indices) >= 0 and max(indices) < x.shape[2 + axis]
            require(inside, f"indices leave spatial axis {axis} of extent {x.shape[2 + axis]}")
        return TensorType((*x.shape[:2], *map(len, self.indices)), x.dtype)

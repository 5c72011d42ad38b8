"""Linear resampling: exact sums with rational coefficients on a common denominator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import ClassVar

from edgeconv.ir.operators.base import Operator, require, require_accumulator, require_integer
from edgeconv.ir.types import DType, TensorType


@dataclass(frozen=True)
class ResizeLinear(Operator):
    """Linear resampling of the spatial axes: acc = Σ (product of the coefficients)·(x - x_zero_point).

    Along spatial axis i output position j reads indices[i][j] with the coefficient left[i][j] and, where right[i][j] is
    not 0, the position after it with that. The two add up to denominators[i], so that the resampled value is acc over
    the product of all denominators exactly; where both are 0, it is real zero. The coordinate mode of the original is
    already resolved.
    """

    keyword: ClassVar[str] = "resize_linear"
    operand_fields: ClassVar[tuple[str, ...]] = ("x",)
    x: str
    dtype: DType
    indices: tuple[tuple[int, ...], ...]
    left: tuple[tuple[int, ...], ...]
    right: tuple[tuple[int, ...], ...]
    denominators: tuple[int, ...]
    x_zero_point: int = 0

    @property
    def multiple(self) -> int:
        """What an accumulator is divided by: the product of all denominators."""
        return prod(self.denominators)

    @property
    def extrapolates(self) -> bool:
        """Whether some outputs are real zero because they lie outside of the input."""
        return any(a + b == 0 for pair in zip(self.left, self.right, strict=True) for a, b in zip(*pair, strict=True))

    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        x = types[self.x]
        require_integer(self.x, x)
        require_accumulator(self.dtype)
        rank = len(x.shape) - 2
        lists = (self.indices, self.left, self.right, self.denominators)
        require(rank in (1, 2), f"resize_linear over a tensor of shape {x.shape}", "rank 3 (1-D) or 4 (2-D)")
        require(all(len(values) == rank for values in lists), f"{tuple(map(len, lists))} lists for a tensor {x}")
        for axis, (indices, left, right, denominator) in enumerate(zip(*lists, strict=True)):
            lengths = (len(indices), len(left), len(right))
            require(len(set(lengths)) == 1 and lengths[0] > 0, f"lists of {lengths} entries along spatial axis {axis}")
            for index, a, b in zip(indices, left, right, strict=True):
                inside = 0 <= index < x.shape[2 + axis] - (b > 0)
                require(inside, f"indices leave spatial axis {axis} of extent {x.shape[2 + axis]}")
                sums = min(a, b) >= 0 and a + b in (0, denominator)
                require(
                    sums, f"coefficients {a} and {b} along spatial axis {axis}", f"a sum of {denominator}, or 0 and 0"
                )
        return TensorType((*x.shape[:2], *map(len, self.indices)), self.dtype)

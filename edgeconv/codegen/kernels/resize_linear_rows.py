"""Linear resampling of channels-last tensors: a weighted sum of two rows, then of two positions of that sum.

Both sums are exact in 16 bits where the products of coefficients and stored values fit there, else in 32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeconv.codegen.builder import Builder, View, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.panels import Bucket, Finish, can_finish, cut_panels, make_buckets
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

__all__: list[str] = []

_BLOCKS = 4  # vectors of channels of one position


def _largest(step: Step, operator: ops.ResizeLinear) -> int:
    """What no sum of stored values exceeds in magnitude."""
    type_, bias = step.type(operator.x).dtype, step.layout(operator.x).storage.bias
    return operator.multiple * max(abs(type_.lo + bias), abs(type_.hi + bias))


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.ResizeLinear) or isa.lanes == 1 or operator.extrapolates:
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    if x.order != "channels_last" or y.order != "channels_last" or x.storage.element not in ("uint8", "int16"):
        return False
    # The correction for zero point and storage bias is added to a sum of stored values.
    correction = operator.multiple * abs(operator.x_zero_point + x.storage.bias)
    if operator.dtype.bits != 32 or _largest(step, operator) + correction >= 1 << 31:
        return False
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == 1
    return axis_fits and can_finish(isa, step, range(0, x.shape[1], isa.lanes))


@dataclass(frozen=True)
class _Axis:
    """Tables of an axis: element offsets of both positions, and their coefficients."""

    build: Builder
    first: View
    second: View
    left: View
    right: View

    @staticmethod
    def of(build: Builder, step: Step, axis: int, stride: int, element: str) -> _Axis:
        operator = step.operator
        assert isinstance(operator, ops.ResizeLinear)
        indices, left, right = (np.array(v[axis]) for v in (operator.indices, operator.left, operator.right))
        arrays = {
            "first": (indices * stride).astype(np.int32),
            # Where the right coefficient is 0 there may be no position after the left one.
            "second": ((indices + (right > 0)) * stride).astype(np.int32),
            "left": left.astype(element),
            "right": right.astype(element),
        }
        views = (build.constant(f"{step.output}/{label}{axis}", array) for label, array in arrays.items())
        return _Axis(build, *views)

    def offsets(self, index: Expr) -> tuple[Expr, Expr]:
        """Element offsets of the two positions."""
        return bind(self.first.vload(index, 1)), bind(self.second.vload(index, 1))

    def weights(self, index: Expr, lanes: int) -> tuple[Expr, Expr]:
        """Their coefficients in every lane."""
        pair = (bind(self.left.vload(index, 1)), bind(self.right.vload(index, 1)))
        return bind(tirx.Broadcast(pair[0], lanes)), bind(tirx.Broadcast(pair[1], lanes))


@kernel(ops.ResizeLinear, "resize_linear.rows", priority=10, can_handle=_can_handle, fuses=True)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.ResizeLinear)
    element = "int16" if _largest(step, operator) < 1 << 15 else "int32"
    x, y = build.view(operator.x), build.view(step.output)
    channels, lanes = x.layout.shape[1], build.isa.lanes
    columns = _Axis.of(build, step, len(operator.indices) - 1, channels, element)
    positions = []
    for number, bucket in enumerate(make_buckets(step, cut_panels(0, channels, lanes, _BLOCKS), lanes)):
        positions.append(_Positions(build, step, operator, bucket, columns, element, f".{number}"))
    with build.loop(x.layout.shape[0]) as sample:
        if len(operator.indices) == 1:
            for each in positions:
                each.emit(x, x.layout.offset([sample, 0, 0]), y.layout.offset([sample, 0, 0]))
        else:
            _rows(build, step, operator, positions, element, sample)
    return f"two rows, then two positions, exact in {element}"


def _rows(
    build: Builder, step: Step, operator: ops.ResizeLinear, positions: list[_Positions], element: str, sample: Expr
) -> None:
    x, y = build.view(operator.x), build.view(step.output)
    length = x.layout.shape[1] * x.layout.shape[3]
    lanes = build.isa.lanes * (2 if element == "int16" else 1)
    row = build.temporary(element, length + 2 * lanes)
    axis = _Axis.of(build, step, 0, x.layout.stride(2), element)
    with build.loop(y.layout.shape[2]) as index:
        origin = x.layout.offset([sample, 0, 0, 0])
        first, second = (bind(origin + offset) for offset in axis.offsets(index))
        left, right = axis.weights(index, lanes)
        with build.loop(-(-length // lanes)) as part:
            at = part * lanes
            above, below = (x.vload(start + at, lanes).astype(f"{element}x{lanes}") for start in (first, second))
            row.vstore(at, above * left + below * right, lanes)
        for each in positions:
            each.emit(row, 0, y.layout.offset([sample, 0, index, 0]))


class _Positions:
    """The second sum, for one bucket of channels: over positions of a row, requantized and stored."""

    def __init__(
        self,
        build: Builder,
        step: Step,
        operator: ops.ResizeLinear,
        bucket: Bucket,
        columns: _Axis,
        element: str,
        label: str,
    ) -> None:
        self._build, self._bucket, self._columns, self._element = build, bucket, columns, element
        self._finish = Finish(build, step, bucket, f"requant{label}")
        firsts = np.array([panel.first for panel in bucket.panels], np.int32)
        self._firsts = build.constant(f"{step.output}/channels{label}", firsts)
        layout = step.layout(step.output)
        self._outputs, self._channels = layout.shape[-1], layout.shape[1]
        lanes, storage = build.isa.lanes, step.layout(operator.x).storage
        self._shift = const(operator.multiple * (operator.x_zero_point + storage.bias), "int32", lanes)

    def emit(self, source: View, start: Expr, target: Expr) -> None:
        """Write a row at element offset `target` from the source row at `start`."""
        build, lanes, blocks = self._build, self._build.isa.lanes, self._bucket.blocks
        count = self._bucket.panels[0].count
        counts = [min(lanes, count - block * lanes) for block in range(blocks)]
        start, target = bind(start + 0), bind(target + 0)
        with build.loop(self._outputs) as index:
            places = self._columns.offsets(index)
            weights = self._columns.weights(index, lanes)
            with build.loop(len(self._bucket.panels)) as panel:
                channel = bind(self._firsts.vload(panel, 1))
                sums: list[Expr] = []
                for block in range(blocks):
                    loaded = (source.vload(start + place + channel + block * lanes, lanes) for place in places)
                    wide = [value.astype(f"{self._element}x{lanes}") for value in loaded]
                    total = bind(wide[0] * weights[0] + wide[1] * weights[1])
                    acc = bind(total.astype(f"int32x{lanes}") - self._shift)
                    sums += self._finish.values(panel, block, [acc])
                first = bind(target + index * self._channels + channel)
                self._finish.store([first, *[None] * (blocks - 1)], sums, counts)

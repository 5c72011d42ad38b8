"""Sums of two tensors: two runs, and multipliers cut into digits that stand as weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.compiler.memory import Buffer, View
from edgeconv.hw.compiler.passes import Pass, Reads, Writes
from edgeconv.hw.compiler.scaling import rescaled
from edgeconv.hw.compiler.weights import digits, equal_steps, pack_words
from edgeconv.hw.spec import ACC_BITS, LANES, ArrayConfig
from edgeconv.ir import describe
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import AddMulShift, ProvedForms

__all__ = ["sum_passes"]

Ints = NDArray[np.int64]


def sum_passes(
    operator: ops.Add,
    layer: int,
    views: Sequence[View],
    planes: Sequence[Ints],
    out: Ints,
    to: Buffer,
    proved: ProvedForms,
    offset: int,
    config: ArrayConfig,
) -> list[Pass]:
    """A pass for each row of a sum.

    Args:
        views, planes: the operands, and their indices as (C, H, W), broadcast to the shape of the result.
        out: bytes of the result in `to`, as (C, H, W).
        offset: added to the results to make them bytes.

    Raises:
        UnsupportedModelError: more than two operands, wide ones, or ones that lie differently in memory.
    """
    name = describe(operator)
    _check(name, views, planes)
    count = out.shape[0]
    forms = proved.forms
    chosen = [forms[channel if len(forms) > 1 else 0] for channel in range(count)]
    if not all(isinstance(form, AddMulShift) for form in chosen):
        rescaled(name, chosen, count, [0] * count, operator.grid, offset)  # raises with the form's name
    factors = np.array([f.multipliers for f in chosen if isinstance(f, AddMulShift)], np.int64)
    # One zero point serves both runs: between the two offsets, which keeps the bytes that count small.
    zero = (views[0].offset + views[1].offset) // 2
    extra = [view.offset - zero for view in views]
    biases = [-int(sum(f * e for f, e in zip(row, extra, strict=True))) for row in factors.tolist()]
    largest = [max(abs(v + e) for both in each for v in both) for each, e in zip(proved.ranges, extra, strict=True)]
    reach = max(int((np.abs(row) * largest).sum()) for row in factors)
    if reach >= 1 << (ACC_BITS - 1):
        raise UnsupportedModelError(f"{name}: sums up to {reach}", expected=f"{ACC_BITS} bits on the accelerator")
    channels = rescaled(name, chosen, count, biases, operator.grid, offset)
    words = _weights(name, factors, config)
    stride = [equal_steps(plane[0, 0].tolist()) or 0 for plane in planes]
    step = equal_steps(out[0, 0].tolist()) or 0
    size = config.elements
    return [
        Pass(
            layer=layer,
            reads=Reads(
                buffer=views[0].buffer,
                base=int(planes[0][0, row, 0]),
                position_stride=stride[0],
                positions=out.shape[2],
                group_stride=size,
                second=views[1].buffer,
                second_base=int(planes[1][0, row, 0]),
            ),
            writes=Writes(to, int(out[0, row, 0]), step),
            weights=words,
            runs=2,
            channels=channels,
            planes=words.shape[1],
            beat=config.beat,
            zero_points=(zero, zero),
        )
        for row in range(out.shape[1])
    ]


def _weights(name: str, factors: Ints, config: ArrayConfig) -> NDArray[np.int8]:
    """Digits of each channel's two factors on the diagonals of the two runs."""
    size = config.elements
    count = len(factors)
    groups = -(-count // size)
    by_plane = digits(factors, name)  # (planes, channels, operands)
    dense = np.zeros((groups, len(by_plane), 2, size, size), np.int64)
    for channel in range(count):
        group, place = divmod(channel, size)
        dense[group, :, :, place, place] = by_plane[:, channel, :]
    return pack_words(dense, size, -(-size // LANES), nibbles=False)


def _check(name: str, views: Sequence[View], planes: Sequence[Ints]) -> None:
    if len(views) != 2:
        raise UnsupportedModelError(f"{name} of {len(views)} operands", expected="two on the accelerator")
    if any(view.planes > 1 for view in views):
        raise UnsupportedModelError(
            f"{name} over operands of more than 8 bits",
            expected="8 bits on the accelerator",
            advice="requantize the input before it is added",
        )
    for plane in planes:
        channels = plane[0, :, :] + np.arange(plane.shape[0])[:, None, None]
        rows_equal = all(equal_steps(row.tolist()) is not None for row in plane[0])
        if not np.array_equal(channels, plane) or not rows_equal:
            raise UnsupportedModelError(
                f"{name}: an operand does not lie with its channels together in memory",
                expected="operands of the shape of the result, as layers write them",
                advice="a requantization before the sum writes the tensor anew",
            )
    steps = [{equal_steps(row.tolist()) for row in plane[0]} for plane in planes]
    if planes[0].shape[2] > 1 and steps[0] != steps[1]:
        raise UnsupportedModelError(
            f"{name}: its operands' positions lie at different distances in memory",
            expected="equal distances",
            advice="requantize one of them before the sum, outside of a concatenation",
        )

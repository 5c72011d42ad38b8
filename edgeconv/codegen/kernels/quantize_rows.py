"""Quantize with IEEE float32 vectors: division, offset, clip, rounding, in the order that ONNX prescribes.

The clip comes before the rounding. Both bounds are integers, and rounding is monotone, so the result is the same, and
no float that leaves int32 is ever converted. Runs under round-half-even without flush-to-zero, which the entry point
sets.
"""

from __future__ import annotations

import numpy as np

from edgeconv.codegen.builder import Builder, View, bind, const, reinterpret
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.elementwise_rows import store_elements
from edgeconv.codegen.kernels.interleave import interleave
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import Grid, Rounding
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import MAGIC_F32, MAGIC_F32_BITS

__all__ = ["LARGEST", "quantized"]

_NARROW = ("uint8", "int16")
LARGEST = 1 << 21
"""Rounded values stay below 2²², where adding the magic number rounds to an integer."""


def _can_quantize(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.Quantize) or isa.lanes == 1:
        return False
    grid, shape = operator.grid, step.type(operator.x).shape
    bounds = max(abs(grid.lo - grid.zero_point), abs(grid.hi - grid.zero_point))
    ordered = step.layout(step.output).order in ("row_major", "channels_last")
    per_channel = len(operator.scale) > 1
    channels = operator.axis == 1 and len(shape) >= 2
    return (
        ordered
        and step.layout(step.output).storage.element in _NARROW
        and bounds < LARGEST
        and (channels or not per_channel)
    )


@kernel(ops.Quantize, "quantize.rows", priority=10, can_handle=_can_quantize, parallel=True)
def _quantize(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Quantize)
    x, y = build.view(operator.x), build.view(step.output)
    scales = build.constant(f"{step.output}/scale", np.array(operator.scale, np.float32))
    shape = step.type(operator.x).shape
    # Planes of one channel are contiguous in the user's array.
    split = 2 if len(operator.scale) > 1 or y.layout.order == "channels_last" else 0
    outer, plane = shape[:split], int(np.prod(shape[split:], dtype=np.int64))
    direct = y.layout.order == "row_major" or (shape[1] == 1 and y.layout.rows is not None and y.layout.rows[0] == 1)
    target = y if direct else build.temporary(y.layout.storage.element, int(np.prod(shape)))
    with build.nest(outer) as indices:
        start: Expr = 0
        for index, extent in zip(indices, outer, strict=True):
            start = start * extent + index
        channel = indices[1] if len(operator.scale) > 1 else 0
        scale = bind(scales.load([channel], "float32"))
        base = y.layout.base if direct else 0
        _plane(build, operator, x, target, start * plane, base + start * plane, plane, scale, y.layout.storage.bias)
    if not direct:
        build.barrier()
        interleave(build, target, y)
    return f"{build.isa.lanes} elements at a time" + ("" if direct else ", then channels interleaved")


def _plane(
    build: Builder,
    operator: ops.Quantize,
    x: View,
    y: View,
    source: Expr,
    target: Expr,
    count: int,
    scale: Expr,
    bias: int,
) -> None:
    """Quantize `count` floats that lie one behind the other; nothing past them is read."""
    source = bind(x.origin + source)
    done = 0
    for lanes in _vector_lengths(build.isa.lanes, count):
        whole = (count - done) // lanes
        with build.parallel(whole) as index:
            at = index * lanes + done
            loaded = x.memory.load("float32", source + at, lanes)
            stored = quantized(
                operator,
                loaded,
                tirx.Broadcast(scale, lanes) if lanes > 1 else scale,
                lanes,
                operator.grid.zero_point + bias,
            )
            store_elements(y, target + at, stored.astype(_vector(y.layout.storage.element, lanes)), lanes, lanes)
        done += whole * lanes


def _vector_lengths(lanes: int, count: int) -> list[int]:
    """Vector lengths, each used as often as it fits: the whole vectors, then the powers of two of the rest."""
    rest = count % lanes
    return ([lanes] if count >= lanes else []) + [
        1 << bit for bit in reversed(range(lanes.bit_length())) if rest >> bit & 1
    ]


def _vector(element: str, lanes: int) -> str:
    return element if lanes == 1 else f"{element}x{lanes}"


def quantized(operator: ops.Quantize, x: Expr, scale: Expr, lanes: int, zero: int) -> Expr:
    """int32 scalar or vector of stored numbers."""
    grid, floats, integers = operator.grid, _vector("float32", lanes), _vector("int32", lanes)
    # x != x would be simplified away: a NaN is found by its bits.
    x = bind(x)
    magnitude = tirx.bitwise_and(reinterpret(integers, x), const(0x7FFFFFFF, "int32", lanes))
    is_nan = magnitude > const(0x7F800000, "int32", lanes)
    value = tirx.Select(is_nan, const(0.0, "float32", lanes), x) / scale
    if operator.offset:
        value = value + const(operator.offset, "float32", lanes)
    value = _clipped(bind(value), grid, lanes)
    if grid.rounding is Rounding.HALF_EVEN:
        shifted = bind(value + const(MAGIC_F32, "float32", lanes))
        return reinterpret(integers, shifted) - const(MAGIC_F32_BITS - zero, "int32", lanes)
    truncated = bind(value.astype(integers))
    rest = bind(value - truncated.astype(floats))
    up = tirx.Select(rest >= const(0.5, "float32", lanes), const(1, "int32", lanes), const(0, "int32", lanes))
    down = tirx.Select(rest <= const(-0.5, "float32", lanes), const(1, "int32", lanes), const(0, "int32", lanes))
    return truncated + up - down + const(zero, "int32", lanes)


def _clipped(value: Expr, grid: Grid, lanes: int) -> Expr:
    lo, hi = (const(float(bound - grid.zero_point), "float32", lanes) for bound in (grid.lo, grid.hi))
    return bind(tirx.max(bind(tirx.min(value, hi)), lo))

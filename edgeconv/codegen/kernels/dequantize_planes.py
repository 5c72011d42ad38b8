"""Dequantize of channels-last tensors into planes of one channel each, by shuffles and one float32 product.

A tile of positions is loaded eight neighbouring channels at a time and taken apart into vectors of words, which hold
the same few channels of every position; those give one vector of floats for each channel.
`dequantize_float` says where the product is the exact value rounded once.
"""

from __future__ import annotations

from contextlib import ExitStack

from edgeconv.codegen.builder import Builder, View, bind, const, reinterpret
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.vectors import shuffle
from edgeconv.codegen.kernels.dequantize_float import Product, clipped_floats, product_of
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

_WORD = 32
_BITS = {"uint8": 8, "int16": 16}
_GROUP = 8
"""Channels. More make as many streams of stores, and planes whose distance is a multiple of a page share few lines of a
cache: 16 take 1.0 to 1.5 times as long."""


def _can_multiply(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if isa.lanes == 1 or not isa.has_fma or not isinstance(operator, ops.Dequantize) or operator.linear.channels > 1:
        return False
    product, x, y = product_of(step), step.layout(operator.inputs[0]), step.layout(step.output)
    planes = x.order == "channels_last" and y.order == "row_major" and len(x.shape) >= 3
    return (
        product is not None
        and product.single
        and planes
        and x.storage.element in _BITS
        and x.shape[1] >= _GROUP
        and x.shape[-1] >= isa.lanes
    )


@kernel(ops.Dequantize, "dequantize.planes", can_handle=_can_multiply, priority=15, parallel=True, by_rows=True)
def _dequantize(build: Builder, step: Step) -> str:
    operator, product = step.operator, product_of(step)
    assert isinstance(operator, ops.Dequantize)
    assert product is not None
    x, y, lanes = build.view(operator.inputs[0]), build.view(step.output), build.isa.lanes
    samples, channels, *outer, width = x.layout.shape
    groups, tiles = channels // _GROUP, width // lanes
    to_next, to_plane = x.layout.stride(len(x.layout.shape) - 1), y.layout.stride(1)
    loops = build.sharing([samples, *outer, groups, tiles])
    with ExitStack() as frames:
        sample, *row = [frames.enter_context(loop(n)) for loop, n in zip(loops, (samples, *outer), strict=False)]
        source = bind(x.layout.offset([sample, 0, *row, 0]) + 0)
        target = bind(y.layout.offset([sample, 0, *row, 0]) + 0)

        def one(position: Expr, channel: Expr) -> None:
            number = bind(x.vload(source + position * to_next + channel, 1).astype("int32"))
            y.vstore(target + channel * to_plane + position, _floats(x, operator, product, number, 1), 1)

        with loops[-2](groups) as group, loops[-1](tiles) as tile:
            start = bind(source + tile * (lanes * to_next) + group * _GROUP)
            for channel, numbers in enumerate(_numbers(x, start, to_next, lanes)):
                plane = target + (group * _GROUP + channel) * to_plane
                y.vstore(plane + tile * lanes, _floats(x, operator, product, numbers, lanes), lanes)
        first, done = groups * _GROUP, tiles * lanes
        if first < channels:
            with loops[-2](1), loops[-1](tiles) as tile, build.nest([lanes, channels - first]) as (position, left):
                one(tile * lanes + position, left + first)
        if done < width:
            with loops[-2](1), loops[-1](1), build.nest([width - done, channels]) as (position, channel):
                one(position + done, channel)
    return f"{_GROUP} channels of {lanes} positions at a time"


def _numbers(x: View, start: Expr, to_next: int, lanes: int) -> list[Expr]:
    """For each channel of a group its stored numbers at `lanes` positions, as an int32 vector."""
    element, bits = x.layout.storage.element, _BITS[x.layout.storage.element]
    members = _WORD // bits
    words = _GROUP // members
    loaded = [bind(reinterpret(f"int32x{words}", x.vload(start + n * to_next, _GROUP))) for n in range(lanes)]
    found = []
    for word in range(words):
        vector = bind(shuffle(loaded, [n * words + word for n in range(lanes)]))
        for member in range(members):
            if element == "uint8":
                moved = tirx.shift_right(vector, const(bits * member, "int32", lanes)) if member else vector
                number = tirx.bitwise_and(moved, const((1 << bits) - 1, "int32", lanes))
            else:
                above = _WORD - bits * (member + 1)
                moved = tirx.shift_left(vector, const(above, "int32", lanes)) if above else vector
                number = tirx.shift_right(moved, const(_WORD - bits, "int32", lanes))
            found.append(bind(number))
    return found


def _floats(x: View, operator: ops.Dequantize, product: Product, stored: Expr, lanes: int) -> Expr:
    (shift,), (factor,) = product.shifts, product.factors
    shift -= x.layout.storage.bias
    number = bind(stored + const(shift, "int32", lanes) if shift else stored)
    floats = "float32" if lanes == 1 else f"float32x{lanes}"
    return bind(clipped_floats(operator, bind(number.astype(floats) * const(factor, "float32", lanes)), lanes))

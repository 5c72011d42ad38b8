"""Residual blocks in random programs: products that are added to another tensor at once, rounded before or not."""

from __future__ import annotations

import numpy as np

from edgeconv.ir import Constant
from edgeconv.ir import operators as ops
from tests.generate.builder import Builder
from tests.generate.scales import random_grid, random_linear, spread_values

_MAX_BIAS = 4000
_NARROW = ("u8", "u8", "u8", "i8", "i8", "u7", "i4", "i12", "i16")
_FEW_SECTIONS = ("u8", "u8", "i8", "i8", "u7", "i4", "u3", "i12")
_THIN = 16  # neighbouring channels, the panel of the forms


def residual(b: Builder) -> None:
    """A product of the shape of its operand, or of two of another shape, rounded and added; a table behind at times."""
    name = b.latest()
    if name is None:
        return
    shape = b.types[name].shape
    if b.choose.chance(35):
        width = b.choose.pick((1, 5, 16, 17, 24, 32, 33, 48))
        first, other = _product(b, name, width), _product(b, name, width)
    else:
        first, other = _product(b, name, shape[1 if len(shape) > 2 else -1]), name
    operands = [first, other] if b.choose.chance(50) else [other, first]
    if b.choose.chance(10):
        operands.append(b.choose.pick(operands))
    grid = random_grid(b.choose)
    linear = random_linear(b.choose, [b.integers(operand) for operand in operands], grid, 1, b.channel_axis(first))
    total = b.apply(ops.Add(b.name("sum"), tuple(operands), linear, grid))
    if b.choose.chance(25):
        x, result = b.types[total].dtype, random_grid(b.choose).dtype
        b.apply(ops.Table(b.name("t"), total, b.constant(result, spread_values(b.choose, result, (1 << x.bits,)))))
    if b.choose.chance(10):
        b.requant(first)  # a second reader


def unrounded_residual(b: Builder) -> None:
    """A product added to another tensor by one rounding: its accumulator has a factor for each channel."""
    name = b.latest(bits=12)
    if name is None:
        return
    shape = b.types[name].shape
    width, other = shape[1 if len(shape) > 2 else -1], name
    if b.choose.chance(70):
        width = b.choose.pick((1, 5, 16, 17, 24, 24, 32, 33, 40, 48))
        other = b.requant(_accumulator(b, name, width), random_grid(b.choose, _FEW_SECTIONS))
    first = _accumulator(b, name, width, thin=b.choose.chance(40))
    operands = [first, other] if b.choose.chance(50) else [other, first]
    axis = b.channel_axis(first)
    channels = b.types[first].shape[axis] if b.choose.chance(85) else 1
    grid = random_grid(b.choose, (*_NARROW, "i16"))
    linear = random_linear(b.choose, [b.integers(operand) for operand in operands], grid, channels, axis)
    total = b.apply(ops.Add(b.name("sum"), tuple(operands), linear, grid))
    if b.choose.chance(30):
        grid = random_grid(b.choose, _NARROW)
        linear = random_linear(b.choose, [b.integers(total), b.integers(other)], grid, 1, axis)
        b.apply(ops.Add(b.name("sum"), (total, other), linear, grid))
    if b.choose.chance(25):
        b.requant(first)  # a second reader: the sum stands alone


def _product(b: Builder, name: str, width: int) -> str:
    """A convolution that keeps positions (or matrix product), rounded."""
    return b.requant(_accumulator(b, name, width), random_grid(b.choose, _NARROW))


def _accumulator(b: Builder, name: str, width: int, *, thin: bool = False) -> str:
    """The same, not rounded.

    Args:
        thin: some panels of channels have sums of few bits.
    """
    choose, x = b.choose, b.types[name]
    zero_point, bias = b.zero_point(x.dtype), b.bias(width, 60)
    if len(x.shape) == 2:
        w = b.weights(("i8", "i4"), (x.shape[-1], width))
        if thin:
            _thin_out(b, w, -1)
        reach = int(np.abs(b.integers(w)[0]).sum(0).max()) * b.farthest(name, zero_point) + _MAX_BIAS
        product = ops.MatMul(b.name("acc"), name, w, bias, b.accumulator_type(reach), zero_point)
        return b.apply(product)
    spatial = x.shape[2:]
    kernel = tuple(choose.pick((1, 1, 3, 3, 5)) for _ in spatial)
    dilations = tuple(choose.pick((1, 1, 1, 2)) for _ in spatial)
    spans = [(taps - 1) * dilation for taps, dilation in zip(kernel, dilations, strict=True)]
    begins = [choose.integer(0, span) if choose.chance(20) else span // 2 for span in spans]
    ends = [span - begin for span, begin in zip(spans, begins, strict=True)]
    w = b.weights(("i8", "i8", "i4"), (width, x.shape[1], *kernel))
    if thin:
        _thin_out(b, w, 0)
    weights = np.abs(b.integers(w)[0]).reshape(width, -1)
    reach = int(weights.sum(1).max()) * b.farthest(name, zero_point) + _MAX_BIAS
    ones = (1,) * len(spatial)
    conv = ops.Conv(
        b.name("acc"), name, w, bias, b.accumulator_type(reach), ones, dilations, (*begins, *ends), 1, zero_point
    )  # fmt: skip
    return b.apply(conv)


def _thin_out(b: Builder, name: str, axis: int) -> None:
    """Weights of -1, 0 and 1 for every other panel of output channels."""
    constant = b.constants[name]
    w = np.moveaxis(constant.array.astype(np.int64), axis, 0).copy()
    narrow = np.arange(len(w)) // _THIN % 2 == 0
    w[narrow] = np.sign(w[narrow]) * (np.arange(w[narrow].size).reshape(w[narrow].shape) % 5 == 0)
    b.constants[name] = Constant(constant.dtype, np.moveaxis(w, 0, axis))

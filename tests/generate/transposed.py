"""Transposed convolutions in random programs."""

from __future__ import annotations

import numpy as np

from edgeconv.errors import ProgramError
from edgeconv.ir import operators as ops
from tests.generate.builder import Builder

_MAX_BIAS = 4000


def conv_transpose(b: Builder) -> None:
    """Transposed convolution: plain, grouped or depthwise; kernels shorter and longer than the stride."""
    name = b.latest((3, 4))
    if name is None:
        return
    choose, x = b.choose, b.types[name]
    channels, rank = x.shape[1], len(x.shape) - 2
    divisors = [g for g in range(1, channels + 1) if channels % g == 0]
    groups = choose.pick((1, 1, 1, channels, choose.pick(divisors)))
    out_channels = groups * choose.pick((1, 2, 5)) if groups > 1 else choose.pick((1, 2, 5, 8, 16, 17, 33, 48))
    kernel = tuple(choose.pick((1, 2, 2, 3, 4, 5)) for _ in range(rank))
    strides = tuple(choose.pick((1, 2, 2, 3) if rank == 1 else (1, 2, 2)) for _ in range(rank))
    dilations = tuple(choose.pick((1, 1, 1, 2, 3)) for _ in range(rank))
    pads = tuple(choose.integer(0, 2) for _ in range(2 * rank))
    output_padding = tuple(choose.pick((0, 0, 1, 2)) for _ in range(rank))
    w = b.weights(("i8", "i8", "i8", "i4", "i2", "i6"), (out_channels, channels // groups, *kernel))
    zero_point, bias = b.zero_point(x.dtype), b.bias(out_channels, 70)
    weights = np.abs(b.integers(w)[0]).reshape(out_channels, -1)
    operator = ops.ConvTranspose(
        b.name("acc"), name, w, bias,
        b.accumulator_type(int(weights.sum(1).max()) * b.farthest(name, zero_point) + _MAX_BIAS),
        strides, dilations, pads, output_padding, groups, zero_point,
    )  # fmt: skip
    try:
        reached = b.apply(operator)
    except ProgramError:  # pads that leave nothing
        return
    b.finish_accumulator(reached)

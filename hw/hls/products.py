"""Stages with multipliers: convolutions, transposed convolutions, products with constant matrices."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.hls.order import image_order, row_order, usual_order
from edgeconv.hw.hls.pipeline import Pipeline, Stage
from edgeconv.hw.hls.text import array, type_of
from edgeconv.ir import operators as ops
from edgeconv.ir.geometry import TransposedWindow, Window

__all__ = ["add_conv", "add_matmul", "shape_struct", "unroll", "window_constants"]

Integers = NDArray[np.int64]


def unroll(steps: int, outputs: int, taps: int, interval: int) -> tuple[int, int]:
    """How many outputs and taps stand side by side, so that steps·outputs·taps multiplications take `interval` cycles.

    The fewest multipliers that suffice; of equal numbers the one with more taps, which needs fewer sums.
    """
    best = (outputs, taps)
    for wide in (d for d in range(1, outputs + 1) if outputs % d == 0):
        for deep in (d for d in range(1, taps + 1) if taps % d == 0):
            fits = steps * (outputs // wide) * (taps // deep) <= interval
            if fits and (wide * deep, wide) < (best[0] * best[1], best[0]):
                best = (wide, deep)
    return best


def add_conv(pipeline: Pipeline, operator: ops.Conv | ops.ConvTranspose) -> None:
    """A convolution, plain or transposed."""
    types = pipeline.program.types
    shape, result = types[operator.x].shape, types[operator.output].shape
    if shape[0] != 1:
        raise UnsupportedModelError(f"{operator.keyword} %{operator.output} over {shape[0]} images", expected="one")
    transposed = isinstance(operator, ops.ConvTranspose)
    window = operator.window(types[operator.w])
    weights = _weights_in_order(pipeline.program.constants[operator.w].array)
    outputs, taps = weights.shape
    bias = _bias(pipeline, operator.bias, outputs)
    wide, deep = unroll(prod(result[2:]), outputs, taps, pipeline.interval)

    name = pipeline.name(operator.keyword)
    source = pipeline.take(operator.x, image_order(shape))
    order = image_order(result)
    units = np.broadcast_to(np.arange(outputs), order.index.shape)
    ending, written = pipeline.finish(name, operator.output, order, units)
    accumulator, difference = _sum_types(pipeline, operator.x, operator.x_zero_point, weights, bias)
    struct = shape_struct(
        f"{name}_shape",
        {
            **window_constants(window, shape, result),
            "OUTPUTS": outputs,
            "GROUPS": operator.groups,
            "GROUP_CHANNELS": shape[1] // operator.groups,
            "ZERO_POINT": operator.x_zero_point,
            "OUTPUTS_AT_ONCE": wide,
            "TAPS_AT_ONCE": deep,
            "OUTPUT_BLOCKS": outputs // wide,
            "TAP_BLOCKS": taps // deep,
        },
        accumulator=accumulator,
        difference=difference,
    )
    blocks = weights.reshape(outputs // wide, wide, taps // deep, deep).transpose(0, 2, 1, 3).reshape(-1, wide * deep)
    definitions = (struct, ending, array(f"{name}_weights", blocks), array(f"{name}_bias", bias))
    sink = pipeline.stream(written, order)
    function = "conv_transpose" if transposed else "conv"
    arguments = f"{source.name}, {sink.name}, {name}_weights, {name}_bias"
    call = f"edge::{function}<{name}_shape, {name}_finish>({arguments})"
    positions, received = prod(result[2:]), prod(shape[2:])
    cycles = positions * (outputs // wide) * (taps // deep) + (received if transposed else 0)
    stage = Stage(
        name,
        operator.keyword,
        pipeline.between(operator.output, written),
        definitions,
        call,
        max(cycles, received),
        wide * deep,
    )
    pipeline.add(stage, written, sink)


def add_matmul(pipeline: Pipeline, operator: ops.MatMul) -> None:
    """A product with a constant matrix."""
    program, types = pipeline.program, pipeline.program.types
    if operator.w not in program.constants or len(types[operator.w].shape) != 2:
        raise UnsupportedModelError(f"matmul %{operator.output} of two tensors", expected="a constant matrix")
    shape, result = types[operator.x].shape, types[operator.output].shape
    rows, inputs = prod(shape[:-1]), shape[-1]
    matrix = program.constants[operator.w].array.astype(np.int64) - operator.w_zero_point
    outputs = matrix.shape[1]
    bias = _bias(pipeline, operator.bias, outputs)

    name = pipeline.name(operator.keyword)
    source = pipeline.take(operator.x, row_order(shape) if rows > 1 else None)
    words, lanes = (1, inputs) if rows > 1 else (source.order.words, source.order.lanes)
    arriving = matrix if rows > 1 else matrix[source.order.index.reshape(-1)]
    wide, deep = unroll(rows * words, outputs, lanes, pipeline.interval)
    order = row_order(result) if rows > 1 else usual_order((outputs,))
    units = np.broadcast_to(np.arange(outputs), order.index.shape) if rows > 1 else order.index
    ending, written = pipeline.finish(name, operator.output, order, units)
    accumulator, difference = _sum_types(pipeline, operator.x, operator.x_zero_point, arriving.T, bias)
    struct = shape_struct(
        f"{name}_shape",
        {
            "ROWS": rows,
            "INPUT_WORDS": words,
            "INPUT_LANES": lanes,
            "OUTPUTS": outputs,
            "OUTPUT_LANES": order.lanes,
            "ZERO_POINT": operator.x_zero_point,
            "OUTPUTS_AT_ONCE": wide,
            "LANES_AT_ONCE": deep,
            "OUTPUT_BLOCKS": outputs // wide,
            "LANE_BLOCKS": lanes // deep,
        },
        accumulator=accumulator,
        difference=difference,
    )
    # [word][lane block][lane][output block][output] -> [word][lane block][output block] x [output][lane]
    blocks = arriving.reshape(words, lanes // deep, deep, outputs // wide, wide).transpose(0, 1, 3, 4, 2)
    definitions = (
        struct,
        ending,
        array(f"{name}_weights", blocks.reshape(-1, wide * deep)),
        array(f"{name}_bias", bias),
    )
    sink = pipeline.stream(written, order)
    call = f"edge::dense<{name}_shape, {name}_finish>({source.name}, {sink.name}, {name}_weights, {name}_bias)"
    cycles = rows * (words * (outputs // wide) * (lanes // deep) + order.words // rows)
    stage = Stage(
        name,
        operator.keyword,
        pipeline.between(operator.output, written),
        definitions,
        call,
        cycles,
        wide * deep,
    )
    pipeline.add(stage, written, sink)


def window_constants(
    window: Window | TransposedWindow, shape: tuple[int, ...], result: tuple[int, ...]
) -> dict[str, int]:
    """Geometry of an image and a window, by the names that the library has for it; 1-D images have the width 1."""

    def pair(values: Sequence[int], missing: int) -> tuple[int, int]:
        return (values[0], values[1]) if len(values) == 2 else (values[0], missing)

    (height, width), (out_height, out_width) = pair(shape[2:], 1), pair(result[2:], 1)
    kernel, stride, dilation = pair(window.kernel, 1), pair(window.strides, 1), pair(window.dilations, 1)
    top, left = pair(window.pads[: len(shape) - 2], 0)
    return {
        "CHANNELS": shape[1],
        "HEIGHT": height,
        "WIDTH": width,
        "OUT_HEIGHT": out_height,
        "OUT_WIDTH": out_width,
        "KERNEL_Y": kernel[0],
        "KERNEL_X": kernel[1],
        "STRIDE_Y": stride[0],
        "STRIDE_X": stride[1],
        "DILATION_Y": dilation[0],
        "DILATION_X": dilation[1],
        "TOP": top,
        "LEFT": left,
        "REACH_Y": (kernel[0] - 1) * dilation[0] + 1,
    }


def shape_struct(name: str, constants: dict[str, int], **types: str) -> str:
    """A struct of constants and types."""
    lines = [f"    static const int {key} = {value};" for key, value in constants.items()]
    lines += [f"    typedef {kind} {key};" for key, kind in types.items()]
    return "\n".join([f"struct {name} {{", *lines, "};"])


def _weights_in_order(weights: NDArray[np.generic]) -> Integers:
    """(outputs, taps), taps in the order of row, column, channel."""
    spatial = weights.reshape(*weights.shape[:2], weights.shape[2], -1)
    return spatial.transpose(0, 2, 3, 1).reshape(len(weights), -1).astype(np.int64)


def _bias(pipeline: Pipeline, name: str | None, outputs: int) -> Integers:
    if name is None:
        return np.zeros(outputs, np.int64)
    return pipeline.program.constants[name].array.astype(np.int64)


def _sum_types(
    pipeline: Pipeline, x: str, zero_point: int, weights: NDArray[np.int64], bias: Integers
) -> tuple[str, str]:
    """Types of a sum, whatever part of it was added up, and of an operand less its zero point."""
    lo, hi = pipeline.range(x)
    lo, hi = min(lo - zero_point, 0), max(hi - zero_point, 0)
    largest = max(-lo, hi)
    reach = max(abs(int(b)) + sum(abs(int(w)) for w in row) * largest for b, row in zip(bias, weights, strict=True))
    return type_of(-reach - 1, reach), type_of(min(lo, -1), hi)

"""Stages of windows without weights, and of reductions over axes."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.hls.order import image_order, usual_order
from edgeconv.hw.hls.pipeline import Pipeline, Stage
from edgeconv.hw.hls.products import shape_struct, window_constants
from edgeconv.hw.hls.text import array, type_of
from edgeconv.ir import operators as ops

__all__ = ["add_pool", "add_reduce"]


def add_pool(pipeline: Pipeline, operator: ops.MaxPool | ops.AvgPool) -> None:
    """A max pool, or the sum of an average pool."""
    types = pipeline.program.types
    shape, result = types[operator.x].shape, types[operator.output].shape
    if shape[0] != 1:
        raise UnsupportedModelError(f"{operator.keyword} %{operator.output} over {shape[0]} images", expected="one")
    name = pipeline.name(operator.keyword)
    source = pipeline.take(operator.x, image_order(shape))
    order = image_order(result)
    units = np.broadcast_to(np.arange(result[1]), order.index.shape)
    ending, written = pipeline.finish(name, operator.output, order, units)
    struct = shape_struct(f"{name}_shape", window_constants(operator.window, shape, result))
    if isinstance(operator, ops.MaxPool):
        reduce = _extreme(name, source.element, pipeline.range(operator.x)[0], ">")
    else:
        reduce = _average(name, pipeline, operator)
    sink = pipeline.stream(written, order)
    call = f"edge::pool<{name}_shape, {name}_reduce, {name}_finish>({source.name}, {sink.name})"
    cycles = max(prod(result[2:]) * prod(operator.kernel), prod(shape[2:]))
    multipliers = 0 if "factor" not in reduce else shape[1]
    tensors = pipeline.between(operator.output, written)
    pipeline.add(
        Stage(name, operator.keyword, tensors, (struct, reduce, ending), call, cycles, multipliers), written, sink
    )


def add_reduce(pipeline: Pipeline, operator: ops.ReduceSum | ops.ReduceMax | ops.ReduceMin) -> None:
    """A sum or an extreme over axes."""
    types = pipeline.program.types
    shape, result = types[operator.x].shape, types[operator.output].shape
    name = pipeline.name(operator.keyword)
    source = pipeline.take(operator.x)
    order = usual_order(result)
    arrival = np.empty(order.index.size, np.int64)
    arrival[order.index.reshape(-1)] = np.arange(arrival.size)
    belongs = np.broadcast_to(arrival.reshape(result), shape).reshape(-1)[source.order.index]
    units = np.arange(arrival.size).reshape(order.index.shape)
    ending, written = pipeline.finish(name, operator.output, order, units)
    place = channel_struct(f"{name}_place", belongs)
    lo, hi = pipeline.range(operator.x)
    match operator:
        case ops.ReduceSum():
            terms = prod(shape) // prod(result)
            ends = [terms * min(lo - operator.x_zero_point, -1), terms * max(hi - operator.x_zero_point, 0)]
            kind = type_of(*ends)
            reduce = _sum(name, kind, operator.x_zero_point, kind, "found")
        case ops.ReduceMax():
            reduce = _extreme(name, source.element, lo, ">")
        case ops.ReduceMin():
            reduce = _extreme(name, source.element, hi, "<")
    sink = pipeline.stream(written, order)
    sizes = f"{source.order.words}, {order.words}, {order.lanes}"
    call = f"edge::reduce<{sizes}, {name}_place, {name}_reduce, {name}_finish>({source.name}, {sink.name})"
    tensors = pipeline.between(operator.output, written)
    cycles = source.order.index.size + order.words
    pipeline.add(Stage(name, operator.keyword, tensors, (place, reduce, ending), call, cycles), written, sink)


def channel_struct(name: str, channels: NDArray[np.int64]) -> str:
    """A struct whose `of(word, lane)` gives what `channels`, shape (words, lanes), holds."""
    lanes = np.broadcast_to(np.arange(channels.shape[1]), channels.shape)
    table = ""
    if not channels.any():
        result = "0"
    elif np.array_equal(channels, lanes):
        result = "lane"
    elif (channels == channels[0]).all():
        table, result = array(f"{name}_of", channels[0]) + "\n", f"int({name}_of[lane])"
    elif (channels == channels[:, :1]).all():
        table, result = array(f"{name}_of", channels[:, 0]) + "\n", f"int({name}_of[word])"
    else:
        table, result = array(f"{name}_of", channels) + "\n", f"int({name}_of[word][lane])"
    return f"""{table}struct {name} {{
    static int of(int word, int lane) {{
        (void)word, (void)lane;
        return {result};
    }}
}};"""


def _extreme(name: str, element: str, start: int, wins: str) -> str:
    return f"""struct {name}_reduce {{
    typedef {element} type;
    static type start() {{ return {start}; }}
    template <typename X>
    static type take(type found, X x) {{ return x {wins} found ? type(x) : found; }}
    static type end(type found, int) {{ return found; }}
}};"""


def _average(name: str, pipeline: Pipeline, operator: ops.AvgPool) -> str:
    """A window lies at borders over fewer values, so its sum has another factor there."""
    spatial = pipeline.program.types[operator.x].shape[2:]
    counts = operator.window.counts(spatial, operator.counted_pads).reshape(-1)
    multiple = operator.window.count_multiple(spatial, operator.counted_pads)
    factors = multiple // counts
    lo, hi = pipeline.range(operator.x)
    lo, hi = min(lo - operator.x_zero_point, 0), max(hi - operator.x_zero_point, 0)
    taps = prod(operator.kernel)
    scaled = type_of(min(lo * taps * int(factors.max()), -1), hi * taps * int(factors.max()))
    same = bool((factors == factors[0]).all())
    table = "" if same else array(f"{name}_factors", factors) + "\n"
    factor = str(factors[0]) if same else f"{name}_factors[position]"
    product = "found" if same and factors[0] == 1 else f"found * {factor} /* factor */"
    return table + _sum(name, type_of(min(lo * taps, -1), hi * taps), operator.x_zero_point, scaled, product)


def _sum(name: str, kind: str, zero_point: int, scaled: str, result: str) -> str:
    return f"""struct {name}_reduce {{
    typedef {kind} type;
    static type start() {{ return 0; }}
    template <typename X>
    static type take(type found, X x) {{ return type(found + x - {_signed(zero_point)}); }}
    static {scaled} end(type found, int position) {{
        (void)position;
        return {scaled}({result});
    }}
}};"""


def _signed(value: int) -> str:
    return str(value) if value >= 0 else f"({value})"

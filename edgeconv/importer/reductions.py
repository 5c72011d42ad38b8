"""Reductions over axes, and the index of the largest or smallest value."""

from __future__ import annotations

from math import prod

from edgeconv.importer.builder import Builder
from edgeconv.importer.elementwise import times
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import Tensor, Value
from edgeconv.importer.windows import emit_pool, real_tensor
from edgeconv.ir import dtype
from edgeconv.ir.geometry import Window

# A reduction over all that a window can cover is a pool; ReduceMin has none.
_POOL = {"ReduceMean": "AveragePool", "ReduceSum": "AveragePool", "ReduceMax": "MaxPool"}
# From these operator sets on, the axes are an input.
_AXES_INPUT_SINCE = {"ReduceMean": 18, "ReduceSum": 13, "ReduceMax": 18, "ReduceMin": 18}


def reduce(node: OnnxNode, build: Builder) -> list[Value]:
    """ReduceMean, ReduceSum, ReduceMax or ReduceMin: a pool over spatial axes, else a reduction of its own."""
    x = node.tensor(0) if node.op in ("ReduceMax", "ReduceMin") else real_tensor(node, build)
    axes = _axes(node, len(x.shape))
    if not axes:
        return [x]
    kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(x.shape))
    final = kept if node.attribute("keepdims", 1) else tuple(e for i, e in enumerate(x.shape) if i not in axes)
    if len(x.shape) in (3, 4) and axes[0] >= 2 and node.op in _POOL:
        result = _pool(node, build, x, axes, part="" if final == kept else "reduced")
    else:
        part = "" if final == kept else "reduced"
        result = build.like(x, build.emit(node.op, node, (x.name,), kept, part=part, axes=axes))
    if final != kept:
        result = build.like(result, build.emit("Reshape", node, (result.name,), final, shape=final))
    return [result]


def _pool(node: OnnxNode, build: Builder, x: Tensor, axes: tuple[int, ...], *, part: str) -> Tensor:
    window = Window.of(tuple(extent if axis in axes else 1 for axis, extent in enumerate(x.shape))[2:])
    sums = node.op == "ReduceSum"
    pooled = emit_pool(node, build, _POOL[node.op], x, window, (0,) * len(window.pads), part="pooled" if sums else part)
    if not sums:
        return pooled
    count = prod(x.shape[axis] for axis in axes)
    return build.like(pooled, times(node, build, pooled.name, count, part=part))


def _axes(node: OnnxNode, rank: int) -> tuple[int, ...]:
    axes = node.ints("axes")
    if node.opset >= _AXES_INPUT_SINCE[node.op] and node.has(1):
        axes = node.constant_ints(1, "the axes")
    if not axes:
        return () if node.attribute("noop_with_empty_axes", 0) else tuple(range(rank))
    return tuple(sorted({node.axis(axis, rank) for axis in axes}))


def arg_extreme(node: OnnxNode, build: Builder) -> list[Value]:
    """ArgMax or ArgMin: integers of type int64."""
    x = node.tensor(0)
    axis = node.axis(node.attribute("axis", 0), len(x.shape))
    kept = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    keep = bool(node.attribute("keepdims", 1))
    result = build.emit(
        "ArgMax",
        node,
        (x.name,),
        kept,
        part="" if keep else "index",
        kind=dtype("i64"),
        axis=axis,
        largest=node.op == "ArgMax",
        last=bool(node.attribute("select_last_index", 0)),
    )
    if keep:
        return [result]
    final = (*x.shape[:axis], *x.shape[axis + 1 :])
    return [build.like(result, build.emit("Reshape", node, (result.name,), final, shape=final))]

"""Convolutions, pools and reductions: padding rules resolved to explicit pads."""

from __future__ import annotations

from math import prod
from typing import Any

from edgeconv.errors import ProgramError
from edgeconv.importer.builder import Builder, check_size
from edgeconv.importer.elementwise import times
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import Tensor, Value
from edgeconv.ir.geometry import Window

_POOL_OF_REDUCTION = {"ReduceMean": "AveragePool", "ReduceSum": "AveragePool", "ReduceMax": "MaxPool"}
# From these operator sets on, the axes of a reduction are an input.
_AXES_INPUT_SINCE = {"ReduceMean": 18, "ReduceSum": 13, "ReduceMax": 18}


def conv(node: OnnxNode, build: Builder) -> list[Value]:
    """Conv over one or two spatial axes."""
    x = build.real(node, 0)
    w = build.real(node, 1)
    bias = (build.real(node, 2),) if node.has(2) else ()
    return [emit_conv(node, build, (x, w, *bias))]


def emit_conv(node: OnnxNode, build: Builder, names: tuple[str, ...], *, part: str = "") -> Tensor:
    """Append a Conv over real values x, w and perhaps a bias, with the attributes of `node`."""
    x, w = build.shapes[names[0]], build.shapes[names[1]]
    _check_spatial_rank(node, x)
    groups = node.attribute("group", 1)
    if len(w) != len(x) or w[1] * groups != x[1] or w[0] % groups:
        raise node.error(
            f"weights of shape {w} in {groups} groups for an input of shape {x}",
            expected=f"weights of rank {len(x)} that read {x[1]} channels",
            advice="export the model again; its shapes contradict each other",
        )
    declared = node.ints("kernel_shape")
    if declared is not None and declared != w[2:]:
        raise node.error(f"kernel_shape {declared} for weights of shape {w}", expected=f"{w[2:]}")
    if len(names) > 2 and build.shapes[names[2]] != (w[0],):
        raise node.error(f"bias of shape {build.shapes[names[2]]}", expected=f"({w[0]},)")
    window, _ = resolve_window(node, w[2:], x[2:])
    return build.emit(
        "Conv",
        node,
        names,
        (x[0], w[0], *_output_shape(node, window, x[2:])),
        part=part,
        strides=window.strides,
        dilations=window.dilations,
        pads=window.pads,
        groups=groups,
    )


def max_pool(node: OnnxNode, build: Builder) -> list[Value]:
    """MaxPool of real or integer values."""
    if len(node.outputs) > 1 and node.outputs[1]:
        raise node.error("its Indices output is used", expected="only the pooled values")
    x = node.tensor(0)
    _check_spatial_rank(node, x.shape)
    window, _ = resolve_window(node, _kernel(node), x.shape[2:])
    return [emit_pool(node, build, "MaxPool", x, window)]


def average_pool(node: OnnxNode, build: Builder) -> list[Value]:
    """AveragePool with padding counted or not."""
    x = _real_tensor(node, build)
    return [emit_average_pool(node, build, x)]


def emit_average_pool(node: OnnxNode, build: Builder, x: Tensor, *, part: str = "") -> Tensor:
    """Append the AveragePool that the attributes of `node` describe."""
    _check_spatial_rank(node, x.shape)
    window, counted = resolve_window(node, _kernel(node), x.shape[2:])
    if not node.attribute("count_include_pad", 0):
        counted = (0,) * len(counted)
    return emit_pool(node, build, "AveragePool", x, window, counted, part=part)


def global_pool(node: OnnxNode, build: Builder) -> list[Value]:
    """GlobalAveragePool and GlobalMaxPool: a pool over the whole extent."""
    if node.op == "GlobalMaxPool":
        return [emit_global_pool(node, build, "MaxPool", node.tensor(0))]
    return [emit_global_pool(node, build, "AveragePool", _real_tensor(node, build))]


def emit_global_pool(node: OnnxNode, build: Builder, op: str, x: Tensor, *, part: str = "") -> Tensor:
    """Append a pool whose window is the whole spatial extent of x."""
    _check_spatial_rank(node, x.shape)
    window = Window.of(x.shape[2:])
    return emit_pool(node, build, op, x, window, (0,) * len(window.pads), part=part)


def emit_pool(
    node: OnnxNode,
    build: Builder,
    op: str,
    x: Tensor,
    window: Window,
    counted: tuple[int, ...] | None = None,
    *,
    part: str = "",
) -> Tensor:
    """Append a MaxPool, or an AveragePool whose divisor counts the input extended by `counted`."""
    spatial = _output_shape(node, window, x.shape[2:])
    check_size(node, (*x.shape[:2], *spatial, *window.kernel))
    attributes: dict[str, Any] = {} if op == "MaxPool" else {"counted_pads": counted}
    if window.counts(x.shape[2:], counted or (0,) * len(window.pads)).min() < 1:
        raise node.error("a window lies wholly in the padding", expected="pads smaller than the kernel")
    result = build.emit(
        op,
        node,
        (x.name,),
        (*x.shape[:2], *spatial),
        part=part,
        kernel=window.kernel,
        strides=window.strides,
        dilations=window.dilations,
        pads=window.pads,
        **attributes,
    )
    return build.like(x, result)


def reduce(node: OnnxNode, build: Builder) -> list[Value]:
    """ReduceMean, ReduceSum or ReduceMax over neighbouring axes: a pool, then what keepdims asks for."""
    op = _POOL_OF_REDUCTION[node.op]
    x = node.tensor(0) if op == "MaxPool" else _real_tensor(node, build)
    axes = _reduced_axes(node, len(x.shape))
    if not axes:
        return [x]
    if axes != tuple(range(axes[0], axes[-1] + 1)):
        raise node.error(f"reduces axes {axes}", expected="neighbouring axes", advice="transpose them together first")
    kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(x.shape))
    final = kept if node.attribute("keepdims", 1) else tuple(e for i, e in enumerate(x.shape) if i not in axes)
    sums = node.op == "ReduceSum"
    if len(x.shape) in (3, 4) and axes[0] >= 2:
        kernel = tuple(extent if axis in axes else 1 for axis, extent in enumerate(x.shape))[2:]
        pooled = _pool_once(node, build, op, x, kernel, is_last=final == kept and not sums)
    else:
        first, last = axes[0], axes[-1] + 1
        outer = (x.shape[0], prod(x.shape[1:first])) if first else (1, 1)
        view = (*outer, prod(x.shape[first:last]), prod(x.shape[last:]))
        viewed = build.like(x, build.emit("Reshape", node, (x.name,), view, part="view", shape=view))
        pooled = _pool_once(node, build, op, viewed, (view[2], 1), is_last=False)
    if sums:
        count = prod(x.shape[axis] for axis in axes)
        pooled = build.like(pooled, times(node, build, pooled.name, count, part="" if final == pooled.shape else "sum"))
    if pooled.name != node.output:
        pooled = build.like(pooled, build.emit("Reshape", node, (pooled.name,), final, shape=final))
    return [pooled]


def _pool_once(node: OnnxNode, build: Builder, op: str, x: Tensor, kernel: tuple[int, ...], *, is_last: bool) -> Tensor:
    window = Window.of(kernel)
    return emit_pool(node, build, op, x, window, (0,) * len(window.pads), part="" if is_last else "pooled")


def _reduced_axes(node: OnnxNode, rank: int) -> tuple[int, ...]:
    axes = node.ints("axes")
    if node.opset >= _AXES_INPUT_SINCE[node.op] and node.has(1):
        axes = node.constant_ints(1, "the axes")
    if not axes:
        return () if node.attribute("noop_with_empty_axes", 0) else tuple(range(rank))
    return tuple(sorted({node.axis(axis, rank) for axis in axes}))


def resolve_window(node: OnnxNode, kernel: tuple[int, ...], spatial: tuple[int, ...]) -> tuple[Window, tuple[int, ...]]:
    """The window of a node with explicit pads, and the pads that count as input when padding is counted.

    `ceil_mode` lengthens the padding at the end; that extension never counts in an average.
    """
    rank = len(spatial)
    strides = node.ints("strides") or (1,) * rank
    dilations = node.ints("dilations") or (1,) * rank
    pads = node.ints("pads") or (0,) * (2 * rank)
    if not len(kernel) == len(strides) == len(dilations) == rank or len(pads) != 2 * rank:
        raise node.error(
            f"kernel {kernel}, strides {strides}, dilations {dilations}, pads {pads}",
            expected=f"{rank} entries each, and {2 * rank} pads, for {rank} spatial axes",
        )
    if min((*kernel, *strides, *dilations)) < 1 or min(pads) < 0:
        raise node.error(
            f"kernel {kernel}, strides {strides}, dilations {dilations}, pads {pads}",
            expected="kernel, strides and dilations of at least 1, pads of at least 0",
        )
    auto_pad = node.attribute("auto_pad", "NOTSET")
    window = Window(kernel, strides, dilations, pads)
    if auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        window = Window(kernel, strides, dilations, _same_pads(window, spatial, auto_pad == "SAME_UPPER"))
    elif auto_pad == "VALID":
        window = Window.of(kernel, strides, dilations)
    elif auto_pad not in ("NOTSET", ""):
        raise node.error(f"auto_pad {auto_pad!r}", expected="NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    if node.attribute("ceil_mode", 0):
        extended = tuple(_ceil_end(window, spatial[axis], axis) for axis in range(rank))
        return Window(kernel, strides, dilations, (*window.pads[:rank], *extended)), window.pads
    return window, window.pads


def _same_pads(window: Window, spatial: tuple[int, ...], upper: bool) -> tuple[int, ...]:
    begins, ends = [], []
    for axis, extent in enumerate(spatial):
        stride = window.strides[axis]
        total = max((-(-extent // stride) - 1) * stride + window.reach(axis) - extent, 0)
        small, large = total // 2, total - total // 2
        begins.append(small if upper else large)
        ends.append(large if upper else small)
    return (*begins, *ends)


def _ceil_end(window: Window, extent: int, axis: int) -> int:
    begin, end, stride = window.begin(axis), window.end(axis), window.strides[axis]
    outputs = -(-(extent + begin + end - window.reach(axis)) // stride) + 1
    # A window that would begin in the padding at the end is left out.
    if (outputs - 1) * stride >= extent + begin:
        outputs -= 1
    return max((outputs - 1) * stride + window.reach(axis) - extent - begin, 0)


def _kernel(node: OnnxNode) -> tuple[int, ...]:
    kernel = node.ints("kernel_shape")
    if kernel is None:
        raise node.error("kernel_shape is missing", expected="the extents of the window")
    return kernel


def _check_spatial_rank(node: OnnxNode, shape: tuple[int, ...]) -> None:
    if len(shape) not in (3, 4):
        raise node.error(
            f"input of shape {shape}",
            expected="one or two spatial axes: (N, C, L) or (N, C, H, W)",
            advice="split a 3-D convolution into 2-D ones, or reshape before it",
        )


def _output_shape(node: OnnxNode, window: Window, spatial: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return window.output_shape(spatial)
    except ProgramError as error:
        raise node.error(error.problem, expected="an input at least as long as the window") from error


def _real_tensor(node: OnnxNode, build: Builder) -> Tensor:
    name = build.real(node, 0)
    return Tensor(name, build.shapes[name])

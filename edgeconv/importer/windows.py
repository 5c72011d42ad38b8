"""Convolutions, pools and reductions: padding rules resolved to explicit pads."""

from __future__ import annotations

from typing import Any

from edgeconv.errors import ProgramError
from edgeconv.importer.builder import Builder, check_size
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import Tensor, Value
from edgeconv.ir.geometry import Window


def conv(node: OnnxNode, build: Builder) -> list[Value]:
    """Conv over one or two spatial axes."""
    x = build.real(node, 0)
    w = build.real(node, 1)
    bias = (build.real(node, 2),) if node.has(2) else ()
    return [emit_conv(node, build, (x, w, *bias))]


def emit_conv(node: OnnxNode, build: Builder, names: tuple[str, ...], *, part: str = "") -> Tensor:
    """Append a Conv over real values x, w and perhaps a bias, with the attributes of `node`."""
    x, w = build.shapes[names[0]], build.shapes[names[1]]
    check_spatial_rank(node, x)
    groups = node.attribute("group", 1)
    if len(w) != len(x) or w[1] * groups != x[1] or w[0] % groups:
        raise node.error(
            f"weights of shape {w} in {groups} groups for an input of shape {x}",
            expected=f"weights of rank {len(x)} that read {x[1]} channels",
            advice="export the model again; its shapes contradict each other",
        )
    check_convolution(node, build, names, w[0])
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


def check_convolution(node: OnnxNode, build: Builder, names: tuple[str, ...], outputs: int) -> None:
    """Refuse a declared kernel or a bias that does not fit: names are x, w and perhaps a bias of `outputs` channels."""
    w = build.shapes[names[1]]
    declared = node.ints("kernel_shape")
    if declared is not None and declared != w[2:]:
        raise node.error(f"kernel_shape {declared} for weights of shape {w}", expected=f"{w[2:]}")
    if len(names) > 2 and build.shapes[names[2]] != (outputs,):
        raise node.error(f"bias of shape {build.shapes[names[2]]}", expected=f"({outputs},)")


def max_pool(node: OnnxNode, build: Builder) -> list[Value]:
    """MaxPool of real or integer values."""
    if len(node.outputs) > 1 and node.outputs[1]:
        raise node.error("its Indices output is used", expected="only the pooled values")
    x = node.tensor(0)
    check_spatial_rank(node, x.shape)
    window, _ = resolve_window(node, _kernel(node), x.shape[2:])
    return [emit_pool(node, build, "MaxPool", x, window)]


def average_pool(node: OnnxNode, build: Builder) -> list[Value]:
    """AveragePool with padding counted or not."""
    x = real_tensor(node, build)
    return [emit_average_pool(node, build, x)]


def emit_average_pool(node: OnnxNode, build: Builder, x: Tensor, *, part: str = "") -> Tensor:
    """Append the AveragePool that the attributes of `node` describe."""
    check_spatial_rank(node, x.shape)
    window, counted = resolve_window(node, _kernel(node), x.shape[2:])
    if not node.attribute("count_include_pad", 0):
        counted = (0,) * len(counted)
    return emit_pool(node, build, "AveragePool", x, window, counted, part=part)


def global_pool(node: OnnxNode, build: Builder) -> list[Value]:
    """GlobalAveragePool and GlobalMaxPool: a pool over the whole extent."""
    if node.op == "GlobalMaxPool":
        return [emit_global_pool(node, build, "MaxPool", node.tensor(0))]
    return [emit_global_pool(node, build, "AveragePool", real_tensor(node, build))]


def emit_global_pool(node: OnnxNode, build: Builder, op: str, x: Tensor, *, part: str = "") -> Tensor:
    """Append a pool whose window is the whole spatial extent of x."""
    check_spatial_rank(node, x.shape)
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


def check_spatial_rank(node: OnnxNode, shape: tuple[int, ...]) -> None:
    """Refuse all but one or two spatial axes."""
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


def real_tensor(node: OnnxNode, build: Builder) -> Tensor:
    """Input 0 as a real value."""
    name = build.real(node, 0)
    return Tensor(name, build.shapes[name])

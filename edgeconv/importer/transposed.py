"""Transposed convolutions: padding rules, output padding and wanted extents resolved to explicit pads."""

from __future__ import annotations

from edgeconv.errors import ProgramError
from edgeconv.importer.builder import Builder
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import Value
from edgeconv.importer.windows import check_convolution, check_spatial_rank
from edgeconv.ir.geometry import TransposedWindow


def conv_transpose(node: OnnxNode, build: Builder) -> list[Value]:
    """ConvTranspose over one or two spatial axes; its weights are (C, O / groups, kernel…)."""
    x, w = build.real(node, 0), build.real(node, 1)
    names = (x, w, build.real(node, 2)) if node.has(2) else (x, w)
    shape, weights = build.shapes[x], build.shapes[w]
    check_spatial_rank(node, shape)
    groups = node.attribute("group", 1)
    if len(weights) != len(shape) or weights[0] != shape[1] or weights[0] % groups:
        raise node.error(
            f"weights of shape {weights} in {groups} groups for an input of shape {shape}",
            expected=f"weights of rank {len(shape)} that read {shape[1]} channels",
            advice="export the model again; its shapes contradict each other",
        )
    outputs = weights[1] * groups
    check_convolution(node, build, names, outputs)
    window = _resolve(node, weights[2:], shape[2:])
    try:
        extents = window.output_shape(shape[2:])
    except ProgramError as error:
        raise node.error(error.problem, expected="at least one output") from error
    result = build.emit(
        "ConvTranspose",
        node,
        names,
        (shape[0], outputs, *extents),
        strides=window.strides,
        dilations=window.dilations,
        pads=window.pads,
        output_padding=window.output_padding,
        groups=groups,
    )
    return [result]


def _resolve(node: OnnxNode, kernel: tuple[int, ...], spatial: tuple[int, ...]) -> TransposedWindow:
    rank = len(spatial)
    strides = node.ints("strides") or (1,) * rank
    dilations = node.ints("dilations") or (1,) * rank
    padding = node.ints("output_padding") or (0,) * rank
    pads = node.ints("pads") or (0,) * (2 * rank)
    wanted = node.ints("output_shape")
    found = f"kernel {kernel}, strides {strides}, dilations {dilations}, pads {pads}, output_padding {padding}"
    if any(len(values) != rank for values in (strides, dilations, padding)) or len(pads) != 2 * rank:
        raise node.error(found, expected=f"{rank} entries each, and {2 * rank} pads, for {rank} spatial axes")
    if min(strides + dilations) < 1 or min(pads + padding) < 0:
        raise node.error(found, expected="strides and dilations of at least 1, pads and output_padding of at least 0")
    auto_pad = node.attribute("auto_pad", "NOTSET")
    if auto_pad not in ("NOTSET", "", "VALID", "SAME_UPPER", "SAME_LOWER"):
        raise node.error(f"auto_pad {auto_pad!r}", expected="NOTSET, VALID, SAME_UPPER or SAME_LOWER")
    window = TransposedWindow(kernel, strides, dilations, (0,) * (2 * rank), padding)
    if wanted is None and auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        wanted = tuple(extent * stride for extent, stride in zip(spatial, strides, strict=True))
    if wanted is not None:
        return _reaching(node, window, spatial, wanted[-rank:], upper=auto_pad == "SAME_UPPER")
    return window if auto_pad == "VALID" else TransposedWindow(kernel, strides, dilations, pads, padding)


def _reaching(
    node: OnnxNode, window: TransposedWindow, spatial: tuple[int, ...], wanted: tuple[int, ...], *, upper: bool
) -> TransposedWindow:
    """The window with pads, or more output padding, such that its output has the wanted extents.

    The larger half of odd pads stands at the end where `upper`, else at the begin, as the specification has it.
    """
    if len(wanted) != len(spatial) or min(wanted) < 1:
        raise node.error(f"output_shape {wanted}", expected=f"{len(spatial)} positive extents")
    begins, ends, longer = [], [], []
    for axis, (extent, target) in enumerate(zip(spatial, wanted, strict=True)):
        total = window.full_extent(axis, extent) - target
        small, large = max(total, 0) // 2, max(total, 0) - max(total, 0) // 2
        begins.append(small if upper else large)
        ends.append(large if upper else small)
        longer.append(window.output_padding[axis] + max(-total, 0))
    return TransposedWindow(window.kernel, window.strides, window.dilations, (*begins, *ends), tuple(longer))

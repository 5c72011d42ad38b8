"""DepthToSpace and SpaceToDepth: blocks of pixels into channels and back, as two reshapes around a transpose."""

from __future__ import annotations

from edgeconv.importer.builder import Builder
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import Tensor, Value


def depth_to_space(node: OnnxNode, build: Builder) -> list[Value]:
    """(N, C·b², H, W) to (N, C, H·b, W·b); mode DCR has the block in front of the channels, CRD behind them."""
    x, block = _image(node)
    mode = node.attribute("mode", "DCR")
    if mode not in ("DCR", "CRD"):
        raise node.error(f"mode {mode!r}", expected="DCR or CRD")
    n, channels, height, width = x.shape
    if channels % block**2:
        raise node.error(f"{channels} channels for blocks of {block}", expected=f"a multiple of {block**2}")
    few = channels // block**2
    split, order = (
        ((block, block, few), (0, 3, 4, 1, 5, 2)) if mode == "DCR" else ((few, block, block), (0, 1, 4, 2, 5, 3))
    )
    return _moved(node, build, x, (n, *split, height, width), order, (n, few, height * block, width * block))


def space_to_depth(node: OnnxNode, build: Builder) -> list[Value]:
    """(N, C, H·b, W·b) to (N, b²·C, H, W), the block in front of the channels."""
    x, block = _image(node)
    n, channels, height, width = x.shape
    if height % block or width % block:
        raise node.error(f"{height} × {width} pixels for blocks of {block}", expected=f"multiples of {block}")
    rows, columns = height // block, width // block
    split = (n, channels, rows, block, columns, block)
    return _moved(node, build, x, split, (0, 3, 5, 1, 2, 4), (n, channels * block**2, rows, columns))


def _image(node: OnnxNode) -> tuple[Tensor, int]:
    x, block = node.tensor(0), int(node.attribute("blocksize", 0))
    if len(x.shape) != 4 or block < 1:
        raise node.error(f"blocks of {block} of a value of shape {x.shape}", expected="blocks from 1 on, (N, C, H, W)")
    return x, block


def _moved(
    node: OnnxNode, build: Builder, x: Tensor, split: tuple[int, ...], order: tuple[int, ...], shape: tuple[int, ...]
) -> list[Value]:
    parts = build.like(x, build.emit("Reshape", node, (x.name,), split, part="split", shape=split))
    turned = tuple(split[axis] for axis in order)
    moved = build.like(x, build.emit("Transpose", node, (parts.name,), turned, part="turned", permutation=order))
    return [build.like(x, build.emit("Reshape", node, (moved.name,), shape, shape=shape))]

"""Resize: every coordinate rule of ONNX as lists of indices and, in mode linear, of coefficients, by exact rationals.

ONNX leaves the arithmetic of coordinates to the runtime, and float32 rounds some of them across a pixel border. Here a
scale that is the float32 of the quotient of the two extents means that quotient; any other scale means its own exact
value. Output extents follow the runtimes: floor of the float32 product of extent and scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor, lcm
from typing import Any

import numpy as np

from edgeconv.importer.builder import Builder, check_size
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import Value

_HALF = Fraction(1, 2)
_ADVICE = {
    "cubic": "upsample with mode='linear' or 'nearest', or by a transposed convolution",
    "antialias": "average with an AveragePool before it, or export with antialias=False",
}


def resize(node: OnnxNode, build: Builder) -> list[Value]:
    """Resize or Upsample of the spatial axes in mode nearest or linear."""
    x = node.tensor(0)
    mode = node.attribute("mode", "nearest")
    if mode not in ("nearest", "linear"):
        raise node.error(f"mode {mode!r}", expected="nearest or linear", advice=_ADVICE["cubic"])
    if len(x.shape) not in (3, 4):
        raise node.error(f"input of shape {x.shape}", expected="one or two spatial axes")
    extents, scales = _extents_and_scales(node, x.shape)
    if extents[:2] != x.shape[:2]:
        raise node.error(f"resizes {x.shape} to {extents}", expected="a change of the spatial axes only")
    check_size(node, extents)
    regions = _regions(node, len(x.shape))
    spatial = range(2, len(x.shape))
    coordinates = [axis_coordinates(node, x.shape[i], extents[i], scales[i], regions[i]) for i in spatial]
    if mode == "nearest":
        axes = list(zip(coordinates, x.shape[2:], strict=True))
        indices = tuple(axis_indices(node, along, extent) for along, extent in axes)
    else:
        if node.attribute("antialias", 0) and any(extents[i] < x.shape[i] for i in spatial):
            raise node.error("antialias while it shrinks", expected="antialias=0", advice=_ADVICE["antialias"])
        pairs = [_axis_pairs(node, along, extent) for along, extent in zip(coordinates, x.shape[2:], strict=True)]
        if any(any(pair.right) or 0 in pair.left for pair in pairs):
            name = build.real(node, 0)
            lists: dict[str, Any] = {
                key: tuple(getattr(pair, key) for pair in pairs) for key in ("indices", "left", "right")
            }
            denominators = tuple(pair.denominator for pair in pairs)
            return [build.emit("ResizeLinear", node, (name,), extents, denominators=denominators, **lists)]
        indices = tuple(pair.indices for pair in pairs)
    if all(list(picked) == list(range(x.shape[2 + axis])) for axis, picked in enumerate(indices)):
        return [x]
    return [build.like(x, build.emit("Resize", node, (x.name,), extents, indices=indices))]


@dataclass(frozen=True)
class _Pairs:
    """Along one axis, what each output position reads: (left·x[index] + right·x[index + 1]) / denominator."""

    indices: tuple[int, ...]
    left: tuple[int, ...]
    right: tuple[int, ...]
    denominator: int


def _axis_pairs(node: OnnxNode, coordinates: tuple[Fraction | None, ...], extent: int) -> _Pairs:
    """Both neighbours of every coordinate, those outside of the input moved to its border; None reads real zero."""
    if None in coordinates and node.float32("extrapolation_value", 0.0) != 0:
        raise node.error(
            f"its region reaches outside the input, where extrapolation_value {node.attribute('extrapolation_value')} "
            "stands",
            expected="extrapolation_value 0, or a region inside, between 0 and 1",
        )
    moved = [None if c is None else min(max(c, Fraction(0)), Fraction(extent - 1)) for c in coordinates]
    denominator = lcm(*(c.denominator for c in moved if c is not None))
    indices, left, right = [], [], []
    for coordinate in moved:
        index = 0 if coordinate is None else floor(coordinate)
        fraction = Fraction(0) if coordinate is None else coordinate - index
        indices.append(index)
        right.append(int(fraction * denominator))
        left.append(0 if coordinate is None else denominator - right[-1])
    return _Pairs(tuple(indices), tuple(left), tuple(right), denominator)


def _extents_and_scales(node: OnnxNode, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[Fraction, ...]]:
    rank = len(shape)
    axes = [node.axis(axis, rank) for axis in node.ints("axes") or range(rank)]
    extents, scales = list(shape), [Fraction(1)] * rank
    given = node.constant(2, "the scales").reshape(-1) if node.has(2) else np.zeros(0, np.float32)
    if given.size:
        factors = given.astype(np.float32)
        if factors.size != len(axes) or not (np.isfinite(factors) & (factors > 0)).all():
            raise node.error(f"scales {factors.tolist()}", expected=f"{len(axes)} positive numbers")
        for axis, factor in zip(axes, factors, strict=True):
            extents[axis] = max(1, floor(np.float32(shape[axis]) * factor))
            quotient = Fraction(extents[axis], shape[axis])
            scales[axis] = quotient if np.float32(float(quotient)) == factor else Fraction(float(factor))
        return tuple(extents), tuple(scales)
    sizes = node.constant_ints(3, "the sizes")
    if len(sizes) != len(axes) or min(sizes) < 1:
        raise node.error(f"sizes {sizes}", expected=f"{len(axes)} positive extents")
    policy = node.attribute("keep_aspect_ratio_policy", "stretch")
    quotients = [Fraction(size, shape[axis]) for axis, size in zip(axes, sizes, strict=True)]
    if policy != "stretch":
        common = min(quotients) if policy == "not_larger" else max(quotients)
        sizes = tuple(floor(common * shape[axis] + _HALF) for axis in axes)
        quotients = [common] * len(axes)
    for axis, size, quotient in zip(axes, sizes, quotients, strict=True):
        extents[axis], scales[axis] = size, quotient
    return tuple(extents), tuple(scales)


def _regions(node: OnnxNode, rank: int) -> list[tuple[Fraction, Fraction]]:
    regions = [(Fraction(0), Fraction(1))] * rank
    if node.attribute("coordinate_transformation_mode", "half_pixel") != "tf_crop_and_resize":
        return regions
    values = [Fraction(float(value)) for value in node.constant(1, "the region").reshape(-1)]
    axes = [node.axis(axis, rank) for axis in node.ints("axes") or range(rank)]
    if len(values) != 2 * len(axes):
        raise node.error(f"a region of {len(values)} numbers", expected=f"{2 * len(axes)}")
    for position, axis in enumerate(axes):
        regions[axis] = (values[position], values[len(axes) + position])
    return regions


def axis_coordinates(
    node: OnnxNode, extent: int, resized: int, scale: Fraction, region: tuple[Fraction, Fraction]
) -> tuple[Fraction | None, ...]:
    """The input coordinate of each of `resized` output positions along an axis; None where a value is extrapolated."""
    mode = node.attribute("coordinate_transformation_mode", "half_pixel")
    found: list[Fraction | None] = []
    for position in range(resized):
        coordinate = _coordinate(node, mode, position, extent, resized, scale, region)
        outside = mode == "tf_crop_and_resize" and not 0 <= coordinate <= extent - 1
        found.append(None if outside else Fraction(coordinate))
    return tuple(found)


def axis_indices(node: OnnxNode, coordinates: tuple[Fraction | None, ...], extent: int) -> tuple[int, ...]:
    """The input position nearest to each coordinate along an axis of extent `extent`."""
    rounding = node.attribute("nearest_mode", "round_prefer_floor")
    indices = []
    for coordinate in coordinates:
        if coordinate is None:
            raise node.error("its region reaches outside the input", expected="a region inside, between 0 and 1")
        indices.append(min(max(_nearest(node, rounding, coordinate), 0), extent - 1))
    return tuple(indices)


def _coordinate(
    node: OnnxNode,
    mode: str,
    position: int,
    extent: int,
    resized: int,
    scale: Fraction,
    region: tuple[Fraction, Fraction],
) -> Fraction:
    centre = (position + _HALF) / scale
    if mode == "half_pixel":
        return centre - _HALF
    if mode == "pytorch_half_pixel":
        return centre - _HALF if resized > 1 else Fraction(0)
    if mode == "half_pixel_symmetric":
        return Fraction(extent, 2) * (1 - resized / (scale * extent)) + centre - _HALF
    if mode == "tf_half_pixel_for_nn":
        return centre
    if mode == "asymmetric":
        return position / scale
    if mode == "align_corners":
        return Fraction(position * (extent - 1), resized - 1) if resized > 1 else Fraction(0)
    if mode == "tf_crop_and_resize":
        start, end = region
        if resized > 1:
            return start * (extent - 1) + position * (end - start) * (extent - 1) / (resized - 1)
        return (start + end) * (extent - 1) / 2
    raise node.error(f"coordinate_transformation_mode {mode!r}", expected="a mode of the ONNX specification")


def _nearest(node: OnnxNode, rounding: str, coordinate: Fraction) -> int:
    below = floor(coordinate)
    if rounding == "floor":
        return below
    if rounding == "ceil":
        return below if coordinate == below else below + 1
    if rounding == "round_prefer_floor":
        return below + (coordinate - below > _HALF)
    if rounding == "round_prefer_ceil":
        return below + (coordinate - below >= _HALF)
    raise node.error(f"nearest_mode {rounding!r}", expected="a mode of the ONNX specification")

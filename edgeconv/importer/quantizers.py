"""Scales and zero points: the checks that every dialect shares, and quantization of constants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import QuantizationError, UnsupportedModelError
from edgeconv.importer.graph import Quantizer
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import along
from edgeconv.ir import Rounding

_SCALE_ADVICE = "calibrate or train again: a channel that is always zero often ends with such a scale"


def checked_scale(node: OnnxNode, index: int, meaning: str = "the scale") -> NDArray[np.float32]:
    """Input `index` as float32 scales.

    Raises:
        QuantizationError: a scale is not float32, NaN, infinite, zero or negative.
    """
    array = node.constant(index, meaning)
    if array.dtype != np.float32:
        raise node.error(
            f"{meaning} (input {index}) has type {array.dtype.name}",
            expected="float32",
            advice="export the model in float32 before quantizing it",
            kind=QuantizationError,
        )
    return positive(node, array.astype(np.float32), meaning)


def positive(node: OnnxNode, scales: NDArray[np.float32], meaning: str = "the scale") -> NDArray[np.float32]:
    """Scales that are positive and finite.

    Raises:
        QuantizationError: one of them is not, or there is none.
    """
    flat = scales.reshape(-1)
    wrong = np.flatnonzero(~(np.isfinite(flat) & (flat > 0)))
    if flat.size and not wrong.size:
        return scales
    found = f"is {flat[wrong[0]]}" + (f" at index {wrong[0]}" if flat.size > 1 else "") if flat.size else "is empty"
    raise node.error(
        f"{meaning} {found}", expected="a positive finite number", advice=_SCALE_ADVICE, kind=QuantizationError
    )


def scale_axis(
    node: OnnxNode, scale: NDArray[np.float32], shape: tuple[int, ...], axis: int, meaning: str = "the scale"
) -> int:
    """The checked, non-negative axis of a scale that is a scalar or a list along an axis of `shape`.

    Raises:
        QuantizationError: the axis does not exist, or its extent is not the number of scales.
    """
    if scale.size == 1:
        return 1
    if scale.ndim != 1:
        raise node.error(
            f"{meaning} has shape {scale.shape}",
            expected="a scalar or a list along one axis",
            advice="quantize per tensor or per channel; blocks of a channel with their own scales are not supported",
            kind=QuantizationError,
        )
    rank = len(shape)
    if not -rank <= axis < rank:
        raise node.error(
            f"quantization axis {axis} of a tensor of shape {shape}",
            expected=f"an axis from {-rank} to {rank - 1}",
            advice="set the axis attribute to the channel axis",
            kind=QuantizationError,
        )
    if shape[axis] != scale.size:
        raise node.error(
            f"{scale.size} entries of {meaning} for axis {axis} of extent {shape[axis]} (shape {shape})",
            expected=f"1 or {shape[axis]} scales",
            advice="check the axis attribute: weights of a convolution have their output channels on axis 0",
            kind=QuantizationError,
        )
    return axis % rank


def floats(array: NDArray[np.generic]) -> tuple[float, ...]:
    """A flat tuple of Python floats of exactly these values."""
    return tuple(float(value) for value in array.reshape(-1))


def ints(array: NDArray[np.generic]) -> tuple[int, ...]:
    """A flat tuple of Python integers."""
    return tuple(int(value) for value in array.reshape(-1))


def single_zero_point(node: OnnxNode, zero_points: tuple[int, ...]) -> int:
    """The one zero point of a quantizer of activations.

    Raises:
        UnsupportedModelError: the zero point differs between channels.
    """
    if len(set(zero_points)) > 1:
        raise node.error(
            f"zero points from {min(zero_points)} to {max(zero_points)} in one activation tensor",
            expected="one zero point for all channels",
            advice="quantize activations with one zero point (scales may differ by channel)",
            kind=UnsupportedModelError,
        )
    return zero_points[0]


def quantize_array(
    x: NDArray[np.generic], quantizer: Quantizer, zero_points: tuple[int, ...] | None = None
) -> NDArray[np.generic]:
    """Integers of a float constant, with the float32 arithmetic that ONNX and QONNX define for it.

    Args:
        x: float32 values, all finite.
        zero_points: one per index of the quantizer's axis where they differ; by default the quantizer's own.
    """
    scale = along(quantizer.scale, quantizer.axis, x.shape, np.float32)
    zero = along(zero_points or (quantizer.zero_point,), quantizer.axis, x.shape, np.int64)
    with np.errstate(over="ignore"):
        ratio = x.astype(np.float32) / scale
    if quantizer.zero_point_inside:
        clamped = np.clip(ratio + zero.astype(np.float32), np.float32(quantizer.lo), np.float32(quantizer.hi))
        rounded = _round(clamped.astype(np.float64), quantizer.rounding)
    else:
        # Far beyond the range before the integer conversion, so that a huge ratio cannot overflow int64.
        limit = float(2**40)
        rounded = _round(np.clip(ratio.astype(np.float64), -limit, limit), quantizer.rounding) + zero
    integers = np.clip(rounded, quantizer.lo, quantizer.hi)
    return integers.astype(np.int64).astype(quantizer.dtype.container)


def _round(x: NDArray[np.float64], rounding: Rounding) -> NDArray[np.float64]:
    if rounding is Rounding.HALF_EVEN:
        return np.rint(x)
    return np.trunc(x + np.copysign(0.5, x))

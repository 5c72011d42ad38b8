"""Biases that make up for the mean error of quantized layers.

Rounded weights and activations shift the mean of what a layer gives, channel by channel, and the layers behind it add
such shifts up. The bias takes the shift out again: empirical bias correction of Nagel et al. (arXiv 1906.04721, section
4.2 and appendix D), layer after layer, each on what the corrected layers before it really give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from edgeconv.quantize.ptq.calibration import Samples, chunks
from edgeconv.quantize.ptq.rewrite import QuantizedWeights
from edgeconv.verify.onnx_peer import OnnxPeer

__all__ = ["correct_biases"]

_SAMPLES = 64
"""A mean over so many samples, and over all positions, is known far better than a step of the next grid."""


def correct_biases(
    model: onnx.ModelProto,
    quantized: onnx.ModelProto,
    layers: Sequence[QuantizedWeights],
    shapes: Mapping[str, tuple[int, ...]],
    samples: Samples,
    progress: Callable[[str], None] = lambda _: None,
) -> None:
    """Change the integer biases of a quantized model in place, so that each layer's mean is the float model's.

    Args:
        model: the float model, whose values have the same names.
        layers: from `write_quantizers`; those without an integer bias stay.
        shapes: of one sample of each value.
        samples: for calibration; the first few are used.
    """
    with_bias = [layer for layer in layers if layer.bias is not None]
    few = {name: array[:_SAMPLES] for name, array in samples.items()}
    wanted = _means(model, with_bias, shapes, few)
    constants = {tensor.name: tensor for tensor in quantized.graph.initializer}
    for layer, mean in zip(with_bias, wanted, strict=True):
        progress("correcting biases")
        assert layer.bias is not None
        (found,) = _means(quantized, [layer], shapes, few)
        integers, scale = (numpy_helper.to_array(constants[name]) for name in layer.bias)
        changed = integers + np.rint((mean - found) / scale)
        bounds = np.iinfo(np.int32)
        tensor = numpy_helper.from_array(np.clip(changed, bounds.min, bounds.max).astype(np.int32), layer.bias[0])
        constants[layer.bias[0]].CopyFrom(tensor)


def _means(
    model: onnx.ModelProto, layers: Sequence[QuantizedWeights], shapes: Mapping[str, tuple[int, ...]], samples: Samples
) -> list[NDArray[np.float64]]:
    """The mean of each layer's output per channel, over samples and positions."""
    peer = OnnxPeer(model, optimized=False)
    peer.also({layer.output for layer in layers})
    sums = [np.zeros(shapes[layer.output][layer.channel_axis]) for layer in layers]
    elements = sum(int(np.prod(shapes[layer.output])) for layer in layers)
    for chunk in chunks(samples, elements):
        results = peer.run(chunk)
        for total, layer in zip(sums, layers, strict=True):
            array = results[layer.output].astype(np.float64)
            # The samples stand in front of the axes of one sample.
            channels = layer.channel_axis % len(shapes[layer.output]) + 1
            axes = tuple(axis for axis in range(array.ndim) if axis != channels)
            total += array.mean(axes) * len(array)
    count = len(next(iter(samples.values())))
    return [total / count for total in sums]

"""The quantized model beside the float model: noise of each quantizer and output, and the user's own measure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeconv.errors import InputError
from edgeconv.importer.graph import Quantizer
from edgeconv.quantize.ptq.calibration import Samples, chunks
from edgeconv.quantize.ptq.quantizer import Quantized
from edgeconv.quantize.ptq.results import ActivationRow, WeightRow
from edgeconv.verify.float_model import SignalNoise
from edgeconv.verify.onnx_peer import OnnxPeer
from edgeconv.verify.results import Metric

__all__ = ["activation_rows", "evaluate", "weight_rows"]

Array = NDArray[Any]


def activation_rows(
    model: onnx.ModelProto, quantized: Quantized, samples: Samples
) -> tuple[tuple[ActivationRow, ...], dict[str, float]]:
    """A row for each quantizer, and the signal-to-noise ratio of each output in dB.

    Both models run in onnxruntime, whose sums in float32 differ from the integers by far less than a step.

    Args:
        model: the float model.
    """
    graph = quantized.graph
    real = {node.input[0]: _real(quantized.model, node.output[0]) for node in _quantizers(quantized.model)}
    values = [name for name in quantized.quantizers if name not in graph.constants]
    exact, approximate = OnnxPeer(model, optimized=True), OnnxPeer(quantized.model, optimized=False)
    exact.also(set(values) - set(samples))
    approximate.also({real[name] for name in values})
    power = {name: SignalNoise() for name in (*values, *graph.output_names)}
    outside = dict.fromkeys(values, 0)
    elements = 2 * sum(int(np.prod(graph.shapes[name])) for name in values)
    for chunk in chunks(samples, elements):
        left: dict[str, Array] = {**exact.run(chunk), **chunk}
        right = approximate.run(chunk)
        for name in values:
            power[name].add(left[name].astype(np.float64), right[real[name]].astype(np.float64))
            lo, hi = _bounds(quantized.quantizers[name])
            outside[name] += int(np.count_nonzero((left[name] < lo) | (left[name] > hi)))
        for name in graph.output_names:
            power[name].add(left[name].astype(np.float64), right[name].astype(np.float64))
    count = len(next(iter(samples.values())))
    rows = []
    for name, quantizer in quantized.quantizers.items():
        known = name in outside
        share = outside[name] / (count * int(np.prod(graph.shapes[name]))) if known else 0.0
        rows.append(_row(name, quantizer, quantized, share, power[name].decibel if known else None))
    return tuple(rows), {name: power[name].decibel for name in graph.output_names}


def _row(name: str, quantizer: Quantizer, quantized: Quantized, outside: float, decibel: float | None) -> ActivationRow:
    ops = [node.op for node in quantized.graph.nodes if node.output == name]
    op = ops[0] if ops else "constant" if name in quantized.graph.constants else "input"
    bits = (quantizer.hi - quantizer.lo).bit_length()
    lo, hi = ((end - quantizer.zero_point) * quantizer.scale[0] for end in (quantizer.lo, quantizer.hi))
    return ActivationRow(name, quantized.names[name], op, str(quantizer.dtype), bits, lo, hi, outside, decibel)


def _bounds(quantizer: Quantizer) -> tuple[float, float]:
    """Real values between which rounding is the only error."""
    (scale,), zero = quantizer.scale, quantizer.zero_point
    return (quantizer.lo - zero - 0.5) * scale, (quantizer.hi - zero + 0.5) * scale


def _quantizers(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == "QuantizeLinear"]


def _real(model: onnx.ModelProto, integers: str) -> str:
    """The dequantized value of integers, behind the Clip of narrow types."""
    (reader,) = [node for node in model.graph.node if integers in node.input]
    return _real(model, reader.output[0]) if reader.op_type == "Clip" else str(reader.output[0])


def weight_rows(quantized: Quantized) -> tuple[WeightRow, ...]:
    """A row for each layer with weights."""
    return tuple(
        WeightRow(each.layer, each.bits, each.size, SignalNoise(each.signal, each.noise).decibel)
        for each in quantized.weights
    )


def evaluate(
    model: onnx.ModelProto, quantized: Quantized, samples: Samples, targets: Mapping[str, Array], place: str
) -> tuple[tuple[Metric, Metric], ...]:
    """The float and the quantized model on samples with targets, each figure as a pair.

    Whole numbers with one value less an axis than an output are classes (accuracy in %, argmax over axis 1); numbers
    of an output's shape are its true values (root mean square error). Without targets: how often the largest entries
    agree, and the signal-to-noise ratio.

    Args:
        targets: by output name; a model of one output takes an array of any name.
        place: where they come from, for messages.

    Raises:
        InputError: targets that fit no output.
    """
    names = quantized.graph.output_names
    if len(names) == len(targets) == 1:
        targets = dict(zip(names, targets.values(), strict=True))
    unknown = sorted(set(targets) - set(names))
    if unknown:
        raise InputError(f"{place}: array '{unknown[0]}' is neither an input nor an output", expected=", ".join(names))
    left, right = (_run(each, samples) for each in (model, quantized.model))
    found: list[tuple[Metric, Metric]] = []
    for name in names:
        exact, rounded = left[name].astype(np.float64), right[name].astype(np.float64)
        if name in targets:
            found.append(_against(name, np.asarray(targets[name]), exact, rounded, place))
            continue
        power = SignalNoise()
        power.add(exact, rounded)
        found.append((Metric(f"{name}: SQNR", float("inf"), "dB"), Metric(f"{name}: SQNR", power.decibel, "dB")))
        if exact[0].size > 1:
            rows = exact.reshape(len(exact), -1).argmax(1) == rounded.reshape(len(rounded), -1).argmax(1)
            label = f"{name}: same largest entry"
            found.append((Metric(label, 100.0, "%"), Metric(label, 100 * float(rows.mean()), "%")))
    return tuple(found)


def _run(model: onnx.ModelProto, samples: Samples) -> dict[str, Array]:
    peer = OnnxPeer(model, optimized=False)
    parts = [peer.run(chunk) for chunk in chunks(samples, sum(array[0].size for array in samples.values()) * 64)]
    return {name: np.concatenate([part[name] for part in parts]) for name in peer.outputs}


def _against(
    name: str, target: Array, exact: NDArray[np.float64], rounded: NDArray[np.float64], place: str
) -> tuple[Metric, Metric]:
    count = len(exact)
    # One sample is (1, classes, …): its class axis stands behind the batch axis.
    classes = (count, *exact.shape[1:2], *exact.shape[3:])
    if np.issubdtype(target.dtype, np.integer) and target.size == np.prod(classes) and exact.ndim > 2:
        truth = target.reshape(classes)
        label = f"{name}: accuracy"
        return tuple(Metric(label, 100 * float((y.argmax(2) == truth).mean()), "%") for y in (exact, rounded))  # type: ignore[return-value]
    if target.size != exact.size:
        raise InputError(
            f"{place}: targets for '{name}' have shape {target.shape}",
            expected=f"classes of shape {classes[:1] + classes[2:]} or values of shape {exact.shape}",
        )
    truth = target.astype(np.float64).reshape(exact.shape)
    label = f"{name}: root mean square error"
    return tuple(Metric(label, float(np.sqrt(((y - truth) ** 2).mean()))) for y in (exact, rounded))  # type: ignore[return-value]

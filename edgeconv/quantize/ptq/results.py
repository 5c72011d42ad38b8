"""What post-training quantization reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeconv.verify.results import Metric

__all__ = ["ActivationRow", "QuantizeReport", "WeightRow"]


@dataclass(frozen=True)
class ActivationRow:
    """A quantizer of an activation.

    Attributes:
        value: name in the ONNX graph.
        layer: the name that policies know it by.
        op: the operator that makes the value; "input" or "constant".
        dtype: type of the integers.
        lo, hi: the range of real numbers that the grid covers.
        saturated: share of the float values on the calibration samples outside of it.
        sqnr_db: signal to noise of the quantized network's value against the float network's, all layers before it
            quantized; infinite where they agree, None for a constant.
    """

    value: str
    layer: str
    op: str
    dtype: str
    bits: int
    lo: float
    hi: float
    saturated: float
    sqnr_db: float | None


@dataclass(frozen=True)
class WeightRow:
    """Weights of a layer; `sqnr_db` is theirs alone."""

    layer: str
    bits: int
    weights: int
    sqnr_db: float


@dataclass(frozen=True)
class QuantizeReport:
    """What a post-training quantization gave.

    Attributes:
        path: the quantized model.
        calibration: in words, where the samples came from.
        samples: their number.
        drawn: the samples were drawn at random: the accuracy on real data is unknown.
        float_bytes, weight_bytes: constants of the float model, and of the integer program packed as in an artifact.
        outputs: signal to noise in dB of each output, on the calibration samples.
        metrics: of `evaluate`, pairs of float and quantized.
    """

    path: Path
    calibration: str
    samples: int
    drawn: bool
    activations: tuple[ActivationRow, ...]
    weights: tuple[WeightRow, ...]
    float_bytes: int
    weight_bytes: int
    outputs: Mapping[str, float]
    metrics: tuple[tuple[Metric, Metric], ...] = ()

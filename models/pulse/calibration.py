"""Are predicted uncertainties true? Errors in units of what a network says about them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError

__all__ = ["QUANTITIES", "Calibration", "calibration"]

Floats = NDArray[np.float64]
QUANTITIES = ("time", "energy")
_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Of one quantity; a perfect one has a pull of 1 and covers 68.3 % and 95.4 %.

    Attributes:
        pull: root mean square of error / predicted standard deviation.
        one_sigma, two_sigma: fraction of errors within one and two predicted standard deviations.
        predicted, found: predicted and found root mean square errors of ten equal parts of the pulses, ordered by the
            prediction; ns, or fractions of full scale.
    """

    pull: float
    one_sigma: float
    two_sigma: float
    predicted: Floats
    found: Floats


def calibration(predictions: NDArray[np.floating], truth: Floats) -> dict[str, Calibration]:
    """Of time and energy.

    Args:
        predictions: (N, 4): time in ns, energy as a fraction of full scale, logarithms of their standard deviations.
        truth: (N, 2).

    Raises:
        InputError: another shape.
    """
    if predictions.shape != (len(truth), 4):
        raise InputError(f"predictions of shape {predictions.shape}", expected=f"({len(truth)}, 4)")
    answers = predictions.astype(np.float64)
    found = {}
    for column, name in enumerate(QUANTITIES):
        error, sigma = answers[:, column] - truth[:, column], np.exp(answers[:, 2 + column])
        pull = np.abs(error) / sigma
        parts = np.array_split(np.argsort(sigma), _BINS)
        found[name] = Calibration(
            float(np.sqrt(np.mean(pull**2))),
            float((pull < 1).mean()),
            float((pull < 2).mean()),
            np.array([np.sqrt(np.mean(sigma[part] ** 2)) for part in parts]),
            np.array([np.sqrt(np.mean(error[part] ** 2)) for part in parts]),
        )
    return found

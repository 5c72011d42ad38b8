"""The measures of monocular depth: Eigen et al. (NIPS 2014), with the crop of Garg et al. (ECCV 2016).

A network that learns from pictures alone knows depth up to a factor, so each prediction is scaled to the median of the
truth first (Zhou et al., CVPR 2017).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError

__all__ = ["CAP", "DepthScore", "garg_crop", "judged_pixels", "mean_score", "score_depth"]

CAP = 80.0
"""Metres beyond which no depth is judged."""
_NEAREST = 1e-3


@dataclass(frozen=True)
class DepthScore:
    """Errors over valid pixels; lower is better except for the three δ, which are shares of pixels.

    Attributes:
        abs_rel: mean of |d - d*| / d*.
        sq_rel: mean of (d - d*)² / d*, in metres.
        rmse: root mean square of d - d*, in metres.
        rmse_log: root mean square of ln d - ln d*.
        delta1, delta2, delta3: share with max(d/d*, d*/d) below 1.25, 1.25², 1.25³.
    """

    abs_rel: float
    sq_rel: float
    rmse: float
    rmse_log: float
    delta1: float
    delta2: float
    delta3: float


def garg_crop(height: int, width: int) -> tuple[slice, slice]:
    """Rows and columns in which Eigen's split is evaluated."""
    rows = slice(int(0.40810811 * height), int(0.99189189 * height))
    return rows, slice(int(0.03594771 * width), int(0.96405229 * width))


def judged_pixels(truth: NDArray[np.floating], *, crop: bool = True) -> NDArray[np.bool_]:
    """Which pixels (height, width) count: of known depth up to 80 m, within Garg's crop where that is asked for."""
    known = (truth > _NEAREST) & (truth < CAP)
    if crop:
        inside = np.zeros_like(known)
        inside[garg_crop(*truth.shape)] = True
        known &= inside
    return np.asarray(known)


def score_depth(
    predicted: NDArray[np.floating], truth: NDArray[np.floating], *, crop: bool = True, median_scaling: bool = True
) -> DepthScore:
    """Judge one depth map.

    Args:
        predicted: (height, width), positive, at the resolution of the truth.
        truth: (height, width) metres; 0, and anything beyond 80 m, counts as unknown.
        crop: only within Garg's crop.

    Raises:
        UsageError: shapes differ, or no pixel is known.
    """
    if predicted.shape != truth.shape:
        raise UsageError(f"a prediction of shape {predicted.shape}", expected=f"{truth.shape}, as the truth")
    known = judged_pixels(truth, crop=crop)
    if not known.any():
        raise UsageError("a depth map without known pixels", expected=f"depths of {_NEAREST} to {CAP} m in the crop")
    d, t = predicted[known].astype(np.float64), truth[known].astype(np.float64)
    if median_scaling:
        d = d * (np.median(t) / np.median(d))
    d = np.clip(d, _NEAREST, CAP)
    ratio = np.maximum(d / t, t / d)
    return DepthScore(
        abs_rel=float(np.mean(np.abs(d - t) / t)),
        sq_rel=float(np.mean((d - t) ** 2 / t)),
        rmse=float(np.sqrt(np.mean((d - t) ** 2))),
        rmse_log=float(np.sqrt(np.mean((np.log(d) - np.log(t)) ** 2))),
        delta1=float(np.mean(ratio < 1.25)),
        delta2=float(np.mean(ratio < 1.25**2)),
        delta3=float(np.mean(ratio < 1.25**3)),
    )


def mean_score(scores: Iterable[DepthScore]) -> DepthScore:
    """The mean of each measure over pictures, as papers report it."""
    rows = [asdict(score) for score in scores]
    if not rows:
        raise UsageError("no scores to average")
    return DepthScore(**{name: float(np.mean([row[name] for row in rows])) for name in rows[0]})

"""The field's measures of multi-label diagnosis: AUROC, AUPRC, F1 per class, and the metric of the 2021 challenge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError
from edgeconv.models.ecg_mamba.labels import SCORED, SINUS_RHYTHM, ClassSet

__all__ = [
    "Difference",
    "Scores",
    "auprc",
    "auroc",
    "challenge_metric",
    "evaluate",
    "f1",
    "f1_thresholds",
    "macro",
    "paired_bootstrap",
]

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scores:
    """Measures of one set of predictions; NaN for a class without both positives and negatives.

    Attributes:
        auroc, auprc, f1: per class, (classes,).
        macro_auroc, macro_auprc, macro_f1: means over the classes that have a value.
        challenge: the normalized metric of the 2021 challenge, or None without its weights.
    """

    auroc: Floats
    auprc: Floats
    f1: Floats
    macro_auroc: float
    macro_auprc: float
    macro_f1: float
    challenge: float | None


def evaluate(
    labels: Bools,
    scores: NDArray[np.floating],
    thresholds: Floats | float = 0.5,
    *,
    weights: Floats | None = None,
    classes: ClassSet = SCORED,
) -> Scores:
    """All measures at once.

    Args:
        labels: (records, classes).
        scores: (records, classes), higher means more likely.
        thresholds: scores from which a class is answered; chosen on other data than these, see `f1_thresholds`.
        weights: of `read_weights`, for the challenge's metric.
    """
    answers = scores >= thresholds
    roc, precision, f = auroc(labels, scores), auprc(labels, scores), f1(labels, answers)
    challenge = None
    if weights is not None:
        challenge = challenge_metric(labels, answers, weights, classes.index(SINUS_RHYTHM))
    return Scores(roc, precision, f, macro(roc), macro(precision), macro(f), challenge)


def macro(values: Floats) -> float:
    """Mean over the classes that have a value; NaN where none has."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def auroc(labels: Bools, scores: NDArray[np.floating]) -> Floats:
    """Area under the ROC curve per class: the probability that a positive outranks a negative, ties counted half."""
    _check(labels, scores)
    return np.array([_auroc(*pair) for pair in zip(labels.T, scores.T, strict=True)])


def _auroc(positive: Bools, score: NDArray[np.floating]) -> float:
    p, n = int(positive.sum()), int((~positive).sum())
    if not p or not n:
        return float("nan")
    _, place, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = np.cumsum(count) - (count - 1) / 2  # mean rank of equal scores, from 1
    return float((rank[place[positive]].sum() - p * (p + 1) / 2) / (p * n))


def auprc(labels: Bools, scores: NDArray[np.floating]) -> Floats:
    """Area under the precision-recall curve per class, as average precision: steps, no interpolation."""
    _check(labels, scores)
    return np.array([_auprc(*pair) for pair in zip(labels.T, scores.T, strict=True)])


def _auprc(positive: Bools, score: NDArray[np.floating]) -> float:
    if not positive.any() or positive.all():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))  # equal scores are answered together
    found = np.diff(hits[last], prepend=0)
    return float(np.sum(found * hits[last] / (last + 1)) / hits[-1])


def f1(labels: Bools, answers: Bools) -> Floats:
    """F1 per class; NaN for a class without positives or without negatives, as for the areas."""
    _check(labels, answers)
    both = (labels & answers).sum(axis=0)
    total = labels.sum(axis=0) + answers.sum(axis=0)
    known = labels.any(axis=0) & ~labels.all(axis=0)
    return np.where(known, 2 * both / np.maximum(total, 1), np.nan)


def f1_thresholds(labels: Bools, scores: NDArray[np.floating]) -> Floats:
    """The score per class from which answering gives the best F1 on these records; infinity without positives."""
    _check(labels, scores)
    thresholds = np.full(labels.shape[1], np.inf)
    for column in np.flatnonzero(labels.any(axis=0)):
        order = np.argsort(-scores[:, column], kind="stable")
        sorted_scores = scores[order, column]
        hits = np.cumsum(labels[order, column])
        value = 2 * hits / (np.arange(1, len(order) + 1) + hits[-1])
        value[:-1][np.diff(sorted_scores) == 0] = -1  # no threshold lies between equal scores
        thresholds[column] = sorted_scores[int(np.argmax(value))]
    return thresholds


def challenge_metric(labels: Bools, answers: Bools, weights: Floats, sinus_rhythm: int) -> float:
    """The metric of the PhysioNet/CinC Challenge 2021 (Reyna et al.; evaluation-2021).

    Every record spreads 1/|true or answered classes| over all pairs of a true and an answered class; the sum of these
    times the weights is scaled so that the truth scores 1 and "sinus rhythm" for everyone scores 0.

    Args:
        sinus_rhythm: its column.

    Returns:
        1 at best; 0 where the truth scores no more than sinus rhythm for everyone.
    """
    _check(labels, answers)
    if weights.shape != (labels.shape[1], labels.shape[1]):
        raise InputError(f"weights of shape {weights.shape}", expected=f"{labels.shape[1]} classes in both directions")
    inactive = np.zeros_like(answers)
    inactive[:, sinus_rhythm] = True
    found, best, zero = (_reward(labels, other, weights) for other in (answers, labels, inactive))
    return (found - zero) / (best - zero) if best != zero else 0.0


def _reward(labels: Bools, answers: Bools, weights: Floats) -> float:
    share = 1 / np.maximum((labels | answers).sum(axis=1), 1)
    return float(np.sum(weights * (labels.T.astype(np.float64) @ (answers * share[:, None]))))


@dataclass(frozen=True)
class Difference:
    """A measure of two predictors on the same records.

    Attributes:
        first, second: the measure on all records.
        low, high: interval of `first - second` that holds 95 % of the resampled differences.
        p: share of resamplings in which the difference has the other sign or is zero, doubled (two-sided), at most 1.
    """

    first: float
    second: float
    low: float
    high: float
    p: float

    @property
    def difference(self) -> float:
        """First minus second, on all records."""
        return self.first - self.second


def paired_bootstrap(
    measure: Callable[[Bools, NDArray[np.floating]], float],
    labels: Bools,
    first: NDArray[np.floating],
    second: NDArray[np.floating],
    *,
    patients: tuple[str, ...] | None = None,
    resamplings: int = 1000,
    seed: int = 0,
) -> Difference:
    """Whether one predictor is better than another: both are measured on the same resampled records.

    Args:
        measure: such as `lambda labels, scores: macro(auprc(labels, scores))`.
        first, second: their scores or answers, (records, classes).
        patients: of each record. Patients are resampled with all their records, since records of one patient resemble
            one another; without them, records are.
    """
    _check(labels, first)
    _check(labels, second)
    rng = np.random.default_rng(seed)
    _, owner = np.unique(np.array(patients if patients is not None else np.arange(len(labels))), return_inverse=True)
    order = np.argsort(owner, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(owner))[:-1])
    differences = np.empty(resamplings)
    for i in range(resamplings):
        chosen = np.concatenate([members[j] for j in rng.integers(0, len(members), len(members))])
        differences[i] = measure(labels[chosen], first[chosen]) - measure(labels[chosen], second[chosen])
    whole = measure(labels, first), measure(labels, second)
    known = differences[~np.isnan(differences)]
    if not len(known):
        raise InputError("the measure has no value on any resampling", expected="classes with positives and negatives")
    low, high = np.quantile(known, [0.025, 0.975])
    against = float(np.mean(known <= 0 if whole[0] >= whole[1] else known >= 0))
    return Difference(*whole, float(low), float(high), min(1.0, 2 * against))


def _check(labels: Bools, other: NDArray[np.generic]) -> None:
    if labels.ndim != 2 or labels.dtype != np.bool_ or labels.shape != other.shape:
        raise InputError(
            f"labels {labels.dtype} {labels.shape} and predictions {other.shape}",
            expected="bool (records, classes) and the same shape",
        )
    if np.isnan(other.astype(np.float64, copy=False)).any():
        raise InputError("predictions hold NaN", expected="a score for every record and class")

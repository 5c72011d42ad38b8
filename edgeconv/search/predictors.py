"""Lightly trained predictors of metrics: ridge, support vectors or boosted trees, whichever ranks best.

Each kind is judged by Kendall's rank correlation over predictions that its cross-validation makes for genomes it has
not seen. The models of the winner's folds stay together as a committee: their mean predicts, their spread says how
sure they are (as in bagging; Breiman, Machine Learning 24, 1996).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kendalltau
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

__all__ = ["KINDS", "Predictor", "fit_predictor", "rank_correlation"]

Floats = NDArray[np.float64]
_FOLDS = 5
_DIGITS = 9
"""Predictions are rounded to so many digits: one row and the same row in a batch differ in the last bit."""
_LOGARITHMIC = 3.0
"""Positive metrics whose largest value is so many times the smallest are learned as logarithms."""
_SETTLED = 0.995
"""Where a simple kind ranks so well, the others are not tried."""


def _ridge(seed: int) -> Any:
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))


def _support_vectors(seed: int) -> Any:
    return make_pipeline(StandardScaler(), SVR(C=10.0, epsilon=0.02, gamma="scale"))


def _boosted_trees(seed: int) -> Any:
    return GradientBoostingRegressor(
        n_estimators=150, learning_rate=0.1, max_depth=4, subsample=0.8, max_features=0.4, random_state=seed
    )


KINDS: Mapping[str, Callable[[int], Any]] = {
    "ridge": _ridge,
    "support vectors": _support_vectors,
    "boosted trees": _boosted_trees,
}
"""Name -> a fresh regressor for a seed."""


def rank_correlation(one: Floats, other: Floats) -> float:
    """Kendall's τ-b; 0 where either side is constant."""
    tau = kendalltau(one, other).statistic
    return 0.0 if np.isnan(tau) else float(tau)


@dataclass(frozen=True)
class Scale:
    """How a metric becomes the numbers that regressors learn: of mean 0 and spread 1, logarithms or not."""

    logarithmic: bool
    mean: float
    spread: float

    @classmethod
    def of(cls, values: Floats, logarithmic: bool) -> Scale:
        """The scale for these values."""
        learned = np.log(values) if logarithmic else values
        return cls(logarithmic, float(learned.mean()), float(learned.std()) or 1.0)

    def learned(self, values: Floats) -> Floats:
        """From the metric's unit."""
        return np.asarray(((np.log(values) if self.logarithmic else values) - self.mean) / self.spread)

    def metric(self, learned: Floats) -> Floats:
        """Back to the metric's unit."""
        values = learned * self.spread + self.mean
        return np.asarray(np.exp(values) if self.logarithmic else values)


@dataclass(frozen=True)
class Predictor:
    """A committee for one metric.

    Attributes:
        kind: of its members, a key of `KINDS`; "log" is put before it where they learned logarithms.
        taus: cross-validated rank correlation of every kind that was tried.
    """

    kind: str
    taus: Mapping[str, float]
    members: Sequence[Any]
    scale: Scale

    @property
    def tau(self) -> float:
        """Rank correlation of the kind that was chosen."""
        return self.taus[self.kind]

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Prediction and its uncertainty for each row, in the metric's unit."""
        rows = np.stack([member.predict(features) for member in self.members])
        middle, spread = rows.mean(axis=0), rows.std(axis=0)
        # One standard deviation to the better and to the worse side differ for logarithms: half of both.
        half = (self.scale.metric(middle + spread) - self.scale.metric(middle - spread)) / 2
        return _rounded(self.scale.metric(middle)), _rounded(half)


def fit_predictor(features: Floats, values: Floats, seed: int) -> Predictor:
    """Fit every kind in cross-validation and keep the one that ranks best; ties go to the simpler one.

    Counted costs are sums over layers, errors rather products: positive metrics of a wide range are learned both ways.

    Args:
        features: (samples, columns), at least 10 samples.
        values: (samples,).
    """
    wide = bool(values.min() > 0 and values.max() > _LOGARITHMIC * values.min())
    scales = [Scale.of(values, logarithmic) for logarithmic in ((False, True) if wide else (False,))]
    found: dict[str, Predictor] = {}
    taus: dict[str, float] = {}
    for kind, make in KINDS.items():
        # Trees cut a scale anywhere, so the logarithm's errors, which are relative ones, suit them as they are.
        for scale in scales[-1:] if kind == "boosted trees" else scales:
            name = f"log {kind}" if scale.logarithmic else kind
            members, taus[name] = _cross_validate(make, features, scale.learned(values), seed)
            found[name] = Predictor(name, taus, members, scale)
        if max(taus.values()) > _SETTLED:
            break
    return found[max(found, key=lambda name: round(taus[name], 3))]


def _cross_validate(make: Callable[[int], Any], features: Floats, target: Floats, seed: int) -> tuple[list[Any], float]:
    """The models of all folds, and how well together they rank what each has not seen."""
    members, guesses = [], np.empty_like(target)
    for train, test in KFold(_FOLDS, shuffle=True, random_state=seed).split(features):
        members.append(make(seed).fit(features[train], target[train]))
        guesses[test] = members[-1].predict(features[test])
    return members, rank_correlation(guesses, target)


def _rounded(values: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        magnitude = np.where(values == 0, 0, np.floor(np.log10(np.abs(values))))
    factor = 10.0 ** (_DIGITS - 1 - magnitude)
    return np.asarray(np.round(values * factor) / factor)

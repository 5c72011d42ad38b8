"""Lightly trained predictors of metrics: sums, ridge, support vectors, boosted trees, Gaussian processes.

Each kind is judged by Kendall's rank correlation over predictions that its cross-validation makes for genomes it has
not seen. The models of the best kind's folds stay together as a committee, with those of kinds that rank nearly as
well: their spread says how sure they are (as in bagging; Breiman, Machine Learning 24, 1996), and the mean of the same
kinds, fitted to all samples, predicts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, nnls
from scipy.stats import kendalltau
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

__all__ = ["KINDS", "SUMS", "LayerSums", "Predictor", "fit_predictor", "rank_correlation"]

Floats = NDArray[np.float64]
_FOLDS = 5
_DIGITS = 9
"""Predictions are rounded to so many digits: one row and the same row in a batch differ in the last bit."""
_LOGARITHMIC = 3.0
"""Positive metrics whose largest value is so many times the smallest are learned as logarithms."""
_MANY = 500
"""Gaussian processes, whose time grows with the cube of the samples, are tried up to here."""
_ITERATIONS = 100
"""Of the search for a Gaussian process' hyperparameters."""
_NEAR = 0.03
"""Kinds whose rank correlation is at most so much below the best one's join its committee."""
SUMS = "sums over layers"
"""Name of the kind that knows the counted terms alone."""
_SETTLED = 0.995
"""Where a simple kind ranks so well, the others are not tried."""


def _ridge(seed: int, coordinates: int) -> Any:
    return make_pipeline(StandardScaler(), RidgeCV(np.logspace(-3, 3, 13)))


def _support_vectors(seed: int, coordinates: int) -> Any:
    return make_pipeline(StandardScaler(), SVR(C=10.0, epsilon=0.02, gamma="scale"))


def _boosted_trees(seed: int, coordinates: int) -> Any:
    return GradientBoostingRegressor(
        n_estimators=150, learning_rate=0.1, max_depth=4, subsample=0.8, max_features=0.4, random_state=seed
    )


def _gaussian_process(seed: int, coordinates: int) -> Any:
    return _on_coordinates(_rough(1.0, 2.0, coordinates), seed, coordinates)


def _gaussian_processes(seed: int, coordinates: int) -> Any:
    # A trend, and beside it what rounding does by chance to networks that are nearly alike.
    return _on_coordinates(_rough(1.0, 2.0, coordinates) + _rough(0.1, 0.5, coordinates), seed, coordinates)


def _rough(power: float, length: float, coordinates: int) -> Any:
    """Functions of the coordinates that can be differentiated once, with a length for each; both are where to start."""
    return ConstantKernel(power) * Matern(np.full(coordinates, length), (0.05, 100.0), nu=1.5)


def _on_coordinates(kernel: Any, seed: int, coordinates: int) -> Any:
    # One-hot columns would multiply the lengths that are to be found.
    columns = ColumnTransformer([("coordinates", StandardScaler(), slice(0, coordinates))])
    process = GaussianProcessRegressor(kernel + WhiteKernel(0.01), optimizer=_likeliest, random_state=seed)
    return make_pipeline(columns, process)


def _likeliest(objective: Any, start: Floats, bounds: Floats) -> tuple[Floats, float]:
    """Hyperparameters and their negative log likelihood: the last of many iterations bring little."""
    found = minimize(objective, start, method="L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": _ITERATIONS})
    return found.x, found.fun


class LayerSums:
    """Not negative coefficients of terms that are counted layer by layer, and a constant: what costs are made of.

    Relative errors count: a small network's cost is to be as right as a large one's.

    Args:
        terms: so many trailing columns are terms.
    """

    def __init__(self, terms: int) -> None:
        self._terms = terms

    def fit(self, features: Floats, values: Floats) -> LayerSums:
        """Least squares, bounded."""
        columns = self._columns(features) / values[:, None]
        # Columns of one size: the solver's tolerance is the same for all.
        size = np.abs(columns).max(axis=0)
        size[size == 0] = 1.0
        self._coefficients = nnls(columns / size, np.ones(len(values)), maxiter=100 * columns.shape[1])[0] / size
        return self

    def predict(self, features: Floats) -> Floats:
        """The sums."""
        return np.asarray(self._columns(features) @ self._coefficients)

    def _columns(self, features: Floats) -> Floats:
        return np.hstack([features[:, -self._terms :], np.ones((len(features), 1))])


KINDS: Mapping[str, Callable[[int, int], Any]] = {
    "ridge": _ridge,
    "support vectors": _support_vectors,
    "boosted trees": _boosted_trees,
    "gaussian process": _gaussian_process,
    "gaussian process of two scales": _gaussian_processes,
}
"""Name -> a fresh regressor, for a seed and the number of leading columns that are coordinates of choices."""


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
        kind: the best one, a key of `KINDS` or `SUMS`; "log" is put before it where members learned logarithms.
        taus: of every kind that was tried, how well it ranks in cross-validation: the mean of Kendall's τ over all
            samples and over their better half, which is where fronts are.
        members: regressors of the folds.
        wholes: the same kinds, fitted to all samples.
    """

    kind: str
    taus: Mapping[str, float]
    members: Sequence[Any]
    wholes: Sequence[Any]
    scale: Scale

    @property
    def tau(self) -> float:
        """How well the best kind ranks."""
        return self.taus[self.kind]

    def predict(self, features: Floats) -> tuple[Floats, Floats]:
        """Prediction and its uncertainty for each row, in the metric's unit."""
        guesses = [_guess(member, features) for member in self.members]
        rows, own = (np.stack(part) for part in zip(*guesses, strict=True))
        # Of a mixture of all members: what they differ by, and what each is unsure of by itself.
        spread = np.sqrt(rows.var(axis=0) + np.square(own).mean(axis=0))
        middle = np.mean([whole.predict(features) for whole in self.wholes], axis=0)
        # One standard deviation to the better and to the worse side differ for logarithms: half of both.
        half = (self.scale.metric(middle + spread) - self.scale.metric(middle - spread)) / 2
        return _rounded(self.scale.metric(middle)), _rounded(half)


def _is_process(member: Any) -> bool:
    return isinstance(member, Pipeline) and isinstance(member[-1], GaussianProcessRegressor)


def _guess(member: Any, features: Floats) -> tuple[Floats, Floats]:
    """A member's prediction and its own standard deviation, which only Gaussian processes know."""
    if _is_process(member):
        middle, spread = member.predict(features, return_std=True)
        return middle, spread
    middle = member.predict(features)
    return middle, np.zeros_like(middle)


def fit_predictor(
    features: Floats, values: Floats, coordinates: int, seed: int, *, terms: int = 0, maximize: bool = False
) -> Predictor:
    """Fit every kind in cross-validation and keep those that rank best; ties go to the simpler one.

    Counted costs are sums over layers, errors rather products: positive metrics of a wide range are learned both ways.

    Args:
        features: (samples, columns), at least 10 samples.
        values: (samples,).
        coordinates: so many leading columns are coordinates of choices.
        terms: so many trailing columns are counted layer by layer; sums of them are tried, too, where values are
            positive.
        maximize: more is better.
    """
    wide = bool(values.min() > 0 and values.max() > _LOGARITHMIC * values.min())
    scales = [Scale.of(values, logarithmic) for logarithmic in ((False, True) if wide else (False,))]
    found: dict[str, Predictor] = {}
    taus: dict[str, float] = {}

    def attempt(name: str, make: Callable[[], Any], scale: Scale) -> None:
        members, whole, guesses = _cross_validate(make, features, scale.learned(values), seed)
        taus[name] = _rank(guesses, values, maximize)
        found[name] = Predictor(name, taus, members, [whole], scale)

    if terms and values.min() > 0:
        attempt(SUMS, partial(LayerSums, terms), Scale(False, 0.0, 1.0))
    for kind, make in KINDS.items():
        if taus and (max(taus.values()) > _SETTLED or not np.ptp(values)):
            break
        if kind.startswith("gaussian process") and len(values) > _MANY:
            continue
        # Trees cut a scale anywhere, so the logarithm's errors, which are relative ones, suit them as they are.
        for scale in scales[-1:] if kind == "boosted trees" else scales:
            attempt(f"log {kind}" if scale.logarithmic else kind, partial(make, seed, coordinates), scale)
    best = found[max(found, key=lambda name: round(taus[name], 3))]
    near = [one for one in found.values() if one.tau >= best.tau - _NEAR and one.scale == best.scale]
    members = [member for one in near for member in one.members]
    return Predictor(best.kind, taus, members, [whole for one in near for whole in one.wholes], best.scale)


def _cross_validate(
    make: Callable[[], Any], features: Floats, target: Floats, seed: int
) -> tuple[list[Any], Any, Floats]:
    """The models of all folds, that of all samples, and what the first predict for what each has not seen.

    The hyperparameters of a Gaussian process, two or three dozen numbers that take nearly all of the time, are those of
    the first fold's for all.
    """
    members: list[Any] = []
    guesses = np.empty_like(target)

    def fitted(chosen: NDArray[np.int64]) -> Any:
        fresh = make()
        if members and _is_process(fresh):
            fresh[-1].set_params(kernel=members[0][-1].kernel_, optimizer=None)
        return fresh.fit(features[chosen], target[chosen])

    with warnings.catch_warnings():
        # A length at its bound is a choice that does not matter, not an error.
        warnings.simplefilter("ignore", ConvergenceWarning)
        for train, test in KFold(_FOLDS, shuffle=True, random_state=seed).split(features):
            members.append(fitted(train))
            guesses[test] = members[-1].predict(features[test])
        whole = fitted(np.arange(len(target)))
    return members, whole, guesses


def _rank(guesses: Floats, values: Floats, maximize: bool) -> float:
    """Mean rank correlation over all samples and over the better half of them."""
    middle = np.median(values)
    better = values >= middle if maximize else values <= middle
    return (rank_correlation(guesses, values) + rank_correlation(guesses[better], values[better])) / 2


def _rounded(values: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        magnitude = np.where(values == 0, 0, np.floor(np.log10(np.abs(values))))
    factor = 10.0 ** (_DIGITS - 1 - magnitude)
    return np.asarray(np.round(values * factor) / factor)

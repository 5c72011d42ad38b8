"""Resolutions: how far estimates are from the truth, beside what any estimator could reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError
from edgeconv.models.pulse.bound import cramer_rao
from edgeconv.models.pulse.classical import ConstantFraction, OptimalFilter
from edgeconv.models.pulse.simulation import PulseConfig, Pulses, simulate
from edgeconv.quantize.family import Estimator, HeldOut

__all__ = [
    "RANGE_SNR_DB",
    "Report",
    "Resolution",
    "classic",
    "classic_estimators",
    "evaluate",
    "heldout",
    "heldout_stream",
    "rms",
    "sweep",
    "tuning_stream",
]

_TUNING_PULSES = 2000
RANGE_SNR_DB = (20.0, 25.0, 30.0, 35.0, 40.0, 44.0, 47.4, 51.0, 55.0, 60.0)
"""Where networks for all signal-to-noise ratios are measured."""


@dataclass(frozen=True)
class Resolution:
    """Errors of one estimator on one set of pulses.

    Attributes:
        time_ps, energy_percent: root mean square error, bias included; ps, and percent of full scale.
        time_core_ps, energy_core_percent: half the width of the central 68.27 % of errors, which tails do not move.
        time_bias_ps, energy_bias_percent: mean error.
        time_bound_ps, energy_bound_percent: root mean square of the Cramér–Rao bound over the same pulses.
    """

    time_ps: float
    energy_percent: float
    time_core_ps: float
    energy_core_percent: float
    time_bias_ps: float
    energy_bias_percent: float
    time_bound_ps: float
    energy_bound_percent: float

    @property
    def time_over_bound(self) -> float:
        """Time resolution in units of the bound."""
        return self.time_ps / self.time_bound_ps

    @property
    def energy_over_bound(self) -> float:
        """Energy resolution in units of the bound."""
        return self.energy_percent / self.energy_bound_percent


@dataclass(frozen=True)
class Report:
    """Resolutions of several estimators against the signal-to-noise ratio.

    Attributes:
        snr_db: the ratios, ascending.
        resolutions: one per ratio, by estimator.
    """

    snr_db: tuple[float, ...]
    resolutions: dict[str, tuple[Resolution, ...]]


def heldout_stream(seed: int) -> np.random.Generator:
    """Random numbers of held-out pulses, apart from every training's, whatever the seeds."""
    return np.random.default_rng([7_919, seed])


def tuning_stream() -> np.random.Generator:
    """Random numbers of the pulses that classic methods are tuned on, apart from all others."""
    return np.random.default_rng([104_729])


def heldout(n: int, seed: int, config: PulseConfig | None = None) -> HeldOut:
    """n pulses that no training has seen; `truth` is the `Pulses` they came from."""
    pulses = simulate(config or PulseConfig(), n, heldout_stream(seed))
    return HeldOut({"samples": pulses.samples}, pulses)


def evaluate(predictions: NDArray[np.floating], data: HeldOut) -> Resolution:
    """Resolution of predictions: (N, 2), time in ns and energy as a fraction of full scale.

    Raises:
        InputError: another shape than the held-out pulses ask for, or values that are not finite.
    """
    pulses: Pulses = data.truth
    if predictions.shape != (len(pulses), 2):
        raise InputError(f"predictions of shape {predictions.shape}", expected=f"({len(pulses)}, 2)")
    if not np.isfinite(predictions).all():
        raise InputError("predictions that are not finite", expected="a time and an energy for every pulse")
    bound = cramer_rao(pulses.config, pulses.time_ns, pulses.energy)
    time = 1e3 * (predictions[:, 0].astype(np.float64) - pulses.time_ns)
    energy = 1e2 * (predictions[:, 1].astype(np.float64) - pulses.energy)
    return Resolution(
        rms(time),
        rms(energy),
        _core(time),
        _core(energy),
        float(time.mean()),
        float(energy.mean()),
        1e3 * rms(bound.time_ns),
        1e2 * rms(bound.energy),
    )


def rms(values: NDArray[np.float64]) -> float:
    """Root of the mean square."""
    return float(np.sqrt(np.mean(values**2)))


def _core(errors: NDArray[np.float64]) -> float:
    low, high = np.quantile(errors, [0.158655, 0.841345])
    return float(high - low) / 2


def classic_estimators(config: PulseConfig) -> dict[str, Estimator]:
    """Constant-fraction timing, tuned on pulses of its own, and the optimal filter, for this channel."""
    tuning = simulate(config, _TUNING_PULSES, tuning_stream())
    methods: dict[str, ConstantFraction | OptimalFilter] = {
        "constant fraction": ConstantFraction.tune(tuning),
        "optimal filter": OptimalFilter(config),
    }

    def answer(method: ConstantFraction | OptimalFilter) -> Estimator:
        return lambda samples: np.stack(method.estimate(samples), axis=1)

    return {name: answer(method) for name, method in methods.items()}


def classic(data: HeldOut) -> dict[str, Resolution]:
    """Resolutions of "constant fraction" and "optimal filter" on held-out pulses."""
    methods = classic_estimators(data.truth.config)
    return {name: evaluate(method(data.inputs["samples"]), data) for name, method in methods.items()}


def sweep(
    estimators: Mapping[str, Estimator],
    snr_db: Sequence[float],
    *,
    n: int = 4000,
    seed: int = 0,
    config: PulseConfig | None = None,
) -> Report:
    """Resolutions against the signal-to-noise ratio, the classic methods beside the given ones.

    The given estimators stay what they are; the classic ones are tuned for each noise, as they would be.
    """
    ratios = tuple(sorted(snr_db))
    found: dict[str, list[Resolution]] = {}
    for ratio in ratios:
        data = heldout(n, seed, (config or PulseConfig()).at_snr(ratio))
        everyone = dict(estimators) | classic_estimators(data.truth.config)
        for name, estimator in everyone.items():
            found.setdefault(name, []).append(evaluate(estimator(data.inputs["samples"]), data))
    return Report(ratios, {name: tuple(values) for name, values in found.items()})

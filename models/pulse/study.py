"""One recipe under several policies: its networks, and their resolutions from the noisiest pulses to the quietest.

Training does not depend on the bits of weights, which are rounded at its end, so one training serves all policies.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeconv.errors import UsageError
from edgeconv.models.pulse.config import TrainConfig
from edgeconv.models.pulse.evaluation import RANGE_SNR_DB, Report, sweep
from edgeconv.models.pulse.recipe import fit_networks, quantized
from edgeconv.models.pulse.trained import TrainedPulse
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.family import Comparison, Estimator, Progress
from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.settings import kept_settings

__all__ = ["resolution_tables", "resolutions", "train_policies"]


def train_policies(
    config: TrainConfig,
    policies: Mapping[str, QuantPolicy],
    folder: str | Path,
    *,
    progress: Progress | None = None,
) -> dict[str, TrainedPulse]:
    """The networks of a recipe, their weights rounded by each policy.

    Args:
        policies: by name; they differ in bits of weights only.
        folder: of the training, which goes on from what is there, and is only read where it has ended.

    Raises:
        UsageError: policies of other activations than the recipe's; a folder with a training of other settings.
    """
    for name, policy in policies.items():
        if policy.activation_bits != config.policy.activation_bits or any(
            rule.activation_bits for rule in policy.rules
        ):
            raise UsageError(
                f"policy '{name}' has its own bits of activations",
                expected=f"{config.policy.activation_bits} everywhere, with which the twin is trained",
            )
    checkpoints = Checkpoints(folder, kept_settings("pulse", config), resume=True)
    real, twin = fit_networks(config, progress=progress, checkpoints=checkpoints)
    checkpoints.end()
    return {name: quantized(config, real, twin, policy) for name, policy in policies.items()}


def resolutions(trained: Mapping[str, TrainedPulse], *, n: int = 10_000, seed: int = 1) -> Report:
    """Resolutions of the float network, of the quantized ones by name, and of the classic methods, at all noise."""
    first = next(iter(trained.values()))
    estimators: dict[str, Estimator] = {"float": first.predict_float}
    estimators |= {name: one.predict_quantized for name, one in trained.items()}
    return sweep(estimators, RANGE_SNR_DB, n=n, seed=seed, config=first.config)


def resolution_tables(report: Report) -> tuple[Comparison, Comparison]:
    """Time, then energy: the bound in its unit, and every estimator in units of the bound, row by row of noise."""
    names = tuple(report.resolutions)
    first = report.resolutions[names[0]]

    def table(unit: str, bound: str, over: str, digits: int) -> Comparison:
        rows = [
            (
                f"{ratio:g} dB",
                f"{getattr(first[i], bound):.{digits}f} {unit}",
                *(f"{getattr(report.resolutions[name][i], over):.3f}" for name in names),
            )
            for i, ratio in enumerate(report.snr_db)
        ]
        return Comparison(("noise", "bound", *names), tuple(rows))

    return table("ps", "time_bound_ps", "time_over_bound", 1), table(
        "%", "energy_bound_percent", "energy_over_bound", 3
    )

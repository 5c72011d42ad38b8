"""Single pulses: what estimators of time and energy are worth, as tables and plots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.models.pulse.calibration import Calibration, calibration
from edgeconv.models.pulse.config import TrainConfig
from edgeconv.models.pulse.evaluation import RANGE_SNR_DB, Resolution, classic, evaluate, heldout
from edgeconv.quantize.family import Comparison, Estimator, HeldOut

__all__ = ["calibrations", "compare", "draw", "judge"]

_JUDGED, _HELDOUT_SEED = 10_000, 1


def compare(answers: Mapping[str, NDArray[np.float32]], data: HeldOut) -> Comparison:
    """Resolutions of several estimators beside the classic methods and the Cramér–Rao bound."""
    scores = {name: evaluate(answer, data) for name, answer in answers.items()}
    rows = [_row(name, score) for name, score in (scores | classic(data)).items()]
    bound = next(iter(scores.values()))
    rows.append(
        ("Cramér–Rao bound", f"{bound.time_bound_ps:.1f} ps", "1.00", f"{bound.energy_bound_percent:.3f} %", "1.00")
    )
    snr = data.truth.config.snr_db
    remark = f"root mean square errors over {len(data.truth)} held-out pulses at {snr:g} dB"
    return Comparison(("estimator", "time", "× bound", "energy", "× bound"), tuple(rows), (remark,))


def _row(name: str, score: Resolution) -> tuple[str, ...]:
    time, energy = f"{score.time_ps:.1f} ps", f"{score.energy_percent:.3f} %"
    return name, time, f"{score.time_over_bound:.2f}", energy, f"{score.energy_over_bound:.2f}"


def judge(estimators: Mapping[str, Estimator], config: TrainConfig) -> Comparison:
    """Resolutions on held-out pulses of the configured channel; and of uncertainties, whether they are true."""
    data = heldout(_JUDGED, _HELDOUT_SEED, config.pulses)
    found = compare({name: _values(one)(data.inputs["samples"]) for name, one in estimators.items()}, data)
    remarks = list(found.remarks)
    for name, quantities in calibrations(estimators, config).items() if config.network.uncertainty else ():
        for quantity, one in quantities.items():
            remarks.append(
                f"{name}, uncertainty of {quantity} over all noise: root mean square pull {one.pull:.2f}, within one "
                f"{one.one_sigma:.1%}, within two {one.two_sigma:.1%} (normal errors: 1, 68.3%, 95.4%)"
            )
    return Comparison(found.header, found.rows, tuple(remarks))


def draw(estimators: Mapping[str, Estimator], folder: Path, config: TrainConfig) -> list[Path]:
    """Resolution against noise, errors, example pulses, and calibration where there are uncertainties."""
    from edgeconv.models.pulse.plots import SNR_DB, report
    from edgeconv.models.pulse.task_plots import plot_calibration

    single = config.snr_range_db is None
    plain = {name: _values(estimate) for name, estimate in estimators.items()}
    ratios = SNR_DB if single else RANGE_SNR_DB
    paths = report(plain, folder, config=config.pulses, snr_db=ratios, single=single)[1]
    if config.network.uncertainty:
        paths.append(plot_calibration(calibrations(estimators, config), folder / "calibration.png"))
    return paths


def _values(estimate: Estimator) -> Estimator:
    """Time and energy alone, whatever stands behind them."""
    return lambda samples: np.asarray(estimate(samples))[:, :2]


def calibrations(estimators: Mapping[str, Estimator], config: TrainConfig) -> dict[str, dict[str, Calibration]]:
    """Of the uncertainties that estimators predict, over held-out pulses of all the noise they are for."""
    ratios = (config.pulses.snr_db,) if config.snr_range_db is None else RANGE_SNR_DB
    parts = [heldout(_JUDGED // len(ratios), _HELDOUT_SEED + 1, config.pulses.at_snr(ratio)) for ratio in ratios]
    truth = np.concatenate([np.stack([part.truth.time_ns, part.truth.energy], 1) for part in parts])
    samples = np.concatenate([part.inputs["samples"] for part in parts])
    return {name: calibration(np.asarray(estimate(samples)), truth) for name, estimate in estimators.items()}

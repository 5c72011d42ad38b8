"""The pulse family: resolutions against noise, sizes, uncertainties, pile-up, denoising, another source of pulses."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import numpy as np

from edgeconv.models import pulse
from edgeconv.models.pulse import denoising, pile_up, single
from edgeconv.models.pulse.config import DenoiseConfig, PileUpConfig, TrainConfig
from edgeconv.models.pulse.configurations import CONFIGURATIONS, POLICIES, PRECISE
from edgeconv.models.pulse.evaluation import classic_estimators
from edgeconv.models.pulse.plots import plot_resolution
from edgeconv.models.pulse.study import resolution_tables
from edgeconv.quantize.family import Comparison, Estimator
from edgeconv.quantize.trained import TrainedTwins
from scripts.results.page import Figure, Section, Table
from scripts.results.training import trained

__all__ = ["PARTS", "section"]

_SIZES = ("nano", "small", "medium", "standard")
_OTHER_PULSES = 200
_PUBLISHED = (
    "Published for PulseDL-II, of its own pulse shape and on its own hardware: 60 ps and 0.40 % at 47.4 dB "
    "(arXiv 2209.00884); a figure to set beside these, not a comparison under equal conditions."
)


def section(folder: Path, plots: Path, only: Collection[str] = ()) -> Section:
    """Train what has not been trained, and measure.

    Args:
        folder: of trainings, one folder each.
        plots: receives PNG files.
        only: parts of `PARTS`; all of them when empty.
    """
    plots.mkdir(parents=True, exist_ok=True)
    chosen = [name for name in PARTS if not only or name in only]
    parts = [part for name in chosen for part in PARTS[name](folder, plots)]
    commands = [f"edgeconv train pulse --config {one}" for name in chosen for one in _TRAINED[name]]
    return Section("pulse", tuple(commands), tuple(parts))


def _precise(folder: Path, plots: Path) -> list[Table | Figure | str]:
    networks = pulse.train_policies(PRECISE, POLICIES, folder / "pulse-precise")
    report = pulse.resolutions(networks, n=4000)
    picture = plot_resolution(report, plots / "pulse-resolution.png")
    time, energy = resolution_tables(report)
    return [
        Table("`precise`, time: root mean square errors in units of the Cramér–Rao bound, ADC rounding counted.", time),
        Table("`precise`, energy, likewise; percent of full scale.", energy),
        Figure(picture, "resolution of time and energy against noise"),
        _PUBLISHED,
        _other_source(networks["int8"]),
    ]


def _other_source(network: pulse.TrainedPulse) -> Table:
    """On pulses of scintiPulses: scatter about what a calibration of offset and gain would leave."""
    pulses = pulse.scintillate(network.config, _OTHER_PULSES, seed=1)
    rows = []
    for name, method in (_estimators(network) | classic_estimators(network.config)).items():
        answer = np.asarray(method(pulses.samples)).astype(np.float64)
        late = 1e3 * (answer[:, 0] - pulses.time_ns)
        gain = float(answer[:, 1] @ pulses.energy / (pulses.energy @ pulses.energy))
        off = 1e2 * (answer[:, 1] / gain - pulses.energy)
        rows.append((name, f"{late.std():.0f} ps", f"{late.mean():+.0f} ps", f"{off.std():.2f} %", f"{gain:.3f}"))
    header = ("estimator", "time, scatter", "offset", "energy, scatter", "gain")
    remark = (
        f"{_OTHER_PULSES} pulses at {network.config.snr_db:g} dB; photon statistics alone are 0.7 % of full scale there"
    )
    text = "Pulses of scintiPulses, whose shapes no network and no filter here was made for."
    return Table(text, Comparison(header, tuple(rows), (remark,)))


def _sizes(folder: Path, plots: Path) -> list[Table | Figure | str]:
    rows = []
    for name in _SIZES:
        config, network = _trained(folder, name)
        assert isinstance(config, TrainConfig)
        data = pulse.heldout(10_000, 1, config.pulses)
        scores = (pulse.evaluate(one(data.inputs["samples"]), data) for one in _estimators(network).values())
        rows.append((name, f"{network.parameters:,}", *(cell for score in scores for cell in _beside_bound(score))))
    header = ("configuration", "parameters", "float: time", "energy", "int8: time", "energy")
    text = "Sizes at 47.4 dB, in brackets over the bound; all but `standard` are trained for 20 to 60 dB."
    return [Table(text, Comparison(header, tuple(rows)))]


def _beside_bound(one: pulse.Resolution) -> tuple[str, str]:
    return (
        f"{one.time_ps:.1f} ps ({one.time_over_bound:.2f})",
        f"{one.energy_percent:.3f} % ({one.energy_over_bound:.2f})",
    )


def _trained(folder: Path, name: str) -> tuple[TrainConfig | PileUpConfig | DenoiseConfig, TrainedTwins]:
    config = CONFIGURATIONS[name]
    return config, trained(pulse.FAMILY, config, folder / f"pulse-{name}")


def _estimators(network: TrainedTwins) -> dict[str, Estimator]:
    return {"float": network.predict_float, "int8": network.predict_quantized}


def _uncertainty(folder: Path, plots: Path) -> list[Table | Figure | str]:
    config, network = _trained(folder, "uncertainty")
    assert isinstance(config, TrainConfig)
    rows = []
    for name, quantities in single.calibrations(_estimators(network), config).items():
        for quantity, one in quantities.items():
            rows.append((name, quantity, f"{one.pull:.3f}", f"{one.one_sigma:.1%}", f"{one.two_sigma:.1%}"))
    header = ("network", "uncertainty of", "root mean square of error / uncertainty", "within one", "within two")
    text = "`uncertainty`, over pulses of all noise from 20 to 60 dB; true normal ones would show 1, 68.3 % and 95.4 %."
    drawn = single.draw(_estimators(network), folder / "pulse-uncertainty/plots", config)[-1]
    return [
        Table(text, Comparison(header, tuple(rows))),
        Figure.kept(drawn, plots / "pulse-calibration.png", "found against predicted errors"),
    ]


def _pile_up(folder: Path, plots: Path) -> list[Table | Figure | str]:
    config, network = _trained(folder, "pile-up")
    assert isinstance(config, PileUpConfig)
    (drawn,) = pile_up.draw(_estimators(network), folder / "pulse-pile-up/plots", config)
    return [
        Table("`pile-up`: both pulses' errors against their separation.", pile_up.judge(_estimators(network), config)),
        Figure.kept(drawn, plots / "pulse-pile-up.png", "resolution of two pulses against their separation"),
    ]


def _denoising(folder: Path, plots: Path) -> list[Table | Figure | str]:
    config, network = _trained(folder, "denoising")
    assert isinstance(config, DenoiseConfig)
    (drawn,) = denoising.draw(_estimators(network), folder / "pulse-denoising/plots", config)
    return [
        Table("`denoising`: what is left of the noise.", denoising.judge(_estimators(network), config)),
        Figure.kept(drawn, plots / "pulse-denoising.png", "waveforms with and without noise, at 30 dB"),
    ]


PARTS = {
    "precise": _precise,
    "sizes": _sizes,
    "uncertainty": _uncertainty,
    "pile-up": _pile_up,
    "denoising": _denoising,
}
_TRAINED = {name: _SIZES if name == "sizes" else (name,) for name in PARTS}

"""The ECG family: scans beside convolutions of as many parameters, in float and in integers."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edgeconv.models.ecg_mamba.configurations import CONVOLUTIONAL, FULL
from edgeconv.models.ecg_mamba.family import EcgFamily
from edgeconv.quantize.family import Estimator
from scripts.results.page import Figure, Section, Table
from scripts.results.training import trained

__all__ = ["section"]

_RECIPES = {"full": FULL, "convolutional": CONVOLUTIONAL}


def section(folder: Path, plots: Path, only: Collection[str] = ()) -> Section:
    """Train what has not been trained, and judge; the section has one part, whatever `only` says."""
    family = EcgFamily(config=FULL)
    estimators: dict[str, Estimator] = {}
    for name, config in _RECIPES.items():
        pair = trained(family, config, folder / f"ecg-mamba-{name}")
        title = f"{name}, {pair.parameters} parameters"
        estimators |= {f"{title}, float": pair.predict_float, f"{title}, int8": pair.predict_quantized}
    table = Table(
        "Diagnoses in records of patients that no training met, with scans and without.", family.judge(estimators)
    )
    integers = {name: estimator for name, estimator in estimators.items() if name.endswith("int8")}
    (drawn,) = family.draw(integers, folder / "ecg-mamba-full/plots")
    picture = Figure.kept(drawn, plots / "ecg-mamba-auprc.png", "area under the precision-recall curve by diagnosis")
    commands = tuple(f"edgeconv train ecg_mamba --config {name}" for name in _RECIPES)
    return Section("ecg_mamba", commands, (table, picture))

"""The wave family: one-way filters beside a dense network of as many parameters, in float and in integers."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

from edgeconv.models.oneway_wave.config import StepConfig
from edgeconv.models.oneway_wave.family import FAMILY
from edgeconv.quantize.family import Estimator
from scripts.results.page import Section, Table
from scripts.results.training import trained

__all__ = ["DENSE", "section"]

DENSE = StepConfig(rank=0, width=6)
"""The narrowest dense network that has no fewer parameters than one-way filters of rank 2."""
_NETWORKS = {"rank 2": StepConfig(), "dense": DENSE}


def section(folder: Path, plots: Path, only: Collection[str] = ()) -> Section:
    """Train what has not been trained, and roll it out; arguments as for other families, of which this needs one."""
    estimators: dict[str, Estimator] = {}
    for name, network in _NETWORKS.items():
        pair = trained(
            FAMILY, replace(FAMILY.config, network=network), folder / f"oneway-wave-{name.replace(' ', '-')}"
        )
        title = f"{name}, {pair.parameters} parameters"
        estimators |= {f"{title}, float": pair.predict_float, f"{title}, int8": pair.predict_quantized}
    text = "Roll-outs of the wave equation, one-way filters and a dense network of the same recipe."
    commands = ("edgeconv train oneway_wave", "edgeconv train oneway_wave --set network.rank=0 --set network.width=6")
    return Section("oneway_wave", commands, (Table(text, FAMILY.judge(estimators)),))

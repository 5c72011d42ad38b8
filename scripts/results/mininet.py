"""The depth family: measures of float and quantized network beside the best map and shuffled pictures."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from edgeconv.models.mininet.family import FAMILY
from edgeconv.quantize.family import Estimator
from scripts.results.page import Figure, Section, Table
from scripts.results.training import trained

__all__ = ["section"]


def section(folder: Path, plots: Path, only: Collection[str] = ()) -> Section:
    """Train what has not been trained, and measure; the section has one part, whatever `only` says."""
    twins = trained(FAMILY, FAMILY.config, folder / "mininet")
    estimators: dict[str, Estimator] = {"float": twins.predict_float, "quantized": twins.predict_quantized}
    (drawn,) = FAMILY.draw(estimators, folder / "mininet/plots")
    picture = Figure.kept(drawn, plots / "mininet-depth.png", "pictures, true and found depth")
    table = Table("Errors of depth on drives through other streets.", FAMILY.judge(estimators))
    return Section("mininet", ("edgeconv train mininet",), (table, picture))

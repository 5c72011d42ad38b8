"""A family's training from settings to files: trained, judged, exported, drawn; what `edgeconv train` does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgeconv.errors import ToolError
from edgeconv.quantize.family import (
    Comparison,
    ModelFamily,
    Progress,
    TrainedModel,
    find_configuration,
    find_family,
)
from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.settings import apply_settings, kept_settings

__all__ = ["TrainReport", "kept_training", "train_family"]


@dataclass(frozen=True)
class TrainReport:
    """What a training made.

    Attributes:
        family: its name.
        folder: with everything in it.
        comparison: float and quantized network on data that no training has seen.
        models: ONNX files by dialect: `qcdq`, `qonnx`, `float`.
        plots: PNG files; none without matplotlib.
        remarks: what was left out, and why.
        seconds: wall time of training, judging, exporting and drawing; of a resumed training the last part.
    """

    family: str
    folder: Path
    comparison: Comparison
    models: Mapping[str, Path]
    plots: tuple[Path, ...]
    remarks: tuple[str, ...]
    seconds: Mapping[str, float]

    @property
    def quantized(self) -> Path:
        """The quantized model to compile."""
        return self.models["qcdq"]


def kept_training(
    family: ModelFamily, config: Any, folder: str | Path, *, progress: Progress | None = None
) -> TrainedModel:
    """The networks of a recipe: from the folder where it has been trained, else trained there, from where it stopped.

    Raises:
        UsageError: the folder holds a training of other settings.
    """
    from edgeconv.quantize.checkpoint import Checkpoints

    checkpoints = Checkpoints(folder, kept_settings(family.name, config), resume=True)
    trained = family.train(config, progress=progress, checkpoints=checkpoints)
    checkpoints.end()
    return trained


def train_family(
    name: str,
    folder: str | Path,
    *,
    configuration: str | None = None,
    settings: Mapping[str, Any] | None = None,
    policy: QuantPolicy | None = None,
    seed: int | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> TrainReport:
    """Train a family's network and its quantized twin, judge both, export them and draw.

    Args:
        name: of a family.
        folder: receives checkpoints, log, models and plots; made when missing.
        configuration: name of one of the family's; its default recipe when None.
        settings: changes of the family's recipe, as `apply_settings` takes them.
        policy: in place of the recipe's.
        seed: in place of the recipe's.
        resume: go on with the training in the folder, which must have the same settings.

    Raises:
        UsageError: no such family, configuration or setting, a folder with another training.
        ToolError: torch, brevitas or what the family's data need is missing.
    """
    family = find_family(name)
    config = family.config if configuration is None else find_configuration(family, configuration)
    config = apply_settings(config, settings or {}, source=f"settings of '{name}'")
    if policy is not None:
        config = replace(config, policy=policy)
    if seed is not None:
        config = replace(config, seed=seed)

    from edgeconv.quantize.checkpoint import Checkpoints

    folder = Path(folder)
    checkpoints = Checkpoints(folder, kept_settings(name, config), resume=resume)
    (folder / "policy.toml").write_text(config.policy.to_toml())
    seconds: dict[str, float] = {}
    started = time.perf_counter()

    def lap(stage: str) -> None:
        nonlocal started
        now = time.perf_counter()
        seconds[stage], started = now - started, now

    trained = family.train(config, progress=progress, checkpoints=checkpoints)
    lap("train")
    estimators = {"float": trained.predict_float, "quantized": trained.predict_quantized}
    comparison = family.judge(estimators, config)
    lap("judge")
    models = {
        "qcdq": trained.export_qcdq(folder / f"{name}.onnx"),
        "qonnx": trained.export_qonnx(folder / f"{name}.qonnx.onnx"),
        "float": trained.export_float(folder / f"{name}.float.onnx"),
    }
    lap("export")
    plots: list[Path] = []
    remarks: list[str] = []
    try:
        plots = family.draw(estimators, folder / "plots", config)
    except (ToolError, ModuleNotFoundError) as error:
        remarks.append(f"no plots: {str(error).splitlines()[0]}")
    lap("draw")
    checkpoints.end()
    return TrainReport(name, folder, comparison, models, tuple(plots), tuple(remarks), seconds)

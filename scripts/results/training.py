"""Trainings that are kept: a family's configuration, trained once, and gone on with where it was stopped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeconv.quantize.family import ModelFamily, TrainingProgress
from edgeconv.quantize.run import kept_training
from edgeconv.quantize.trained import TrainedTwins

__all__ = ["trained"]


def trained(family: ModelFamily, config: Any, folder: Path) -> TrainedTwins:
    """The networks of a configuration; from its folder where it has been trained."""

    def progress(at: TrainingProgress) -> None:
        if at.step % 500 == 0 or at.step == at.steps:
            print(f"{folder.name}: {at.stage}, {at.step} of {at.steps}, loss {at.loss:.4f}", flush=True)

    twins = kept_training(family, config, folder, progress=progress)
    assert isinstance(twins, TrainedTwins)
    return twins

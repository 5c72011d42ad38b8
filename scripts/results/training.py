"""Trainings that are kept: a family's configuration, trained once, and gone on with where it was stopped."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.family import ModelFamily, TrainedModel, TrainingProgress

__all__ = ["trained"]


def trained(family: ModelFamily, config: Any, folder: Path) -> TrainedModel:
    """The networks of a configuration; from its folder where it has been trained."""
    settings = {"family": family.name, "config": json.loads(json.dumps(asdict(config), default=str))}
    checkpoints = Checkpoints(folder, settings, resume=True)

    def progress(at: TrainingProgress) -> None:
        if at.step % 500 == 0 or at.step == at.steps:
            print(f"{folder.name}: {at.stage}, {at.step} of {at.steps}, loss {at.loss:.4f}", flush=True)

    network = family.train(config, progress=progress, checkpoints=checkpoints)
    checkpoints.end()
    return network

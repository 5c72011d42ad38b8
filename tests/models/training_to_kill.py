"""Small trainings of every recipe for test_killed_trainings.py, each run as a process of its own.

    training_to_kill.py RECIPE FOLDER RESULT [slow]

goes on with what is in FOLDER, and writes float and quantized network into the folder RESULT when it has ended.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.family import find_configuration, find_family
from edgeconv.quantize.settings import apply_settings, kept_settings, read_assignments

RECIPES = {
    # The twin's channels are scaled to their grids after 100 steps.
    "pulse": ("pulse", "nano", "batch=16 float_stage.steps=20 twin_stage.steps=120 rounding_pulses=64"),
    "pulse, in layers": ("pulse", "denoising", "batch=4 float_stage.steps=12 twin_stage.steps=12"),
    "ecg_mamba": (
        "ecg_mamba",
        None,
        (
            "network.width=8 network.stem=[8] network.blocks=1 network.states=4 signal.samples=384 signal.hop=384 "
            "records=10 batch=4 calibration=4 float_stage.steps=6 twin_stage.steps=8 threads=1"
        ),
    ),
    "mininet": (
        "mininet",
        None,
        (
            "drives.width=48 drives.height=32 drives.frames=4 drives.beams=8 drives.azimuths=32 network.widths=[4,8,8] "
            "network.levels=1 network.iterations=1 train_drives=2 test_drives=1 batch=2 settle=2 float_stage.steps=6 "
            "twin_stage.steps=8"
        ),
    ),
    "oneway_wave": (
        "oneway_wave",
        None,
        (
            "waves.size=16 waves.frame_s=0.0625 waves.frames=90 waves.geometries=['square'] network.width=4 "
            "network.depth=3 network.size=3 train_records=2 test_records=1 batch=2 unroll=2 long_unroll=3 "
            "float_stage.steps=6 long_stage.steps=4 twin_stage.steps=8"
        ),
    ),
}
"""Family, configuration, and what `edgeconv train --set` would change, by recipe."""


class SlowDisk(Checkpoints):
    """Takes its time for every state, so that there is time to be killed."""

    def save(self, stage: str, state: Mapping[str, Any]) -> None:
        super().save(stage, state)
        time.sleep(0.2)


def main(recipe: str, folder: str, result: str, *flags: str) -> None:
    """Train to the end and export what came out."""
    name, configuration, settings = RECIPES[recipe]
    family = find_family(name)
    config = family.config if configuration is None else find_configuration(family, configuration)
    config = apply_settings(config, read_assignments(settings.split()), source=recipe)
    kind = SlowDisk if "slow" in flags else Checkpoints
    checkpoints = kind(folder, kept_settings(name, config), resume=True, every_s=0.0)
    trained = family.train(config, checkpoints=checkpoints)
    Path(result).mkdir()
    trained.export_float(Path(result) / "float.onnx")
    trained.export_qcdq(Path(result) / "quantized.onnx")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""How well a network stands in for the solver: roll-outs over many steps, and the history of a zone's border."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgeconv.models.oneway_wave.config import WaveTraining
from edgeconv.models.oneway_wave.network import FIELDS, roll_out
from edgeconv.models.oneway_wave.windows import WaveData, load_data
from edgeconv.quantize.family import Estimator

__all__ = ["STEPS", "RollOut", "going_on", "judge", "judge_all", "unseen_data"]

STEPS = 24
_WINDOWS = 64


@dataclass(frozen=True)
class RollOut:
    """Errors against the solver, relative to its fields (root of summed squares), a mean over the stretches.

    Attributes:
        by_step: error of each step's field.
        whole: of all steps together.
        zone: of the field's history on the border of the zone of interest.
        zone_normal: of the history of its normal derivative there.
    """

    by_step: tuple[float, ...]
    whole: float
    zone: float
    zone_normal: float

    @property
    def first(self) -> float:
        """Error of a single step."""
        return self.by_step[0]


def unseen_data(config: WaveTraining) -> WaveData:
    """Scenes that no training has seen."""
    return load_data(config.waves, config.test_records, config.data_seed + 1_000_003)


def going_on(inputs: NDArray[Any]) -> NDArray[np.float32]:
    """The estimator that knows nothing: every place goes on as before."""
    return np.zeros((len(inputs), 1, *inputs.shape[2:]), np.float32)


def judge(estimator: Estimator, config: WaveTraining, data: WaveData | None = None, *, steps: int = STEPS) -> RollOut:
    """Roll a network out from stretches of unseen records.

    Args:
        estimator: int16 (N, frames + 2, H, W) to changes (N, 1, H, W): a network, an onnxruntime session, or the
            runner of an artifact.
        data: `unseen_data(config)` when None.
    """
    data = data or unseen_data(config)
    frames = config.network.frames
    starts = data.starts(frames + steps)
    chosen = [starts[i] for i in np.linspace(0, len(starts) - 1, min(_WINDOWS, len(starts))).astype(int)]
    fields, medium = data.windows(chosen, frames + steps)

    def network(state: Tensor) -> Tensor:
        integers = (state / FIELDS.scale).round().numpy().astype(FIELDS.dtype)
        return torch.from_numpy(np.asarray(estimator(integers), np.float32).reshape(len(integers), 1, *state.shape[2:]))

    with torch.no_grad():
        found = roll_out(network, torch.from_numpy(fields[:, :frames]), torch.from_numpy(medium), steps).numpy()
    after = fields[:, frames:]
    ours = [data.zone.history(one, data.pixel_m) for one in found]
    theirs = [data.zone.history(one, data.pixel_m) for one in after]
    by_step = [_relative(found[:, i], after[:, i]) for i in range(steps)]
    return RollOut(
        tuple(by_step),
        _relative(found, after),
        _relative(np.stack([one.values for one in ours]), np.stack([one.values for one in theirs])),
        _relative(np.stack([one.normal for one in ours]), np.stack([one.normal for one in theirs])),
    )


def judge_all(estimators: Mapping[str, Estimator], config: WaveTraining) -> dict[str, RollOut]:
    """Roll-outs of several estimators and, last, of `going_on`, from the same stretches of unseen records."""
    data = unseen_data(config)
    every = {**estimators, "going on as before": going_on}
    return {name: judge(estimator, config, data) for name, estimator in every.items()}


def _relative(found: NDArray[Any], true: NDArray[Any]) -> float:
    """Root of summed squares of each sample's error over that of its true values, averaged; silent ones left out."""
    axes = tuple(range(1, true.ndim))
    size = np.square(true, dtype=np.float64).sum(axes)
    error = np.square(found - true, dtype=np.float64).sum(axes)
    heard = size > 1e-6 * size.max()
    return float(np.sqrt(error[heard] / size[heard]).mean())

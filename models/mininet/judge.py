"""How well a network sees depth on drives that no training has seen, beside what needs no seeing at all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from edgeconv.models.mininet.config import DepthTraining
from edgeconv.models.mininet.metrics import DepthScore, garg_crop, mean_score, score_depth
from edgeconv.models.mininet.network import depth_of
from edgeconv.models.mininet.triplets import Known, known_depth, training_drives, unseen_drives
from edgeconv.quantize.family import Estimator

__all__ = ["BEST_MAP", "SHUFFLED", "best_map", "depths_of", "judge", "unseen"]

BEST_MAP, SHUFFLED = "best map of the training set", "shuffled pictures"
_JUDGED, _MAPPED = 96, 240


def unseen(config: DepthTraining) -> Known:
    """The pictures that estimators are judged on."""
    return known_depth(unseen_drives(config), config, _JUDGED)


def depths_of(estimator: Estimator, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Depth (N, H, W) of pictures (N, 3, H, W)."""
    nearness = np.asarray(estimator(pictures), np.float32).reshape(len(pictures), *pictures.shape[2:])
    return np.asarray(depth_of(torch.from_numpy(nearness)).numpy())


def best_map(depth: NDArray[np.float32]) -> NDArray[np.float32]:
    """The one depth map (H, W) with the least AbsRel over all of `depth` (N, H, W; 0: unknown), by pixels.

    Every truth is divided by its median first, as every prediction is scaled to it when it is judged. The sum of
    |d - t| / t is least at the median of t weighted by 1 / t.
    """
    rows, columns = garg_crop(*depth.shape[1:])
    medians = [np.median(one[rows, columns][one[rows, columns] > 0]) for one in depth]
    relative = np.where(depth > 0, depth, np.inf) / np.array(medians)[:, None, None]
    ordered = np.sort(relative, axis=0)
    reached = np.cumsum(1 / ordered, axis=0)
    middle = (reached < reached[-1] / 2).sum(0)
    found = np.take_along_axis(ordered, middle[None].clip(max=len(depth) - 1), 0)[0]
    # A pixel that nobody ever measured is the sky.
    return np.where(np.isfinite(found), found, 10.0).astype(np.float32)


def judge(
    estimators: Mapping[str, Estimator], config: DepthTraining, data: Known | None = None
) -> dict[str, DepthScore]:
    """Measures within Garg's crop, capped at 80 m, each prediction scaled to the median of the truth.

    Two rows come along: the best map, which knows where things usually are, and the first estimator looking at another
    drive's pictures.

    Args:
        estimators: uint8 pictures (N, 3, H, W) to nearness (N, 1, H, W).
        data: `unseen(config)` when None.
    """
    data = data or unseen(config)
    depths = {name: depths_of(estimator, data.pictures) for name, estimator in estimators.items()}
    constant = best_map(known_depth(training_drives(config), config, _MAPPED).depth)
    first = next(iter(depths))
    depths[f"{first}, {SHUFFLED}"] = np.roll(depths[first], len(depths[first]) // 2, axis=0)
    depths[BEST_MAP] = np.broadcast_to(constant, data.depth.shape)
    return {
        name: mean_score(score_depth(one, true) for one, true in zip(found, data.depth, strict=True))
        for name, found in depths.items()
    }

"""The trained network that comes with the family: the reference sees depth with it, on streets nobody trained on."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from edgeconv.importer import read_onnx  # noqa: E402
from edgeconv.integer import lower  # noqa: E402
from edgeconv.models.mininet import mean_score, score_depth, trained_model  # noqa: E402
from edgeconv.models.mininet.config import DepthTraining  # noqa: E402
from edgeconv.models.mininet.drive import Drive  # noqa: E402
from edgeconv.models.mininet.judge import best_map  # noqa: E402
from edgeconv.models.mininet.network import depth_of  # noqa: E402
from edgeconv.models.mininet.render import depth_map  # noqa: E402
from edgeconv.reference import run  # noqa: E402

pytestmark = pytest.mark.needs_torch
STREETS = 16


def streets(first: int, count: int) -> list[Drive]:
    config = DepthTraining().drives
    return [Drive(config, 7_700_000_000 + number) for number in range(first, first + count)]


def test_it_is_small_and_sees_what_no_constant_map_knows() -> None:
    assert trained_model().stat().st_size < 1_000_000
    frames = [street.frame(12) for street in streets(0, STREETS)]
    pictures = np.stack([frame.image.transpose(2, 0, 1) for frame in frames])
    true = np.stack([np.where(np.isfinite(frame.depth), frame.depth, 0) for frame in frames])
    nearness = run(lower(read_onnx(trained_model())), {"picture": pictures[:, None]})["nearness"][:, 0, 0]
    found = depth_of(torch.from_numpy(nearness)).numpy()
    seen = np.stack([depth_map(one.scene, one.camera, one.poses[12]) for one in streets(100, 40)])
    constant = best_map(np.where(np.isfinite(seen), seen, 0))

    def error(predicted: np.ndarray) -> float:
        return mean_score(score_depth(one, truth) for one, truth in zip(predicted, true, strict=True)).abs_rel

    map_error = error(np.broadcast_to(constant, true.shape))
    print(f"AbsRel {error(found):.4f}, best map {map_error:.4f}, shuffled {error(np.roll(found, 1, 0)):.4f}")
    assert error(found) < 0.75 * map_error
    assert error(np.roll(found, 1, 0)) > map_error

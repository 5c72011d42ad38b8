"""A short training of the depth family: repeats, leaves as ONNX, and the reference sees as the twin does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brevitas")
pytest.importorskip("PIL", reason="Pillow comes with the extras report and data")

from edgeconv.errors import InputError, UsageError
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.models.mininet.config import DepthTraining, LossWeights, MiniNetConfig
from edgeconv.models.mininet.drive import DriveConfig
from edgeconv.models.mininet.family import FAMILY
from edgeconv.models.mininet.judge import BEST_MAP, best_map, judge, unseen
from edgeconv.models.mininet.network import FARTHEST, NEAREST
from edgeconv.models.mininet.recipe import train
from edgeconv.models.mininet.trained import TrainedDepth
from edgeconv.models.mininet.triplets import Known, known_depth, load_triplets, training_drives
from edgeconv.quantize import Stage
from edgeconv.reference import run

pytestmark = [pytest.mark.needs_torch, pytest.mark.usefixtures("cache")]
CONFIG = DepthTraining(
    drives=DriveConfig(width=48, height=32, frames=4, beams=8, azimuths=32),
    network=MiniNetConfig(widths=(4, 8, 8), levels=1, iterations=1),
    train_drives=2,
    test_drives=1,
    batch=2,
    settle=2,
    float_stage=Stage("float", 4, 1e-3),
    twin_stage=Stage("quantization-aware", 3, 1e-4),
)


@pytest.fixture(scope="module")
def trained(cache: Path) -> TrainedDepth:
    return train(CONFIG)


def perfect(data: Known):  # type: ignore[no-untyped-def]
    """An estimator that has seen the truth."""
    depth = np.where(data.depth > 0, data.depth, FARTHEST)
    return lambda pictures: np.log(depth / FARTHEST)[:, None] / np.log(NEAREST / FARTHEST)


def test_neighbours_are_of_the_same_drive_and_mirrors_have_mirrored_cameras() -> None:
    data = load_triplets(training_drives(CONFIG), CONFIG)
    assert data.pictures.shape == (8, 3, 32, 48)
    assert data.middles.tolist() == [1, 2, 5, 6]
    pictures, cameras = data.batch(64, np.random.default_rng(0))
    straight = cameras[:, 0, 2] == data.intrinsics[0, 0, 2]
    assert 10 < straight.sum() < 54
    assert np.allclose(cameras[~straight, 0, 2], 47 - data.intrinsics[0, 0, 2])
    originals = {data.pictures[i - 1 : i + 2].tobytes() for i in data.middles}
    for triplet, as_is in zip(pictures, straight, strict=True):
        assert (triplet if as_is else triplet[..., ::-1]).tobytes() in originals


def test_training_repeats_bit_for_bit(trained: TrainedDepth) -> None:
    again = train(CONFIG)
    pictures = unseen(CONFIG).pictures
    assert (again.predict_quantized(pictures) == trained.predict_quantized(pictures)).all()
    assert (again.predict_float(pictures) == trained.predict_float(pictures)).all()


@pytest.mark.parametrize("dialect", ["qcdq", "qonnx"])
def test_the_reference_sees_as_the_twin(trained: TrainedDepth, dialect: str, tmp_path: Path) -> None:
    path = getattr(trained, f"export_{dialect}")(tmp_path / "depth.onnx")
    pictures = unseen(CONFIG).pictures
    found = run(lower(read_onnx(path)), {"picture": pictures[:, None]})["nearness"][:, 0]
    expected = trained.predict_quantized(pictures)
    assert found.shape == expected.shape == (4, 1, 32, 48)
    # torch sums in float32, so a near-tie may round to the neighbour and show in a few places.
    assert (np.abs(found - expected) <= 1e-6).mean() > 0.98


def test_the_truth_has_no_error_and_the_best_map_less_than_other_maps() -> None:
    data = unseen(CONFIG)
    scores = judge({"truth": perfect(data)}, CONFIG, data)
    assert scores["truth"].abs_rel < 1e-5
    assert scores["truth"].delta1 == 1
    assert scores["truth, shuffled pictures"].abs_rel > 0.01
    depth = known_depth(training_drives(CONFIG), CONFIG, 8).depth
    best = best_map(depth)

    def error(constant: np.ndarray) -> float:
        return judge({"map": lambda pictures: perfect(Known(pictures, constant[None]))(pictures)}, CONFIG,
                     Known(data.pictures[:1], depth[:1]))["map"].abs_rel  # fmt: skip

    assert best.shape == (32, 48)
    assert error(best) < error(np.full_like(best, 10.0))
    assert BEST_MAP in scores


def test_of_depths_at_a_pixel_the_best_one_errs_least_relative_to_them() -> None:
    depth = np.random.default_rng(0).uniform(2, 60, (9, 20, 30)).astype(np.float32)
    depth[:, 10:19, 2:28] /= np.median(depth[:, 8:19, 1:28], (1, 2), keepdims=True)
    relative = depth / np.array([np.median(one[8:19, 1:28]) for one in depth])[:, None, None]
    best = best_map(depth)

    def error(constant: np.ndarray) -> np.ndarray:
        return (np.abs(constant - relative) / relative).mean(0)

    for factor in (0.8, 0.97, 1.03, 1.3):
        assert (error(best) <= error(best * factor) + 1e-6).all()


def test_judged_drives_go_through_other_streets(trained: TrainedDepth) -> None:
    seen = load_triplets(training_drives(CONFIG), CONFIG).pictures
    assert not {one.tobytes() for one in seen} & {one.tobytes() for one in unseen(CONFIG).pictures}
    table = FAMILY.judge({"float": trained.predict_float}, CONFIG)
    assert [row[0] for row in table.rows] == ["float", "float, shuffled pictures", BEST_MAP]


def test_plots_show_pictures_beside_depth(trained: TrainedDepth, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    (path,) = FAMILY.draw({"float": trained.predict_float}, tmp_path, CONFIG)
    assert path.stat().st_size > 10_000


def test_what_cannot_be_trained_is_refused(trained: TrainedDepth) -> None:
    with pytest.raises(UsageError, match="pictures of 40 × 32\n  expected: multiples of 16"):
        replace(CONFIG, drives=DriveConfig(width=40, height=32, frames=4))
    with pytest.raises(UsageError, match="at least 1 of each"):
        replace(CONFIG, batch=0)
    with pytest.raises(UsageError, match="one to three scales"):
        LossWeights(scales=0)
    with pytest.raises(InputError, match=r"expected: \(N, 3, H, W\) of uint8"):
        trained.predict_float(np.zeros((1, 3, 32, 48), np.float32))

"""The depth measures against values worked out by hand."""

from __future__ import annotations

from math import log, sqrt

import numpy as np
import pytest

from edgeconv.errors import UsageError
from edgeconv.models.mininet.metrics import garg_crop, mean_score, score_depth


def test_measures_of_two_pixels() -> None:
    truth = np.array([[10.0, 20.0, 0.0, 200.0]])
    score = score_depth(np.array([[12.0, 15.0, 5.0, 5.0]]), truth, crop=False, median_scaling=False)
    assert score.abs_rel == pytest.approx((2 / 10 + 5 / 20) / 2)
    assert score.sq_rel == pytest.approx((4 / 10 + 25 / 20) / 2)
    assert score.rmse == pytest.approx(sqrt((4 + 25) / 2))
    assert score.rmse_log == pytest.approx(sqrt((log(1.2) ** 2 + log(0.75) ** 2) / 2))
    assert (score.delta1, score.delta2, score.delta3) == (0.5, 1.0, 1.0)


def test_median_scaling_takes_out_any_factor() -> None:
    truth = np.random.default_rng(0).uniform(2, 70, (40, 60))
    score = score_depth(truth / 37, truth, crop=False)
    assert score.abs_rel < 1e-12
    assert score.delta1 == 1.0


def test_predictions_are_capped_at_80_metres() -> None:
    score = score_depth(np.full((1, 1), 500.0), np.full((1, 1), 40.0), crop=False, median_scaling=False)
    assert score.rmse == 40.0


def test_the_crop_is_that_of_garg_for_kittis_size() -> None:
    rows, columns = garg_crop(375, 1242)
    assert (rows.start, rows.stop, columns.start, columns.stop) == (153, 371, 44, 1197)


def test_pixels_outside_the_crop_do_not_count() -> None:
    truth, predicted = np.full((100, 100), 10.0), np.full((100, 100), 10.0)
    predicted[:40] = 1.0
    assert score_depth(predicted, truth, median_scaling=False).abs_rel == 0
    assert score_depth(predicted, truth, median_scaling=False, crop=False).abs_rel > 0.3


def test_nothing_known_and_other_shapes_are_errors() -> None:
    with pytest.raises(UsageError, match="without known pixels"):
        score_depth(np.ones((4, 4)), np.zeros((4, 4)), crop=False)
    with pytest.raises(UsageError, match="shape"):
        score_depth(np.ones((4, 4)), np.ones((4, 5)))


def test_means_are_over_pictures() -> None:
    truth = np.full((1, 2), 10.0)
    scores = [score_depth(np.full((1, 2), d), truth, crop=False, median_scaling=False) for d in (11.0, 13.0)]
    assert mean_score(scores).abs_rel == pytest.approx(0.2)

"""Measures equal cases computed by hand, scikit-learn's, and the challenge's definition written out."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest

from edgeconv.errors import InputError
from edgeconv.models.ecg_mamba import (
    SCORED,
    auprc,
    auroc,
    challenge_metric,
    evaluate,
    f1,
    f1_thresholds,
    macro,
    paired_bootstrap,
)


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def test_areas_by_hand() -> None:
    labels = column(1, 0, 1, 0, 0).astype(bool)
    scores = column(0.9, 0.8, 0.8, 0.3, 0.1)
    # Pairs of positive and negative: 0.9 wins 3; 0.8 ties once and wins 2.
    assert auroc(labels, scores)[0] == pytest.approx(5.5 / 6)
    # Thresholds 0.9 and 0.8: recall 1/2 at precision 1, then 1/2 more at precision 2/3.
    assert auprc(labels, scores)[0] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert f1(labels, scores >= 0.8)[0] == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert f1_thresholds(labels, scores)[0] == 0.8


def test_a_class_without_positives_or_negatives_has_no_value_and_no_part_in_the_mean() -> None:
    labels = np.array([[1, 0, 1], [0, 0, 1], [1, 0, 1]], bool)
    scores = np.array([[0.9, 0.1, 0.5], [0.1, 0.2, 0.5], [0.8, 0.3, 0.5]])
    for values in (auroc(labels, scores), auprc(labels, scores), f1(labels, scores > 0.5)):
        assert np.isnan(values).tolist() == [False, True, True]
        assert macro(values) == values[0] == 1
    assert f1_thresholds(labels, scores)[1] == np.inf
    assert np.isnan(macro(np.array([np.nan])))


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is not installed (extra search)")
@pytest.mark.parametrize("levels", [4, 1000])
def test_measures_are_those_of_scikit_learn(levels: int) -> None:
    from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

    rng = np.random.default_rng(levels)
    labels = rng.uniform(size=(300, 26)) < rng.uniform(0.02, 0.6, 26)
    scores = np.floor((rng.uniform(size=labels.shape) + 0.3 * labels) * levels) / levels
    np.testing.assert_allclose(auroc(labels, scores), roc_auc_score(labels, scores, average=None), atol=1e-12)
    np.testing.assert_allclose(auprc(labels, scores), average_precision_score(labels, scores, average=None), atol=1e-12)
    answers = scores > 0.6
    np.testing.assert_allclose(f1(labels, answers), f1_score(labels, answers, average=None), atol=1e-12)
    best = f1(labels, scores >= f1_thresholds(labels, scores))
    for cut in np.unique(scores):
        assert (f1(labels, scores >= cut) <= best + 1e-12).all()


def challenge_by_definition(labels: np.ndarray, answers: np.ndarray, weights: np.ndarray, sinus: int) -> float:
    """The definition, pair by pair."""

    def reward(answers: np.ndarray) -> float:
        total = 0.0
        for truth, answer in zip(labels, answers, strict=True):
            size = max((truth | answer).sum(), 1)
            for i in np.flatnonzero(truth):
                for j in np.flatnonzero(answer):
                    total += weights[i, j] / size
        return total

    inactive = np.zeros_like(answers)
    inactive[:, sinus] = True
    return (reward(answers) - reward(inactive)) / (reward(labels) - reward(inactive))


def test_the_challenge_metric_by_hand() -> None:
    weights = np.array([[1, 0.5, 0.2], [0.5, 1, 0.4], [0.2, 0.4, 1]])
    labels = np.array([[1, 0, 0], [0, 1, 1]], bool)  # class 2 is sinus rhythm
    # Truth: 1 + (1 + 0.4 + 0.4 + 1)/2. Sinus for all: 0.2/2 + (0.4 + 1)/2. Answer: 0.5/2 + (1 + 0.4)/2.
    answers = np.array([[0, 1, 0], [0, 1, 0]], bool)
    truth, inactive, answer = 2.4, 0.8, 0.95
    expected = (answer - inactive) / (truth - inactive)
    assert challenge_metric(labels, answers, weights, 2) == pytest.approx(expected)


def test_the_challenge_metric_follows_its_definition() -> None:
    rng = np.random.default_rng(5)
    weights = rng.uniform(0, 1, (26, 26))
    np.fill_diagonal(weights, 1)
    labels, answers = rng.uniform(size=(2, 80, 26)) < 0.15
    sinus = SCORED.index("NSR")
    expected = challenge_by_definition(labels, answers, weights, sinus)
    assert challenge_metric(labels, answers, weights, sinus) == pytest.approx(expected, abs=1e-12)
    assert challenge_metric(labels, labels, weights, sinus) == pytest.approx(1)
    only = np.zeros_like(labels)
    only[:, sinus] = True
    assert challenge_metric(labels, only, weights, sinus) == pytest.approx(0, abs=1e-12)
    assert challenge_metric(only, only, weights, sinus) == 0  # truth and sinus rhythm for everyone are the same
    with pytest.raises(InputError, match="weights of shape"):
        challenge_metric(labels, answers, weights[:3], sinus)


def test_all_measures_at_once() -> None:
    rng = np.random.default_rng(6)
    labels = rng.uniform(size=(200, 26)) < 0.2
    scores = rng.uniform(size=labels.shape) + labels
    found = evaluate(labels, scores, 1.0, weights=np.eye(26))
    assert (found.macro_auroc, found.macro_auprc, found.macro_f1) == pytest.approx((1, 1, 1))
    assert found.challenge == pytest.approx(1)
    assert evaluate(labels, scores).challenge is None


def test_a_paired_bootstrap_tells_a_better_predictor_from_an_equal_one() -> None:
    rng = np.random.default_rng(7)
    labels = rng.uniform(size=(400, 4)) < 0.3
    noise = rng.standard_normal((3, 400, 4))
    good, poor, other = labels + noise[0], labels + 3 * noise[1], labels + noise[2]

    def measure(labels: np.ndarray, scores: np.ndarray) -> float:
        return macro(auroc(labels, scores))

    clear = paired_bootstrap(measure, labels, good, poor, resamplings=300, seed=1)
    assert clear.low > 0
    assert clear.p < 0.01
    assert clear.low < clear.difference < clear.high
    equal = paired_bootstrap(measure, labels, good, other, resamplings=300, seed=1)
    assert equal.low < 0 < equal.high
    assert equal.p > 0.05
    assert paired_bootstrap(measure, labels, good, poor, resamplings=300, seed=1) == clear
    same = paired_bootstrap(measure, labels, good, good, resamplings=50)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_resampling_patients_widens_the_interval_of_records_that_repeat_themselves() -> None:
    rng = np.random.default_rng(8)
    labels, noise = rng.uniform(size=(60, 1)) < 0.5, rng.standard_normal((2, 60, 1))
    repeated = [np.repeat(x, 8, axis=0) for x in (labels, labels + noise[0], labels + 2 * noise[1])]
    patients = tuple(np.repeat([f"P{i}" for i in range(60)], 8).tolist())

    def measure(labels: np.ndarray, scores: np.ndarray) -> float:
        return macro(auroc(labels, scores))

    by_record = paired_bootstrap(measure, *repeated, resamplings=200)
    by_patient = paired_bootstrap(measure, *repeated, patients=patients, resamplings=200)
    assert by_patient.high - by_patient.low > 2 * (by_record.high - by_record.low)


def test_predictions_that_do_not_fit_are_refused() -> None:
    labels = np.zeros((3, 2), bool)
    with pytest.raises(InputError, match="expected: bool"):
        auroc(labels, np.zeros((3, 3)))
    with pytest.raises(InputError, match="hold NaN"):
        auprc(labels, np.full((3, 2), np.nan))
    with pytest.raises(InputError, match="expected: bool"):
        f1(labels.astype(int), labels)  # type: ignore[arg-type]

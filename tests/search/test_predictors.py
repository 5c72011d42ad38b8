"""Predictors: the kind that ranks best is chosen, and the same data give the same predictions."""

from __future__ import annotations

import numpy as np
import pytest

from edgeconv.models.pulse.space import ELASTIC, pulse_space
from edgeconv.search.evolution import distinct_samples
from edgeconv.search.predictors import KINDS, SUMS, fit_predictor, rank_correlation
from tests.search.evaluators import TOY_SPACE, Toy

COORDINATES = len(TOY_SPACE.choices)


def toy_data(count: int, metric: str) -> tuple[np.ndarray, np.ndarray]:
    genomes = distinct_samples(TOY_SPACE, count, np.random.default_rng(1))
    values = [Toy()(TOY_SPACE.values(genome), 0)[metric] for genome in genomes]
    return TOY_SPACE.features(genomes), np.array(values)


def test_predictions_rank_genomes_that_were_not_seen() -> None:
    features, values = toy_data(300, "error")
    predictor = fit_predictor(features[:200], values[:200], COORDINATES, seed=0)
    guess, uncertainty = predictor.predict(features[200:])
    assert set(predictor.taus) == set(KINDS)
    assert predictor.taus[predictor.kind] == max(predictor.taus.values())
    assert rank_correlation(guess, values[200:]) > 0.8
    better = values[200:] <= np.median(values[200:])
    assert rank_correlation(guess[better], values[200:][better]) > 0.6
    assert (uncertainty > 0).all()


def test_the_same_data_give_the_same_bits_in_any_batch() -> None:
    features, values = toy_data(60, "error")
    one, other = (fit_predictor(features, values, COORDINATES, seed=3) for _ in range(2))
    together = one.predict(features)
    assert all((a == b).all() for a, b in zip(together, other.predict(features), strict=True))
    single = np.array([one.predict(row[None])[0][0] for row in features])
    assert (single == together[0]).all()


def test_counted_cost_is_predicted_from_terms_of_the_layers() -> None:
    space = pulse_space()
    genomes = distinct_samples(space, 200, np.random.default_rng(2))
    cost = np.array([sum(layer.mac_bits for layer in ELASTIC.layers(space.values(g))) for g in genomes], float)
    features = space.features(genomes)
    terms = space.terms_in(features)
    assert terms == len(ELASTIC.terms(space.values(genomes[0])))
    predictor = fit_predictor(features[:80], cost[:80], len(space.choices), seed=0, terms=terms)
    assert predictor.kind == SUMS
    guess, uncertainty = predictor.predict(features[80:])
    assert guess == pytest.approx(cost[80:])
    assert np.abs(uncertainty).max() < 1e-6 * cost.max()


def test_a_metric_that_never_changes_is_predicted() -> None:
    features, _ = toy_data(30, "cost")
    guess, uncertainty = fit_predictor(features, np.full(30, 7.0), COORDINATES, seed=0).predict(features)
    assert guess == pytest.approx(np.full(30, 7.0))
    assert np.abs(uncertainty).max() < 1e-9

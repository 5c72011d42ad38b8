"""Networks that predictors have not seen are ranked nearly as well as their labels rank themselves on other samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from edgeconv.search.predictors import Predictor, fit_predictor, rank_correlation
from edgeconv.search.session import Settings, Workers, run_session
from edgeconv.search.space import Genome, Space
from tests.search import pulse_table

pytestmark = [pytest.mark.accept, pytest.mark.needs_torch, pytest.mark.timeout(4 * 3600)]

KNOWN = 500
MEASURED = 300
REACHED = 0.85
"""What every cost must have, latency a little below what was measured (docs/search.md), whatever its goal."""
FOLDER = Path(__file__).parents[2] / "build/accept-search"


def held_out_tau(
    space: Space, genomes: list[Genome], values: np.ndarray, known: np.ndarray, held: np.ndarray
) -> tuple[Predictor, float]:
    """The predictor that some networks give, and how it ranks others."""
    features = space.features(genomes)
    predictor = fit_predictor(
        features[known], values[known], len(space.choices), seed=0, terms=space.terms_in(features)
    )
    return predictor, rank_correlation(predictor.predict(features[held])[0], values[held])


def column(metrics: Mapping[str, Mapping[str, float]], name: str) -> np.ndarray:
    return np.array([each[name] for each in metrics.values()])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_tabulated_space(seed: int) -> None:
    table, again = pulse_table.build(), pulse_table.build(seed=1)
    assert list(table.metrics) == list(again.metrics)
    genomes = [pulse_table.SPACE.parse(text) for text in table.metrics]
    order = np.random.default_rng(seed).permutation(len(genomes))
    known, held = order[:KNOWN], order[KNOWN:]

    label = column(table.metrics, "time_resolution")
    own = rank_correlation(label[held], column(again.metrics, "time_resolution")[held])
    predictor, tau = held_out_tau(pulse_table.SPACE, genomes, label, known, held)
    cost = column(table.metrics, "mac_bits")
    _, cost_tau = held_out_tau(pulse_table.SPACE, genomes, cost, known, held)
    print(
        f"\nseed {seed}: {KNOWN} known, {len(held)} held out: time resolution by {predictor.kind} {tau:.3f}, "
        f"the label with itself on other pulses {own:.3f}; mac_bits {cost_tau:.4f}"
    )
    assert tau >= max(0.75, 0.9 * own)
    assert cost_tau >= 0.99


@pytest.mark.needs_gcc
def test_measured_latency() -> None:
    """Of compiled networks of the whole pulse space; weights do not matter, so the supernet need not be good."""
    settings = Settings("pulse", objectives=("latency", "mac_bits", "model_bytes"), strategy="random", supernet_steps=4)
    session = run_session(FOLDER / "latency", settings, evaluations=MEASURED, workers=Workers())
    done = [e for e in session.evaluated if e.metrics is not None]
    assert len(done) == MEASURED
    genomes, everything = [e.genome for e in done], np.arange(MEASURED)
    for metric, least in (("mac_bits", 0.99), ("model_bytes", 0.99), ("latency", 0.95)):
        values = np.array([(e.metrics or {})[metric] for e in done])
        taus = []
        for fold in range(3):
            held = everything[everything % 3 == fold]
            _, tau = held_out_tau(session.problem.space, genomes, values, np.setdiff1d(everything, held), held)
            taus.append(tau)
        figures = f"{metric} of {MEASURED} networks, two thirds known: {', '.join(f'{tau:.4f}' for tau in taus)}"
        print(f"\n{figures}")
        assert min(taus) >= REACHED
        if metric == "latency" and min(taus) < least:
            pytest.xfail(f"{figures}; the goal is {least} (docs/search.md)")
        assert min(taus) >= least

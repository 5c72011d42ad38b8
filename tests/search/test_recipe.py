"""Families whose networks are trained one by one: their spaces mean what they say, and searches run through them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeconv.errors import EdgeconvError, UsageError
from edgeconv.models.ecg_mamba.config import TrainConfig
from edgeconv.models.ecg_mamba.configurations import CONFIGURATIONS
from edgeconv.models.ecg_mamba.space import default_values as ecg_values
from edgeconv.models.mininet.config import DepthTraining
from edgeconv.models.mininet.space import default_values as depth_values
from edgeconv.models.oneway_wave.config import WaveTraining
from edgeconv.models.oneway_wave.space import default_values as wave_values
from edgeconv.search import session as sessions
from edgeconv.search.problem import parse_constraint
from edgeconv.search.recipe import RecipeEvaluator, RecipeSearch, shortened, steps_of
from edgeconv.search.reports import write_reports
from edgeconv.search.session import Settings, Workers, run_session
from edgeconv.search.task import find_elastic, find_family, metrics_of, policy_for
from edgeconv.search.winners import export_winner
from tests.search.small_ecg import SMALL, small_ecg

pytestmark = pytest.mark.needs_torch

FAMILIES = {"ecg_mamba": ecg_values, "mininet": depth_values, "oneway_wave": wave_values}


def task_of(name: str) -> RecipeSearch:
    task = find_family(name)
    assert isinstance(task, RecipeSearch)
    return task


def twin_of(config: Any) -> Any:
    """The quantized network of a configuration, its bits set."""
    from edgeconv.models.ecg_mamba.network import EcgNet
    from edgeconv.models.mininet.network import MiniNet
    from edgeconv.models.oneway_wave.network import StepNet
    from edgeconv.quantize.twin import QuantLayers, configure

    layers = QuantLayers()
    if isinstance(config, TrainConfig):
        network, policy = EcgNet(layers, config.network, config.signal), config.policy
    elif isinstance(config, DepthTraining):
        network, policy = MiniNet(config.network, layers), config.policy
    else:
        assert isinstance(config, WaveTraining)
        network, policy = StepNet(config.network, layers), config.network_policy
    configure(network, policy)
    return network


@pytest.mark.parametrize("name", FAMILIES)
def test_the_published_default_lies_inside(name: str) -> None:
    task = task_of(name)
    default: Callable[[], dict[str, Any]] = FAMILIES[name]
    values = task.space.values(task.space.genome(default()))
    config = task.configure(values)
    assert config.network == task.family.config.network
    bits = {rule.weight_bits for rule in config.policy.rules} | {rule.activation_bits for rule in config.policy.rules}
    assert bits - {16} == {None, 8}  # what one-way filters hand on has 16 bits
    assert task.space.size > 1e6


@pytest.mark.parametrize("name", FAMILIES)
def test_every_choice_changes_the_network_that_it_names(name: str) -> None:
    """Each rule of the bits matches, and each choice that counts gives another configuration."""
    task, rng = task_of(name), np.random.default_rng(7)
    for _ in range(3):
        genome = task.space.sample(rng)
        values = task.space.values(genome)
        twin_of(task.configure(values))  # refuses a rule that matches nothing
        seen = {repr(task.configure(values))}
        for choice in task.space.choices:
            if choice.name in values:
                other = task.space.repair(
                    [
                        (index + 1) % len(c.values) if c is choice else index
                        for c, index in zip(task.space.choices, genome, strict=True)
                    ]
                )
                seen.add(repr(task.configure(task.space.values(other))))
        assert len(seen) == 1 + len(values)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_networks_of_all_ecg_recipes_lie_inside(name: str) -> None:
    recipe = CONFIGURATIONS[name]
    task = find_family("ecg_mamba", name)
    assert isinstance(task, RecipeSearch)
    values = task.space.values(task.space.genome(ecg_values(recipe.network)))
    config = task.configure(values)
    assert values == task.own_values()
    assert config.network == recipe.network
    assert replace(config, policy=recipe.policy) == recipe
    twin_of(config)  # refuses a rule that matches nothing


def test_recipes_are_the_familys() -> None:
    with pytest.raises(UsageError, match=r"'fulll'\n *expected: standard, full, convolutional, small"):
        find_family("ecg_mamba", "fulll")
    with pytest.raises(UsageError, match=r"'precise' of 'pulse'\n *expected: none: its networks share a supernet"):
        find_family("pulse", "precise")


def test_shorter_recipes_have_one_step_at_least() -> None:
    assert steps_of(shortened(SMALL, 0.1)) == 2 + 3
    assert steps_of(shortened(SMALL, 1e-9)) == 2
    assert shortened(SMALL, 0.5).records == SMALL.records


def test_supernets_and_recipes_are_told_apart() -> None:
    with pytest.raises(UsageError, match="family 'mininet' has no supernet: its networks are trained one by one"):
        find_elastic("mininet")
    assert policy_for(task_of("mininet"), depth_values()).bits_of("encode1.pointwise").weight_bits == 8
    pulse = find_elastic("pulse")
    smallest = pulse.space.values(pulse.space.repair(0 * pulse.space.cardinalities))
    assert policy_for(pulse, smallest).bits_of("convs.0").weight_bits == 2


def test_a_trained_network_has_the_bits_and_the_size_of_its_genome() -> None:
    values = ecg_values() | {"width": 16, "blocks": 1, "head.weights": 4, "stem1.weights": 6}
    values = {name: value for name, value in values.items() if not name.startswith("block2")}
    wanted = ("auroc", "macs", "model_bytes")
    found = RecipeEvaluator(small_ecg(), "cpu", wanted, 0.05)(values, 0)
    assert tuple(found) == wanted
    assert 0 < found["auroc"] < 1
    finer = RecipeEvaluator(small_ecg(), "cpu", wanted, 0.05)(values | {"head.weights": 8}, 0)
    assert finer["macs"] == found["macs"]
    assert finer["model_bytes"] - found["model_bytes"] == SMALL.network.classes * 16 / 2  # half a byte a weight


@pytest.mark.slow
def test_a_network_that_costs_too_much_is_neither_trained_nor_compiled() -> None:
    values = small_ecg().own_values()

    def too_much(bound: float) -> RecipeEvaluator:
        def judged(*_: Any) -> dict[str, float]:
            raise AssertionError("judged")

        known = metrics_of(small_ecg())
        constraints = tuple(parse_constraint(text, known) for text in (f"model_bytes<{bound}", "latency<1ms"))
        wanted = ("auroc", "model_bytes", "latency")
        # A target that nothing can be compiled for.
        return RecipeEvaluator(replace(small_ecg(), measure=judged), "nowhere", wanted, 0.05, constraints)

    assert tuple(too_much(1000)(values, 0)) == ("model_bytes",)
    with pytest.raises(EdgeconvError, match="nowhere"):
        too_much(1e6)(values, 0)


@pytest.mark.slow
def test_a_study_from_its_beginning_to_a_network_of_its_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "find_family", lambda *_: small_ecg())
    settings = Settings("ecg_mamba", objectives=("auroc", "model_bytes"), strategy="random", recipe_share=0.05)
    found = run_session(tmp_path, settings, evaluations=2, workers=Workers())
    assert len(found.evaluated) == 2
    assert all(e.metrics is not None for e in found.evaluated)
    assert not (tmp_path / "supernet.pt").exists()
    write_reports(found)
    assert len(list((tmp_path / "policies").iterdir())) == len(found.front)
    winner = export_winner(found, 0, tmp_path / "net.onnx")
    assert winner.steps == 1 + 2
    assert winner.metrics["auroc"] == winner.inherited["auroc"]  # the same seed, the same network
    assert export_winner(found, 0, tmp_path / "longer.onnx", steps=10).steps == 10

"""The supernet and what is taken out of it: bits switch at run time, and a sub-network is what it was inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edgeconv.errors import DeviceError, UsageError
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.models.pulse.space import ELASTIC, default_values, pulse_space
from edgeconv.quantize.convert import make_twin
from edgeconv.search.costs import costs_of, program_costs
from edgeconv.search.extract import extract, extract_float
from edgeconv.search.loss import weighted_loss
from edgeconv.search.network import ElasticNetwork, policy_of
from edgeconv.search.supernet import SuperNet
from edgeconv.search.supernet_training import load_supernet, save_supernet, train_supernet
from edgeconv.search.task import Searchable, calibration_batches, find_elastic
from edgeconv.search.winners import fine_tune

pytestmark = pytest.mark.needs_torch


@pytest.fixture(scope="module")
def task() -> Searchable:
    return find_elastic("pulse")


@pytest.fixture(scope="module")
def supernet(task: Searchable) -> SuperNet:
    """A few steps, the last of them rounded: enough for weights that are not all alike."""
    torch.set_num_threads(1)
    return train_supernet(ELASTIC, task.space, lambda rng: task.batch(rng, 16), steps=4, seed=3, between=1)


def test_training_moves_all_weights_and_is_the_same_for_the_same_seed(task: Searchable, supernet: SuperNet) -> None:
    again = train_supernet(ELASTIC, task.space, lambda rng: task.batch(rng, 16), steps=4, seed=3, between=1)
    fresh = SuperNet(ELASTIC).state_dict()
    for name, value in supernet.state_dict().items():
        assert torch.equal(value, again.state_dict()[name])
        if "conv" in name and name.endswith("weight"):
            assert not torch.equal(value, fresh[name])


def test_rounded_weights_use_as_many_levels_as_their_bits_allow(supernet: SuperNet) -> None:
    weight = supernet.conv_weight(1, 8, 16, 5)
    assert weight.shape == (16, 8, 5)
    for bits, levels in ((2, 3), (3, 7), (8, 255)):
        rounded = supernet._rounded(supernet.convs[1], weight, bits)
        assert max(len(torch.unique(row)) for row in rounded) <= levels
    assert torch.equal(weight, supernet.convs[1].weight[:16, :8, 1:6])


def test_a_sub_network_computes_what_it_did_inside(task: Searchable, supernet: SuperNet) -> None:
    """In real numbers and with the statistics of one batch, both are the same function of that batch."""
    x = calibration_batches(task)[0][0]
    rng = np.random.default_rng(5)
    supernet.quantized = False
    for _ in range(3):
        values = task.space.values(task.space.sample(rng))
        supernet.use(values)
        with torch.no_grad():
            inside = supernet(x)
            outside = extract_float(supernet, values, task.integers, [x])(x)
        # The running variance divides by n - 1, that of a batch by n: 1/1024 at the last convolution.
        assert outside == pytest.approx(inside, rel=0.02, abs=0.02 * inside.std().item())
    supernet.quantized = True


def test_statistics_belong_to_one_sub_network(task: Searchable, supernet: SuperNet) -> None:
    values = default_values()
    narrow = values | {"conv1.kernel": 3}
    one, other = (
        extract_float(supernet, v, task.integers, [calibration_batches(task)[0][0]]) for v in (values, narrow)
    )
    assert not torch.allclose(one.convs[1].norm.running_mean, other.convs[1].norm.running_mean)


def test_the_last_layer_is_fitted_to_its_network(task: Searchable, supernet: SuperNet) -> None:
    """The loss of training is less than with the layer that all networks of the supernet share."""
    values = default_values() | {"conv2.width": 16, "hidden.activations": 4}
    (x, targets, weights), *_ = calibration_batches(task)
    shared = make_twin(
        lambda layers: ElasticNetwork(layers, task.elastic, values, task.integers),
        extract_float(supernet, values, task.integers, [x]),
        policy_of(task.elastic, values),
        [x],
    )
    fitted = extract(supernet, values, task.integers, [(x, targets, weights)])
    with torch.no_grad():
        loss, loss_of_shared = (weighted_loss(network(x) - targets, weights) for network in (fitted, shared))
    assert loss < 0.7 * loss_of_shared


def test_an_exported_sub_network_has_the_bits_and_costs_of_its_genome(
    task: Searchable, supernet: SuperNet, tmp_path: Path
) -> None:
    genome = pulse_space().sample(np.random.default_rng(8))
    values = pulse_space().values(genome)
    network = extract(supernet, values, task.integers, calibration_batches(task)[:1], task.units, "power-of-two")
    program = lower(read_onnx(task.export(network, tmp_path / "net.onnx"), None))
    layers = ELASTIC.layers(values)
    weights = [program.types[op.w if op.keyword == "conv" else op.operands[1]] for op in program.operators
               if op.keyword in ("conv", "matmul")]  # fmt: skip
    assert [type_.dtype.bits for type_ in weights] == [layer.weight_bits for layer in layers]
    assert [type_.size for type_ in weights] == [layer.weights for layer in layers]
    costs = program_costs(program)
    assert costs["macs"] == sum(layer.macs for layer in layers)
    assert costs["mac_bits"] == sum(layer.mac_bits for layer in layers)
    assert task.judge(network)["time_resolution"] > 0
    asked = costs_of(tmp_path / "net.onnx", "cpu", ["macs", "cycles"], tmp_path / "cache")
    assert asked["macs"] == costs["macs"]
    assert asked["cycles"] > costs["macs"] / 128  # 16 elements of 8 multipliers


def test_costs_replay_from_their_cache(task: Searchable, supernet: SuperNet, tmp_path: Path) -> None:
    network = extract(supernet, default_values(), task.integers, calibration_batches(task)[:1])
    model = task.export(network, tmp_path / "net.onnx")
    first = costs_of(model, "cpu", ["model_bytes"], tmp_path)
    (file,) = tmp_path.glob("*.json")
    file.write_text('{"model_bytes": 1.0}')
    assert costs_of(model, "cpu", ["model_bytes"], tmp_path) == {"model_bytes": 1.0}
    file.unlink()
    assert costs_of(model, "cpu", ["model_bytes"], tmp_path) == first


def test_fine_tuning_lowers_the_error_of_what_was_inherited(task: Searchable, supernet: SuperNet) -> None:
    network = extract(supernet, default_values(), task.integers, calibration_batches(task)[:1], task.units)
    before = task.judge(network)["time_resolution"]
    fine_tune(network, task, 40, seed=0)
    assert task.judge(network)["time_resolution"] < 0.9 * before


@pytest.fixture(scope="module")
def smallest(task: Searchable, supernet: SuperNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = task.space.values(task.space.repair(0 * task.space.cardinalities))
    network = extract(supernet, values, task.integers, calibration_batches(task)[:1])
    return task.export(network, tmp_path_factory.mktemp("smallest") / "net.onnx")


@pytest.mark.slow
@pytest.mark.needs_gcc
def test_latency_and_arena_are_those_of_the_compiled_network(smallest: Path, tmp_path: Path) -> None:
    costs = costs_of(smallest, "cpu", ["latency", "arena_bytes"], tmp_path)
    assert 1e-8 < costs["latency"] < 1e-3
    assert costs["arena_bytes"] > 0
    assert costs_of(smallest, "cpu", ["latency", "arena_bytes"], tmp_path) == costs  # not measured again


@pytest.mark.needs_qemu
def test_instructions_are_counted_for_a_board_that_is_not_here(smallest: Path) -> None:
    assert costs_of(smallest, "rpi4", ["instructions"])["instructions"] > program_macs(smallest) / 16
    with pytest.raises(DeviceError, match=r"latency of target rpi4 cannot.*\n  try: name a board .* 'instructions'"):
        costs_of(smallest, "rpi4", ["latency"])


def program_macs(model: Path) -> float:
    return program_costs(lower(read_onnx(model, None)))["macs"]


def test_unknown_costs_are_refused(smallest: Path) -> None:
    with pytest.raises(UsageError, match=r"no cost joules\n  expected: macs, mac_bits"):
        costs_of(smallest, "cpu", ["joules"])


def test_a_supernet_comes_back_from_its_file(supernet: SuperNet, tmp_path: Path) -> None:
    save_supernet(supernet, tmp_path / "s.pt")
    loaded = load_supernet(ELASTIC, tmp_path / "s.pt")
    assert loaded.quantized
    for name, value in supernet.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[name])

"""A last layer fitted by least squares: exact where it can be, robust where some targets are far off."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from edgeconv.search.readout import fit_readout, inputs_of

pytestmark = pytest.mark.needs_torch


def test_a_linear_relation_is_found_also_behind_wild_targets() -> None:
    generator = torch.Generator().manual_seed(3)
    features = torch.rand(400, 5, generator=generator)
    truth, offset = torch.tensor([[1.0, -2.0, 0.5, 0.0, 3.0], [0.0, 1.0, 1.0, -1.0, 2.0]]), torch.tensor([0.3, -4.0])
    targets = features @ truth.T + offset
    ones = torch.ones_like(targets)
    weight, bias = fit_readout(features, targets, ones)
    torch.testing.assert_close(weight, truth, atol=0.01, rtol=0)
    torch.testing.assert_close(bias, offset, atol=0.01, rtol=0)
    targets[::40] += 1000.0
    wild, _ = fit_readout(features, targets, ones)
    plain = torch.linalg.lstsq(torch.cat([features, torch.ones(400, 1)], 1), targets).solution[:5].T
    assert (wild - truth).abs().max() < 0.2 * (plain - truth).abs().max()


def test_weights_say_which_errors_matter() -> None:
    features = torch.tensor([[0.0], [1.0]]).repeat(10, 1)
    targets = torch.cat([torch.zeros(10, 1), torch.ones(10, 1)])
    weights = torch.cat([torch.full((10, 1), 2.0), torch.full((10, 1), 1e-3)])
    _, bias = fit_readout(features, targets, weights)
    assert bias.abs().max() < 1e-2


def test_features_that_are_never_there_change_nothing() -> None:
    features = torch.cat([torch.rand(50, 1, generator=torch.Generator().manual_seed(1)), torch.zeros(50, 1)], 1)
    weight, _ = fit_readout(features, 2 * features[:, :1], torch.ones(50, 1))
    assert weight[0, 1] == 0


def test_what_a_layer_reads_is_seen_once_a_batch() -> None:
    network = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    batches = [torch.ones(2, 3), torch.zeros(5, 3)]
    seen = inputs_of(network[2], network, batches)
    torch.testing.assert_close(seen, torch.cat([network[:2](batch) for batch in batches]))
    assert not network[2]._forward_pre_hooks

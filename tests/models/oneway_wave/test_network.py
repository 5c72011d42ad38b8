"""The next-step network: what it predicts at first, roll-outs, channels in balance, and its dense twin's size."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from edgeconv.errors import UsageError  # noqa: E402
from edgeconv.models.oneway_wave.config import StepConfig, WaveTraining  # noqa: E402
from edgeconv.models.oneway_wave.network import (  # noqa: E402
    StepNet,
    advance,
    balance_channels,
    roll_out,
    to_grid,
)

pytestmark = pytest.mark.needs_torch


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_size_follows_from_the_formula(rank: int) -> None:
    network = StepNet(StepConfig(frames=3, width=8, depth=3, size=5, rank=rank))
    pairs = [(5, 8), (8, 8), (8, 1)]
    weights = sum(rank * b * (a + 10) if rank else a * b * 25 for a, b in pairs)
    assert sum(p.numel() for p in network.parameters()) == weights + 17


def test_a_network_without_weights_goes_on_as_before_inside_the_medium() -> None:
    network = StepNet(StepConfig())
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    fields, medium = torch.randn(2, 3, 8, 9), (torch.rand(2, 2, 8, 9) > 0.5).float()
    expected = (2 * fields[:, -1:] - fields[:, -2:-1]) * medium[:, :1]
    assert torch.equal(advance(network, fields, medium), expected)


def test_a_step_is_linear_in_powers_of_two() -> None:
    torch.manual_seed(0)
    network, fields, medium = StepNet(StepConfig()), torch.randn(2, 3, 8, 8), torch.ones(2, 2, 8, 8)
    small = advance(network, fields * 2.0**-9, medium)
    assert torch.equal(small, advance(network, fields, medium) * 2.0**-9)


def test_roll_out_feeds_predictions_back() -> None:
    torch.manual_seed(0)
    network = StepNet(StepConfig(frames=2))
    fields, medium = torch.randn(1, 2, 8, 8), torch.ones(1, 2, 8, 8)
    first = advance(network, fields, medium)
    second = advance(network, torch.cat([fields[:, 1:], first], 1), medium)
    third = advance(network, torch.cat([first, second], 1), medium)
    assert torch.equal(roll_out(network, fields, medium, 3), torch.cat([first, second, third], 1))


def test_balanced_channels_compute_the_same_bits_with_peaks_alike() -> None:
    torch.manual_seed(0)
    network, state = StepNet(StepConfig(rank=2)), to_grid(torch.randn(4, 5, 12, 12).clamp(-1, 1))
    with torch.no_grad():
        network.convs[1].across.weight[5] *= 1 / 64
        before = network(state)
        balance_channels(network, state)
        assert torch.equal(network(state), before)
        x = torch.relu(network.convs[0](state))
        peaks = network.convs[1].across(x).abs().amax((0, 2, 3))
    assert peaks.max() / peaks.min() < 2.01


def test_networks_and_trainings_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="depth >= 2"):
        StepConfig(depth=1)
    with pytest.raises(UsageError, match="noise >= 0"):
        WaveTraining(batch=0)
    for longer in ({"unroll": 90}, {"long_unroll": 90}):
        with pytest.raises(UsageError, match=r"records of 80 frames\n  expected: 93"):
            WaveTraining(**longer)

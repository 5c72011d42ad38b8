"""The next-step network: what it predicts at first, feeding back, masks, and its dense twin's size."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from edgeconv.errors import UsageError  # noqa: E402
from edgeconv.models.oneway_wave.network import StepConfig, StepNet, roll_out  # noqa: E402

pytestmark = pytest.mark.needs_torch


@pytest.mark.parametrize("rank", [None, 1, 3])
def test_size_follows_from_the_formula(rank: int | None) -> None:
    network = StepNet(StepConfig(frames=3, width=8, depth=3, size=5, rank=rank))
    pairs = [(4, 8), (8, 8), (8, 1)]
    weights = sum(a * b * 25 if rank is None else rank * b * (a + 10) for a, b in pairs)
    assert sum(p.numel() for p in network.parameters()) == weights + 17


def test_a_network_without_weights_keeps_the_last_field_inside_the_mask() -> None:
    network = StepNet(StepConfig())
    for parameter in network.parameters():
        torch.nn.init.zeros_(parameter)
    fields, mask = torch.randn(2, 3, 8, 9), (torch.rand(2, 1, 8, 9) > 0.5).float()
    assert torch.equal(network(fields, mask), fields[:, -1:] * mask)


def test_roll_out_feeds_predictions_back() -> None:
    torch.manual_seed(0)
    network = StepNet(StepConfig(frames=2))
    fields, mask = torch.randn(1, 2, 8, 8), torch.ones(1, 1, 8, 8)
    first = network(fields, mask)
    second = network(torch.cat([fields[:, 1:], first], 1), mask)
    third = network(torch.cat([first, second], 1), mask)
    assert torch.equal(roll_out(network, fields, mask, 3), torch.cat([first, second, third], 1))


def test_networks_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="depth >= 2"):
        StepConfig(depth=1)

"""MiniNet: shapes, size, and one set of weights for all iterations."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from edgeconv.errors import UsageError  # noqa: E402
from edgeconv.models.mininet.network import FARTHEST, NEAREST, MiniNet, MiniNetConfig, disparity_to_depth  # noqa: E402

pytestmark = pytest.mark.needs_torch


def _parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_disparity_has_the_size_of_the_picture_and_training_gets_three_scales() -> None:
    network = MiniNet()
    picture = torch.rand(2, 3, 64, 96)
    assert [tuple(level.shape) for level in network.train()(picture)] == [
        (2, 1, 32, 48),
        (2, 1, 16, 24),
        (2, 1, 8, 12),
    ]
    disparity = network.eval()(picture)
    assert disparity.shape == (2, 1, 64, 96)
    assert ((disparity > 0) & (disparity < 1)).all()


def test_iterations_add_no_weights_and_few_weights_suffice() -> None:
    once, often = (MiniNet(MiniNetConfig(iterations=n, levels=2)) for n in (1, 4))
    assert _parameters(once) == _parameters(often) <= 250_000
    picture = torch.rand(1, 3, 64, 64)
    often.load_state_dict(once.state_dict())
    assert not torch.equal(once.eval()(picture), often.eval()(picture))


def test_disparity_spans_near_and_far() -> None:
    depth = disparity_to_depth(torch.tensor([0.0, 1.0]))
    assert depth.tolist() == pytest.approx([FARTHEST, NEAREST])


def test_a_network_without_iterations_is_refused() -> None:
    with pytest.raises(UsageError, match="one iteration"):
        MiniNetConfig(iterations=0)


def test_a_picture_that_cannot_be_halved_so_often_is_refused() -> None:
    with pytest.raises(UsageError, match="multiples of 32"):
        MiniNet()(torch.rand(1, 3, 64, 80))

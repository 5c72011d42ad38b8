"""MiniNet: shapes, size, and one set of weights for all iterations."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from edgeconv.errors import UsageError  # noqa: E402
from edgeconv.models.mininet.config import MiniNetConfig  # noqa: E402
from edgeconv.models.mininet.network import FARTHEST, NEAREST, MiniNet, depth_of  # noqa: E402

pytestmark = pytest.mark.needs_torch


def _parameters(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_nearness_has_the_size_of_the_picture_and_training_gets_three_sizes() -> None:
    network = MiniNet()
    picture = torch.rand(2, 3, 64, 96)
    assert [tuple(level.shape) for level in network.train()(picture)] == [
        (2, 1, 64, 96),
        (2, 1, 16, 24),
        (2, 1, 8, 12),
    ]
    nearness = network.eval()(picture)
    assert nearness.shape == (2, 1, 64, 96)
    assert ((nearness > 0) & (nearness < 1)).all()


def test_iterations_add_no_weights_and_few_weights_suffice() -> None:
    once, often = (MiniNet(MiniNetConfig(iterations=n, levels=2)) for n in (1, 4))
    assert _parameters(once) == _parameters(often) <= 250_000
    picture = torch.rand(1, 3, 64, 64)
    often.load_state_dict(once.state_dict())
    assert not torch.equal(once.eval()(picture), often.eval()(picture))


def test_nearness_spans_far_to_near_in_equal_factors() -> None:
    depth = depth_of(torch.tensor([0.0, 0.25, 0.5, 1.0]))
    assert depth[[0, 3]].tolist() == pytest.approx([FARTHEST, NEAREST])
    assert float(depth[0] / depth[1]) == pytest.approx(float(depth[1] / depth[2]))


def test_a_network_without_iterations_is_refused() -> None:
    with pytest.raises(UsageError, match="one iteration"):
        MiniNetConfig(iterations=0)


def test_a_picture_that_cannot_be_halved_so_often_is_refused() -> None:
    with pytest.raises(UsageError, match="multiples of 32"):
        MiniNet()(torch.rand(1, 3, 64, 80))

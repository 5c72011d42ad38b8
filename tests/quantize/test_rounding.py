"""Weights that are rounded with compensated errors, and integers that stay while scales and biases are trained."""

from __future__ import annotations

import pytest

pytest.importorskip("brevitas")

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.quantize import LayerRule, QuantPolicy
from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.layers import FloatLayers, Layers
from edgeconv.quantize.rounding import held_integers, round_convolutions
from edgeconv.quantize.twin import QuantWeighted

pytestmark = pytest.mark.needs_torch


class Net(nn.Module):
    """Every kind of a layer, made in another order than they run in: dense, without a bias, depthwise, of groups."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.input = layers.input_quantizer(signed=True)
        self.last = layers.conv2d(8, 4, (1, 5), padding=(0, 2), groups=4, normalized=False)
        self.first, self.relu = layers.conv2d(2, 8, 3, padding=1), layers.relu()
        self.middle = layers.conv2d(8, 8, (5, 1), padding=(2, 0), groups=8, normalized=False, bias=False)
        self.round = layers.requantize()

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.round(self.middle(self.relu(self.first(self.input(x))))))
        return y


@pytest.fixture
def images() -> Tensor:
    """Smooth, and with a mean, as fields and pictures are."""
    torch.manual_seed(0)
    return F.avg_pool2d(torch.randn(8, 2, 40, 40), 9, 1, 4) * 6 + 1


def twins(images: Tensor, policy: QuantPolicy, seed: int = 1) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(seed)
    trained = Net(FloatLayers()).eval()
    return trained, make_twin(Net, trained, policy, [images])


def integers(twin: nn.Module) -> list[Tensor]:
    layers = [module for module in twin.modules() if isinstance(module, QuantWeighted)]
    return [(one.layer.weight / one.weight_quantizer.scale).detach() for one in layers]


@pytest.mark.parametrize("bits", [4, 8])
def test_errors_of_rounding_are_made_up_for(images: Tensor, bits: int) -> None:
    policy = QuantPolicy(bits, calibration="minmax", rules=(LayerRule("*", activation_bits=16),))
    nearest, compensated = 0.0, 0.0
    for seed in range(5):
        trained, twin = twins(images, policy, seed)
        with torch.no_grad():
            nearest += float((twin(images) - trained(images)).square().mean())
            round_convolutions(twin, images)
            compensated += float((twin(images) - trained(images)).square().mean())
        assert all((one - one.round()).abs().max() < 1e-3 for one in integers(twin))
        assert max(float(one.abs().max()) for one in integers(twin)) < 2 ** (bits - 1) - 0.99
        assert not any(module._forward_pre_hooks for module in twin.modules())
    assert compensated < 0.5 * nearest


@pytest.mark.parametrize("other", [{"scales": "power-of-two"}, {"per_channel": False}])
def test_other_scales_stay_and_weights_round_to_nearest(images: Tensor, other: dict[str, object]) -> None:
    _, twin = twins(images, QuantPolicy(**other))
    before = twin(images)
    round_convolutions(twin, images)
    assert torch.equal(twin(images), before)


def test_integers_stay_while_scales_and_biases_are_trained(images: Tensor) -> None:
    _, twin = twins(images, QuantPolicy())
    round_convolutions(twin, images)
    before = [one.round() for one in integers(twin)]
    with held_integers(twin):
        trained = [name for name, one in twin.named_parameters() if one.requires_grad]
        assert trained
        assert not any(name.endswith("weight") for name in trained)
        optimizer = torch.optim.SGD([one for one in twin.parameters() if one.requires_grad], 0.05)
        first = twin(images).detach()
        twin.train()
        (twin(images) - 1).square().mean().backward()
        optimizer.step()
        after = twin.eval()(images)
        assert not torch.equal(after, first)
    assert torch.equal(twin(images), after)
    assert all(torch.equal(one.round(), kept) for one, kept in zip(integers(twin), before, strict=True))
    assert all(one.layer.weight.requires_grad for one in twin.modules() if isinstance(one, QuantWeighted))

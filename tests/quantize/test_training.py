"""Quantizers, optimizer and loop of quantization-aware training."""

from __future__ import annotations

import pytest

pytest.importorskip("brevitas")

import torch
from torch import nn

from edgeconv.errors import DivergedError, UsageError
from edgeconv.quantize import Stage, TrainingProgress, fit
from edgeconv.quantize.grid import GridLayers, integers
from edgeconv.quantize.optimizer import SOAP

pytestmark = pytest.mark.needs_torch


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_activations_round_half_even_and_saturate(bits: int) -> None:
    relu = GridLayers(activation_bits=bits).relu().eval()
    step, largest = 2.0**-bits, 2**bits - 1
    x = torch.tensor([-1.0, 0.5 * step, 1.5 * step, 2.5 * step, (largest - 0.4) * step, 7.0])
    found = relu(x)
    assert found.scale.item() == step
    assert (found.value / step).tolist() == [0, 0, 2, 2, largest, largest]


def test_activations_pass_gradients_inside_their_range_only() -> None:
    relu = GridLayers(noise_in_training=False).relu().train()
    x = torch.tensor([-0.1, 0.3, 0.99, 1.2], requires_grad=True)
    relu(x).value.sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 0]


def test_noise_replaces_rounding_in_training_only() -> None:
    relu = GridLayers().relu()
    x = torch.full((20_000,), 0.3017)
    torch.manual_seed(0)
    error = (relu.train()(x).value - x) * 256
    assert error.abs().max() <= 0.5 + 1e-4
    assert error.mean().abs() < 0.01
    assert error.var().item() == pytest.approx(1 / 12, rel=0.03)
    assert (relu.eval()(x).value * 256 == 77).all()
    # What ReLU and the range hold fixed carries no rounding error and gets no noise.
    assert relu.train()(torch.tensor([-1.0, 0.0, 3.0])).value.tolist() == [0, 0, 255 / 256]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_weights_are_symmetric_integers_per_output_channel(bits: int) -> None:
    torch.manual_seed(1)
    layer = GridLayers(weight_bits=bits).conv1d(3, 5, 7)
    with torch.no_grad():
        layer.weight[2] *= 40
        layer.weight[4] = 0
    quantized = layer.quant_weight()
    found, largest = quantized.int(), 2 ** (bits - 1) - 1
    assert quantized.scale.shape == (5, 1, 1)
    assert found.abs().amax((1, 2)).tolist() == [largest] * 4 + [0]
    assert (found == torch.round(layer.weight / quantized.scale)).all()


def test_bias_is_an_integer_at_the_scale_of_the_accumulator() -> None:
    torch.manual_seed(2)
    layer = GridLayers().linear(6, 4).eval()
    x = integers(torch.randint(-9, 9, (5, 6)) / 64, torch.tensor(2.0**-6), bits=16, training=False)
    scale = layer.quant_weight().scale.flatten() / 64
    sums = layer(x) / scale
    torch.testing.assert_close(sums, sums.round(), rtol=0, atol=1e-3)


def test_bit_widths_out_of_reach_are_refused() -> None:
    with pytest.raises(UsageError, match="weight_bits = 9\n  expected: 2 to 8 bits"):
        GridLayers(weight_bits=9)


def badly_conditioned(optimizer: type[torch.optim.Optimizer], steps: int) -> float:
    """Loss after fitting a linear map whose inputs are mixed by a matrix of condition number 10^3."""
    torch.manual_seed(3)
    basis = torch.linalg.qr(torch.randn(20, 20))[0]
    mix = basis @ torch.diag(torch.logspace(0, -3, 20)) @ basis.T
    target = torch.randn(20, 3)
    weight = nn.Parameter(torch.zeros(3, 20))
    opt = optimizer([weight], lr=0.05)
    for step in range(steps):
        opt.param_groups[0]["lr"] = 0.05 * (1 - step / steps)
        x = torch.randn(64, 20)
        loss = ((x @ mix @ weight.T - x @ mix @ target) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
    return loss.item()


def test_soap_beats_adam_where_directions_differ_in_scale() -> None:
    soap = badly_conditioned(SOAP, 300)
    assert soap == badly_conditioned(SOAP, 300)
    assert soap < 0.1 * badly_conditioned(torch.optim.Adam, 300)


def test_the_learning_rate_warms_up_and_falls_to_zero() -> None:
    stage = Stage("s", 100, 1.0, warmup=0.1)
    rates = [stage.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == 1.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert 0 < rates[-1] < 0.001


def test_fit_counts_its_steps_within_the_whole_training() -> None:
    seen: list[TrainingProgress] = []
    network = nn.Linear(2, 1)
    x = torch.ones(4, 2)
    fit(network, Stage("warm", 60, 0.01), lambda n, _: n(x).square().mean(), progress=seen.append, done=10, total=90)
    assert [(one.step, one.steps) for one in seen] == [(60, 90), (70, 90)]
    assert not network.training


def test_a_diverging_training_stops_with_its_stage_and_step() -> None:
    network = nn.Linear(1, 1)
    with pytest.raises(DivergedError, match="training stage 'wild' diverged at step 1"):
        fit(network, Stage("wild", 5, 0.1), lambda n, _: n(torch.ones(1, 1)).sum() * float("inf"))

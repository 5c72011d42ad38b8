"""Compensated rounding stays on the grid of the quantizer and loses less than rounding to the nearest."""

from __future__ import annotations

import pytest

pytest.importorskip("brevitas")

import torch

from edgeconv.errors import UsageError
from edgeconv.quantize.compensated import input_moments, round_weights
from edgeconv.quantize.grid import GridLayers

pytestmark = pytest.mark.needs_torch


def correlated_inputs(n: int) -> torch.Tensor:
    torch.manual_seed(n)
    return torch.relu(torch.randn(4000, 5) @ torch.randn(5, n) + 0.1 * torch.randn(4000, n))


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_rounded_weights_are_those_the_layer_quantizes_to_itself(bits: int) -> None:
    x = correlated_inputs(24)
    layer = GridLayers(weight_bits=bits).linear(24, 7)
    weight, bias = torch.randn(7, 24), torch.randn(7)
    rounded, fitted = round_weights(weight, bias, input_moments(x), bits=bits)
    with torch.no_grad():
        layer.weight.copy_(rounded)
    torch.testing.assert_close(layer.quant_weight().value, rounded, rtol=1e-6, atol=0)
    # The scale is that of the real weights: the largest one kept its value.
    torch.testing.assert_close(rounded.abs().amax(1), weight.abs().amax(1), rtol=1e-6, atol=0)
    assert fitted.shape == bias.shape


@pytest.mark.parametrize("bits", [3, 4, 8])
def test_compensation_loses_less_than_the_nearest_integers(bits: int) -> None:
    x = correlated_inputs(24)
    weight, bias = torch.randn(7, 24), torch.randn(7)
    scale = weight.abs().amax(1, keepdim=True) / (2 ** (bits - 1) - 1)
    nearest = torch.round(weight / scale) * scale
    rounded, fitted = round_weights(weight, bias, input_moments(x), bits=bits)
    expected = x @ weight.T + bias
    error = (x @ rounded.T + fitted - expected).square().mean()
    assert error < 0.5 * (x @ nearest.T + bias - expected).square().mean()


def test_weights_on_the_grid_are_left_alone() -> None:
    x = correlated_inputs(10)
    weight = torch.randint(-127, 128, (4, 10)).float()
    weight[:, 3] = 127
    rounded, bias = round_weights(weight, torch.zeros(4), input_moments(x))
    torch.testing.assert_close(rounded, weight, rtol=1e-6, atol=0)
    torch.testing.assert_close(bias, torch.zeros(4))


def test_rows_can_count_differently() -> None:
    x = torch.tensor([[1.0], [2.0]])
    assert input_moments(x, torch.tensor([3.0, 1.0])).tolist() == [[3.5, 2.5], [2.5, 2.0]]


def test_moments_of_another_layer_are_refused() -> None:
    with pytest.raises(UsageError, match=r"input moments of shape \(3, 3\)\n  expected: \(6, 6\)"):
        round_weights(torch.ones(2, 5), torch.ones(2), torch.eye(3, dtype=torch.float64))

"""Compensated rounding stays on the grid of the quantizer and loses less than rounding to the nearest."""

from __future__ import annotations

import pytest

pytest.importorskip("brevitas")

import torch

from edgeconv.errors import UsageError
from edgeconv.quantize.compensated import input_moments, refit_weights, round_weights
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
    # With 8 bits the scale is that of the real weights: the largest one kept its value; few bits may clip it.
    shrunk = rounded.abs().amax(1) / weight.abs().amax(1)
    allowed = torch.tensor([1.0] if bits == 8 else [1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3])
    assert ((shrunk[:, None] - allowed).abs().amin(1) < 1e-6).all()
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


def test_tensors_that_are_added_up_have_scales_of_their_own() -> None:
    x = correlated_inputs(30)
    weight, bias = torch.randn(5, 30), torch.randn(5)
    weight[:, 20:] *= 0.01
    groups = ((20, 8), (10, 4))
    rounded, fitted = round_weights(weight, bias, input_moments(x), groups=groups)
    for part, bits in zip(rounded.split([20, 10], 1), (8, 4), strict=True):
        layer = GridLayers(weight_bits=bits).linear(part.shape[1], 5, bias=False)
        with torch.no_grad():
            layer.weight.copy_(part)
        torch.testing.assert_close(layer.quant_weight().value, part, rtol=1e-6, atol=0)
    error = (x @ rounded.T + fitted - x @ weight.T - bias).square().mean()
    assert error < 1e-3 * (x @ weight.T).square().mean()


def test_a_refit_gives_with_moved_inputs_what_was_meant() -> None:
    ideal = correlated_inputs(12)
    mixing = torch.eye(12) + 0.1 * torch.randn(12, 12)
    weight, bias = torch.randn(3, 12), torch.randn(3)
    fitted, offset = refit_weights(weight, bias, ideal, ideal @ mixing + 0.2)
    torch.testing.assert_close(
        (ideal @ mixing + 0.2) @ fitted.T + offset, ideal @ weight.T + bias, rtol=1e-2, atol=1e-2
    )


def test_rows_can_count_differently() -> None:
    x = torch.tensor([[1.0], [2.0]])
    assert input_moments(x, torch.tensor([3.0, 1.0])).tolist() == [[3.5, 2.5], [2.5, 2.0]]


def test_moments_of_another_layer_are_refused() -> None:
    with pytest.raises(
        UsageError, match=r"input moments of shape \(3, 3\), groups \(\(5, 8\),\)\n  expected: \(6, 6\)"
    ):
        round_weights(torch.ones(2, 5), torch.ones(2), torch.eye(3, dtype=torch.float64))

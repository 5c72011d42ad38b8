"""Quantizers whose scales are learned: round half to even between fixed integers, times a scale that training moves.

The gradient of a scale is that of LSQ (Esser et al., arXiv 1902.08153, equation 3); what is learned is its binary
logarithm, as in TQT (Jain et al., arXiv 1903.08066), so that a step of the optimizer is a factor and a scale stays
positive. A power-of-two scale is the nearest one to what is learned, its gradient passed straight through.

They stand behind brevitas' layers, which carry scales along and export them. Each is one fused function instead of
brevitas' chain of elementwise ones: training on a CPU is bound by memory there.
"""

from __future__ import annotations

from typing import Any

import torch
from brevitas.quant import Int8ActPerTensorFloat, Int8WeightPerChannelFloat, Int32Bias, Uint8ActPerTensorFloat
from torch import Tensor, nn

__all__ = ["AccumulatorBias", "LearnedScale", "LearnedWeights", "SignedActivation", "UnsignedActivation", "grid_range"]


def grid_range(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    """Smallest and largest integer: narrow leaves out the smallest, so that the range is symmetric."""
    if not signed:
        return 0, 2**bits - 1
    return -(2 ** (bits - 1)) + narrow, 2 ** (bits - 1) - 1


class _Round(torch.autograd.Function):
    """x on the grid of integers low … high times scale; gradients straight through to x, LSQ's to the scale."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
        ctx.save_for_backward(x, scale)
        ctx.range = low, high
        return x.div(scale).round_().clamp_(low, high).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None, None]:
        x, scale = ctx.saved_tensors
        low, high = ctx.range
        steps = x.div(scale)
        inside = (steps >= low - 0.5) & (steps <= high + 0.5)
        to_scale = None
        if ctx.needs_input_grad[1]:
            error = steps.round().clamp_(low, high).sub_(steps.mul_(inside)).mul_(gradient)
            axes = [i for i in range(x.dim()) if i >= scale.dim() or scale.shape[i] == 1]
            to_scale = error.sum(axes, keepdim=True) if scale.dim() else error.sum()
        return gradient * inside, to_scale, None, None


class _NearestPowerOfTwo(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, exponent: Tensor) -> Tensor:  # noqa: ARG004
        return exponent.round()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # noqa: ARG004
        return gradient


class _View(nn.Module):
    """What brevitas' proxies ask of a quantizer beside its value."""

    def __init__(self) -> None:
        super().__init__()
        self.input_view_impl = nn.Identity()


class LearnedScale(nn.Module):
    """The tensor quantizer behind the classes below: value, scale, zero point and bit width of a tensor.

    Args:
        bit_width: of the integers.
        signed: or from 0 on.
        narrow_range: without the smallest negative integer.
        power_of_two: kind of scale.
        scale_shape: of the scales, broadcast over the tensor.
        learned: does the optimizer move the scales?
    """

    def __init__(
        self,
        bit_width: int,
        signed: bool,
        narrow_range: bool,
        power_of_two: bool,
        scale_shape: tuple[int, ...],
        learned: bool,
    ) -> None:
        super().__init__()
        self.int_quant = _View()
        self.low, self.high = grid_range(bit_width, signed=signed, narrow=narrow_range)
        self.power_of_two = power_of_two
        self.log2_scale = nn.Parameter(torch.zeros(scale_shape), requires_grad=learned)
        self.integers: Tensor | None = None
        self.register_buffer("zero_point", torch.tensor(0.0), persistent=False)
        self.register_buffer("bits", torch.tensor(float(bit_width)), persistent=False)

    @property
    def scale(self) -> Tensor:
        """The scales that are in force, float32."""
        exponent = _NearestPowerOfTwo.apply(self.log2_scale) if self.power_of_two else self.log2_scale
        return torch.exp2(exponent)

    @torch.no_grad()
    def set_top(self, top: Tensor) -> None:
        """Choose scales so that magnitudes up to `top` fit; a power of two is the next one above."""
        exponent = torch.log2(top.clamp_min(1e-10).double() / self.high)
        self.log2_scale.copy_(exponent.ceil() if self.power_of_two else exponent)

    def hold(self, x: Tensor) -> None:
        """Answer with these integers times the scale, whatever comes, until `integers` is None again."""
        self.integers = (x / self.scale).round().clamp(self.low, self.high)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        scale = self.scale
        if self.integers is not None:
            return self.integers * scale, scale, self.zero_point, self.bits
        return _Round.apply(x, scale, self.low, self.high), scale, self.zero_point, self.bits


class _BiasQuant(nn.Module):
    """Biases on the grid of the accumulator, 32 bits; the gradient passes straight through to the bias."""

    def __init__(self) -> None:
        super().__init__()
        self.int_quant = _View()
        self.register_buffer("zero_point", torch.tensor(0.0), persistent=False)
        self.register_buffer("bits", torch.tensor(32.0), persistent=False)

    def forward(self, b: Tensor, scale: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        low, high = grid_range(32, signed=True, narrow=False)
        return _Round.apply(b, scale.detach(), low, high), scale, self.zero_point, self.bits


class LearnedWeights(Int8WeightPerChannelFloat):
    """Signed symmetric weights, narrow range."""

    tensor_quant = LearnedScale
    signed = True
    narrow_range = True


class SignedActivation(Int8ActPerTensorFloat):
    """Signed activations, one scale for the tensor."""

    tensor_quant = LearnedScale
    signed = True
    narrow_range = False
    scale_shape = ()


class UnsignedActivation(Uint8ActPerTensorFloat):
    """Activations from 0 on, one scale for the tensor."""

    tensor_quant = LearnedScale
    signed = False
    narrow_range = False
    scale_shape = ()


class AccumulatorBias(Int32Bias):
    """Biases as 32-bit integers at the scale of the accumulator: the input's times the weight's."""

    tensor_quant = _BiasQuant

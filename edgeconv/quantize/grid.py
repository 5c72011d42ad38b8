"""Brevitas quantizers on fixed grids, for recipes that bring their own scales.

Weights are signed, symmetric and per output channel, biases are integers at the scale of the accumulator, and inner
activations are unsigned on a fixed power-of-two grid. A fixed grid costs no accuracy after a ReLU, because per-channel
weight scales absorb any factor, and it keeps every activation scale exact in binary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import brevitas.nn as qnn
import torch
from brevitas.core.scaling import ScalingImplType
from brevitas.quant import Int8WeightPerChannelFloat, Int32Bias, Uint8ActPerTensorFloatMaxInit
from brevitas.quant_tensor import IntQuantTensor
from torch import Tensor, nn

from edgeconv.errors import UsageError

__all__ = ["ChannelWeights", "FixedGridActivation", "GridLayers", "integers", "quantize_input"]


class _RoundToGrid(torch.autograd.Function):
    """Round half to even onto the unsigned grid, with the gradient passed straight through inside the range.

    One fused function instead of brevitas' chain of elementwise ones: training on a CPU is bound by memory there.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, largest: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.top = (largest + 0.5) * scale
        return x.div(scale).round_().clamp_(0, largest).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return gradient * ((x > 0) & (x < ctx.top)), None, None


def _uniform_bytes(shape: torch.Size) -> Tensor:
    """Independent uniform uint8 values: 256 levels are noise enough, and eight of them cost one random number."""
    count = shape.numel()
    words = torch.empty((count + 7) // 8, dtype=torch.int64).random_(-(2**63), None)
    return words.view(torch.uint8)[:count].view(shape)


class _NoisyGrid(torch.autograd.Function):
    """Add the noise that rounding would add, uniform over one step, inside the range of the grid.

    Its mean loss is a smooth function of the weights where that of rounding is rugged, so large steps still learn
    (Baskin et al., UNIQ, arXiv 1804.10969); values that ReLU or the range holds fixed stay exact, as in rounding.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, largest: int) -> Tensor:
        inside = (x > 0) & (x < (largest + 0.5) * scale)
        ctx.save_for_backward(inside)
        noise = _uniform_bytes(x.shape).to(x.dtype).sub_(127.5).mul_(scale / 256).mul_(inside)
        return noise.add_(x.clamp(0, largest * scale))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (inside,) = ctx.saved_tensors
        return gradient * inside, None, None


class _RoundChannels(torch.autograd.Function):
    """Round weights to integers times the scale of their output channel, the gradient passed straight through."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, scale: Tensor) -> Tensor:  # noqa: ARG004
        return torch.round(w / scale).mul_(scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return gradient, None


class _IntQuantView(nn.Module):
    """What brevitas' proxies ask of a quantizer beside its value."""

    def __init__(self) -> None:
        super().__init__()
        self.input_view_impl = nn.Identity()


class _FixedGridQuant(nn.Module):
    """The tensor quantizer behind `FixedGridActivation`: value, scale, zero point and bit width of a tensor."""

    def __init__(self, bit_width: int, grid_exponent: int, noise_in_training: bool) -> None:
        super().__init__()
        self.noise_in_training = noise_in_training
        self.int_quant = _IntQuantView()
        self._scale, self._largest = 2.0**grid_exponent, 2**bit_width - 1
        self.top = self._scale * self._largest
        self.register_buffer("scale", torch.tensor(self._scale), persistent=False)
        self.register_buffer("zero_point", torch.tensor(0.0), persistent=False)
        self.register_buffer("bits", torch.tensor(float(bit_width)), persistent=False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        on_grid = _NoisyGrid if self.training and self.noise_in_training else _RoundToGrid
        return on_grid.apply(x, self._scale, self._largest), self.scale, self.zero_point, self.bits


class _ChannelWeightQuant(nn.Module):
    """The tensor quantizer behind `ChannelWeights`; the largest weight of a channel sets its scale."""

    def __init__(self, bit_width: int) -> None:
        super().__init__()
        self.int_quant = _IntQuantView()
        self._largest = 2 ** (bit_width - 1) - 1
        self.register_buffer("zero_point", torch.tensor(0.0), persistent=False)
        self.register_buffer("bits", torch.tensor(float(bit_width)), persistent=False)

    def forward(self, w: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        peak = w.detach().abs().amax(dim=tuple(range(1, w.dim())), keepdim=True)
        # A channel of zeros gets a scale that is positive and not subnormal.
        scale = peak.clamp_min(1e-10) / self._largest
        return _RoundChannels.apply(w, scale), scale, self.zero_point, self.bits


class ChannelWeights(Int8WeightPerChannelFloat):
    """Signed symmetric weights, narrow range, one float32 scale per output channel."""

    tensor_quant = _ChannelWeightQuant


class FixedGridActivation(Uint8ActPerTensorFloatMaxInit):
    """Unsigned activations of `bit_width` bits at scale 2^grid_exponent."""

    scaling_impl_type = ScalingImplType.CONST
    tensor_quant = _FixedGridQuant
    grid_exponent = -8
    noise_in_training = False


@dataclass(frozen=True)
class GridLayers:
    """Layers whose activations lie on the grid of 2^-activation_bits in [0, 1).

    Attributes:
        weight_bits: 2 to 8, or None to leave weights and biases real: the first stage of training meets only the
            rounding of activations, whose noise the network has to learn to average out.
        activation_bits: bits of inner activations, which lie in [0, 1).
        noise_in_training: train with noise of the size of the rounding in place of it; evaluation always rounds.
    """

    weight_bits: int | None = 8
    activation_bits: int = 8
    noise_in_training: bool = True

    def __post_init__(self) -> None:
        for name, bits in (("weight_bits", self.weight_bits), ("activation_bits", self.activation_bits)):
            if bits is not None and not 2 <= bits <= 8:
                raise UsageError(f"{name} = {bits}", expected="2 to 8 bits")

    def _weights(self, bias: bool = True) -> dict[str, Any]:
        if self.weight_bits is None:
            return {"weight_quant": None, "bias_quant": None, "bias": bias}
        return {
            "weight_quant": ChannelWeights,
            "weight_bit_width": self.weight_bits,
            "bias_quant": Int32Bias if bias else None,
            "bias": bias,
        }

    def conv1d(self, channels: int, filters: int, size: int, *, stride: int = 1, padding: int = 0) -> nn.Module:
        """A 1-D convolution; its input must carry a scale (see `integers`)."""
        return qnn.QuantConv1d(
            channels, filters, size, stride=stride, padding=padding, return_quant_tensor=False, **self._weights()
        )

    def linear(self, features: int, outputs: int, *, bias: bool = True) -> nn.Module:
        """A fully connected layer; its input must carry a scale."""
        return qnn.QuantLinear(features, outputs, return_quant_tensor=False, **self._weights(bias))

    def relu(self) -> nn.Module:
        """ReLU onto the activation grid; its output carries the scale."""
        return qnn.QuantReLU(
            act_quant=FixedGridActivation,
            bit_width=self.activation_bits,
            grid_exponent=-self.activation_bits,
            noise_in_training=self.noise_in_training,
            return_quant_tensor=True,
        )


def quantize_input(quantizer: type, *, bits: int) -> nn.Module:
    """A quantizer for float input in [0, 1) on a grid of `bits` bits; its output carries the scale."""
    return qnn.QuantIdentity(act_quant=quantizer, bit_width=bits, grid_exponent=-bits, return_quant_tensor=True)


def integers(x: Tensor, scale: Tensor, *, bits: int, training: bool) -> IntQuantTensor:
    """Declare that x holds integers times `scale`, so that layers can put their bias on the accumulator's scale.

    Args:
        x: values, all of them integer multiples of scale.
        scale: one float32 number.
        bits: width of the signed integers.
    """
    zero, width = torch.zeros((), device=x.device), torch.tensor(float(bits), device=x.device)
    return IntQuantTensor(x, scale, zero, width, True, training)

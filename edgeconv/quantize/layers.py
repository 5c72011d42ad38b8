"""Building blocks that a network is written with once, and built with twice: in float, and as its quantized twin.

A family writes `layers.conv2d(…)` and `layers.relu()` where it would write torch's modules. `FloatLayers` gives those,
with batch normalization; `edgeconv.quantize.twin.QuantLayers` gives the same network in integers, every module under
the same name. docs/training.md says which block rounds where.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.quantize.export import IntegerInput
from edgeconv.quantize.scan_layer import FloatScan

__all__ = ["FloatLayers", "Layers", "NormalizedConv", "Size"]

Size = int | tuple[int, int]


class Layers(Protocol):
    """What a network may be built of.

    Modules take what modules give, whole: between two of them a quantized tensor has no slices and no arithmetic of its
    own, only reshape, flatten, transpose and permute. `linear` and convolutions read quantized values only, and what
    they give is the exact accumulator: it goes to a block that rounds, or out of the network.
    """

    def input_quantizer(self, integers: IntegerInput | None = None, *, signed: bool = False) -> nn.Module:
        """What the input passes first.

        Args:
            integers: the input holds these integers' real values, and nothing rounds; None rounds a float input.
            signed: may a float input be negative?
        """

    def conv1d(
        self, channels: int, filters: int, size: int, *, stride: int = 1, padding: int = 0, dilation: int = 1,
        groups: int = 1, normalized: bool = True, bias: bool = True,
    ) -> nn.Module:  # fmt: skip
        """A 1-D convolution; arguments as for `conv2d`."""

    def conv2d(
        self, channels: int, filters: int, size: Size, *, stride: Size = 1, padding: Size = 0, dilation: Size = 1,
        groups: int = 1, normalized: bool = True, bias: bool = True,
    ) -> nn.Module:  # fmt: skip
        """A 2-D convolution.

        Args:
            normalized: followed by a batch normalization in float; a quantized network has it folded into its weights.
            bias: of a convolution that is not normalized.
        """

    def conv_transpose1d(
        self, channels: int, filters: int, size: int, *, stride: int = 1, padding: int = 0, normalized: bool = True
    ) -> nn.Module:
        """A transposed 1-D convolution with bias."""

    def conv_transpose2d(
        self, channels: int, filters: int, size: Size, *, stride: Size = 1, padding: Size = 0, normalized: bool = True
    ) -> nn.Module:
        """A transposed 2-D convolution with bias."""

    def linear(self, features: int, outputs: int) -> nn.Module:
        """A fully connected layer with bias."""

    def relu(self) -> nn.Module:
        """ReLU."""

    def sigmoid(self) -> nn.Module:
        """1 / (1 + exp(-x))."""

    def silu(self) -> nn.Module:
        """x·sigmoid(x); a quantized network rounds x first, as `before`, and takes the rest from a table."""

    def requantize(self, *, signed: bool = True) -> nn.Module:
        """Nothing in float; a quantized network rounds here."""

    def add(self) -> nn.Module:
        """A module of two tensors: their sum."""

    def add_relu(self) -> nn.Module:
        """A module of two tensors: ReLU of their sum."""

    def multiply(self) -> nn.Module:
        """A module of two quantized tensors: their product, place by place."""

    def concat(self, *, signed: bool = True) -> nn.Module:
        """A module of any number of tensors: one after the other along the channels, at one scale."""

    def max_pool1d(self, size: int, stride: int | None = None, *, padding: int = 0) -> nn.Module:
        """The largest value of each window."""

    def max_pool2d(self, size: Size, stride: Size | None = None, *, padding: Size = 0) -> nn.Module:
        """The largest value of each window."""

    def mean(self, *dims: int, signed: bool = False) -> nn.Module:
        """The mean over some axes, which stay as 1."""

    def avg_pool2d(self, size: Size, stride: Size | None = None, *, signed: bool = False) -> nn.Module:
        """The mean of each window."""

    def upsample1d(self) -> nn.Module:
        """To twice the length, each value repeated."""

    def upsample2d(self) -> nn.Module:
        """To twice the height and width, each value repeated."""

    def interpolate2d(self) -> nn.Module:
        """To twice the height and width, linear between the centres of pixels.

        Like a convolution it reads quantized values only, and what it gives is exact.
        """

    def pad1d(self, before: int, after: int) -> nn.Module:
        """Zeros before and after a sequence."""

    def flip(self, dim: int) -> nn.Module:
        """Along one axis, the last value first."""

    def selective_scan(self, channels: int, states: int) -> nn.Module:
        """A module of x, dt (samples, channels, length), b and c (samples, states, length): see `scan_layer`.

        Like a convolution it reads quantized values, signed ones of at most 8 bits, and gives an exact accumulator.
        """


class _Function(nn.Module):
    """A module of a function, its arguments, and options."""

    def __init__(self, function: object, **options: object) -> None:
        super().__init__()
        self.function, self.options = function, options

    def forward(self, *tensors: Tensor) -> Tensor:
        return self.function(*tensors, **self.options)  # type: ignore[no-any-return,operator]


def add_relu(one: Tensor, other: Tensor) -> Tensor:
    """ReLU of a sum."""
    return torch.relu(one + other)


def concat_channels(*tensors: Tensor) -> Tensor:
    """Tensors one after the other along axis 1."""
    return torch.cat(tensors, 1)


class NormalizedConv(nn.Module):
    """A convolution and its batch normalization: `conv` without bias, `norm`."""

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm = conv, norm

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))


class FloatLayers:
    """torch's own modules."""

    def input_quantizer(self, integers: IntegerInput | None = None, *, signed: bool = False) -> nn.Module:
        """Nothing."""
        return nn.Identity()

    def conv1d(
        self, channels: int, filters: int, size: int, *, stride: int = 1, padding: int = 0, dilation: int = 1,
        groups: int = 1, normalized: bool = True, bias: bool = True,
    ) -> nn.Module:  # fmt: skip
        """`nn.Conv1d`, with `nn.BatchNorm1d` where normalized."""
        conv = nn.Conv1d(channels, filters, size, stride, padding, dilation, groups, bias=bias and not normalized)
        return NormalizedConv(conv, nn.BatchNorm1d(filters)) if normalized else conv

    def conv2d(
        self, channels: int, filters: int, size: Size, *, stride: Size = 1, padding: Size = 0, dilation: Size = 1,
        groups: int = 1, normalized: bool = True, bias: bool = True,
    ) -> nn.Module:  # fmt: skip
        """`nn.Conv2d`, with `nn.BatchNorm2d` where normalized."""
        conv = nn.Conv2d(channels, filters, size, stride, padding, dilation, groups, bias=bias and not normalized)
        return NormalizedConv(conv, nn.BatchNorm2d(filters)) if normalized else conv

    def conv_transpose1d(
        self, channels: int, filters: int, size: int, *, stride: int = 1, padding: int = 0, normalized: bool = True
    ) -> nn.Module:
        """`nn.ConvTranspose1d`, with `nn.BatchNorm1d` where normalized."""
        conv = nn.ConvTranspose1d(channels, filters, size, stride, padding, bias=not normalized)
        return NormalizedConv(conv, nn.BatchNorm1d(filters)) if normalized else conv

    def conv_transpose2d(
        self, channels: int, filters: int, size: Size, *, stride: Size = 1, padding: Size = 0, normalized: bool = True
    ) -> nn.Module:
        """`nn.ConvTranspose2d`, with `nn.BatchNorm2d` where normalized."""
        conv = nn.ConvTranspose2d(channels, filters, size, stride, padding, bias=not normalized)
        return NormalizedConv(conv, nn.BatchNorm2d(filters)) if normalized else conv

    def linear(self, features: int, outputs: int) -> nn.Module:
        """`nn.Linear`."""
        return nn.Linear(features, outputs)

    def relu(self) -> nn.Module:
        """`nn.ReLU`."""
        return nn.ReLU()

    def sigmoid(self) -> nn.Module:
        """`nn.Sigmoid`."""
        return nn.Sigmoid()

    def silu(self) -> nn.Module:
        """`nn.SiLU`."""
        return nn.SiLU()

    def requantize(self, *, signed: bool = True) -> nn.Module:
        """Nothing."""
        return nn.Identity()

    def add(self) -> nn.Module:
        """A sum."""
        return _Function(torch.add)

    def add_relu(self) -> nn.Module:
        """A sum and ReLU."""
        return _Function(add_relu)

    def multiply(self) -> nn.Module:
        """A product."""
        return _Function(torch.mul)

    def concat(self, *, signed: bool = True) -> nn.Module:
        """`torch.cat` along axis 1."""
        return _Function(concat_channels)

    def max_pool1d(self, size: int, stride: int | None = None, *, padding: int = 0) -> nn.Module:
        """`nn.MaxPool1d`."""
        return nn.MaxPool1d(size, stride, padding)

    def max_pool2d(self, size: Size, stride: Size | None = None, *, padding: Size = 0) -> nn.Module:
        """`nn.MaxPool2d`."""
        return nn.MaxPool2d(size, stride, padding)

    def mean(self, *dims: int, signed: bool = False) -> nn.Module:
        """`torch.mean`."""
        return _Function(torch.mean, dim=dims, keepdim=True)

    def avg_pool2d(self, size: Size, stride: Size | None = None, *, signed: bool = False) -> nn.Module:
        """`nn.AvgPool2d`."""
        return _Function(F.avg_pool2d, kernel_size=size, stride=stride)

    def upsample1d(self) -> nn.Module:
        """`nn.Upsample`, nearest."""
        return nn.Upsample(scale_factor=2, mode="nearest")

    def upsample2d(self) -> nn.Module:
        """`nn.Upsample`, nearest."""
        return nn.Upsample(scale_factor=2, mode="nearest")

    def interpolate2d(self) -> nn.Module:
        """`nn.Upsample`, bilinear."""
        return nn.Upsample(scale_factor=2, mode="bilinear")

    def pad1d(self, before: int, after: int) -> nn.Module:
        """`F.pad`."""
        return _Function(F.pad, pad=(before, after))

    def flip(self, dim: int) -> nn.Module:
        """`torch.flip`."""
        return _Function(torch.flip, dims=(dim,))

    def selective_scan(self, channels: int, states: int) -> nn.Module:
        """`scan_layer.FloatScan`."""
        return FloatScan(channels, states)

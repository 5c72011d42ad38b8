"""Convolutions whose kernels are sums of products of one-way filters (canonical polyadic form, arXiv 2304.04964).

    W[o, c, i]       = Σ_r a[r, o, c] · b[r, o, i]                               1-way: x
    W[o, c, i, j]    = Σ_r a[r, o, c] · b[r, o, i] · g[r, o, j]                  2-way: y and x
    W[o, c, k, i, j] = Σ_r a[r, o, c] · h[r, o, k] · b[r, o, i] · g[r, o, j]     3-way: t, y and x

The factors themselves are learned: a 1×1 convolution across channels to R·co, one depthwise convolution along each axis
after the other, and the sum over r. Parameters are R·co·(ci + 2k) instead of co·ci·k² (3-way: R·co·(ci + 3k) instead of
co·ci·k³), and so are the multiplications at each place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgeconv.errors import UsageError
from edgeconv.quantize.layers import FloatLayers, Layers

__all__ = ["OneWayConv1d", "OneWayConv2d", "OneWayConv3d"]


def _check(rank: int, size: int) -> None:
    if rank < 1 or size < 1 or size % 2 == 0:
        raise UsageError(f"one-way filters of rank {rank} and size {size}", expected="rank >= 1 and an odd size")


def _factor_scale(channels: int, rank: int, size: int) -> tuple[float, float]:
    """Standard deviations of channel and axis factors that keep a signal's variance through ReLU (He et al., 2015).

    Each axis's filter has a mean square norm of 1, so that the rank·channels of the first factor alone count.
    """
    return (2 / (channels * rank)) ** 0.5, size**-0.5


def _initialize(across: nn.Module, axes: tuple[nn.Module, ...], channels: int, rank: int, size: int) -> None:
    """Draw the factors of a float layer, the channels' first; a twin takes those of the layer that it is made of."""
    if not isinstance(across, nn.Conv1d | nn.Conv2d):
        return
    channel_std, axis_std = _factor_scale(channels, rank, size)
    nn.init.normal_(across.weight, std=channel_std)
    for axis in axes:
        nn.init.normal_(axis.weight, std=axis_std)
    if axes[-1].bias is not None:
        nn.init.zeros_(axes[-1].bias)


class OneWayConv1d(nn.Module):
    """A convolution of (N, channels, length) to (N, filters, length), zero-padded, stride 1.

    The filters are grouped by output channel, so that the sum over r is one accumulator; between the two factors a
    quantized twin rounds: `across_round`.

    Args:
        rank: terms of the sum.
        size: taps, odd.
        layers: float or quantized building blocks.
    """

    def __init__(
        self, channels: int, filters: int, size: int, rank: int, *, bias: bool = True, layers: Layers | None = None
    ) -> None:
        super().__init__()
        _check(rank, size)
        layers = layers or FloatLayers()
        inner = rank * filters
        self.filters, self.rank = filters, rank
        self.across, self.across_round = (
            layers.conv1d(channels, inner, 1, normalized=False, bias=False),
            layers.requantize(),
        )
        self.along_x = layers.conv1d(
            inner, filters, size, padding=size // 2, groups=filters, normalized=False, bias=bias
        )
        _initialize(self.across, (self.along_x,), channels, rank, size)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.along_x(self.across_round(self.across(x)))
        return y

    def dense_weight(self) -> Tensor:
        """The kernel W (filters, channels, size) whose dense, zero-padded convolution is the same."""
        shape = (self.filters, self.rank, -1)
        a, b = (m.weight.reshape(shape) for m in (self.across, self.along_x))
        return torch.einsum("orc,ori->oci", a, b)


class OneWayConv2d(nn.Module):
    """A convolution of (N, channels, H, W) to (N, filters, H, W), zero-padded, stride 1.

    The last factor's filters are grouped by output channel, so that the sum over r is one accumulator, and nothing
    rounds in it. Between the factors a quantized twin rounds: `across_round`, `along_y_round`.

    Args:
        rank: terms of the sum.
        size: taps along each axis, odd.
        layers: float or quantized building blocks.
    """

    def __init__(
        self, channels: int, filters: int, size: int, rank: int, *, bias: bool = True, layers: Layers | None = None
    ) -> None:
        super().__init__()
        _check(rank, size)
        layers = layers or FloatLayers()
        inner, half = rank * filters, size // 2
        plain = {"normalized": False, "bias": False}
        self.filters, self.rank, self.size = filters, rank, size
        self.across, self.across_round = layers.conv2d(channels, inner, 1, **plain), layers.requantize()
        self.along_y = layers.conv2d(inner, inner, (size, 1), padding=(half, 0), groups=inner, **plain)
        self.along_y_round = layers.requantize()
        self.along_x = layers.conv2d(
            inner, filters, (1, size), padding=(0, half), groups=filters, normalized=False, bias=bias
        )
        _initialize(self.across, (self.along_y, self.along_x), channels, rank, size)

    def forward(self, x: Tensor) -> Tensor:
        y = self.along_y(self.across_round(self.across(x)))
        return self.along_x(self.along_y_round(y))

    def dense_weight(self) -> Tensor:
        """The kernel W (filters, channels, size, size) whose dense, zero-padded convolution is the same."""
        # Channels between the factors are in the order o, r.
        shape = (self.filters, self.rank, -1)
        a, b, g = (m.weight.reshape(shape) for m in (self.across, self.along_y, self.along_x))
        return torch.einsum("orc,ori,orj->ocij", a, b, g)


class OneWayConv3d(nn.Module):
    """A convolution of float tensors (N, channels, T, H, W) over the T times to (N, filters, T - size + 1, H, W).

    Space is zero-padded, time is not. It is computed by 2-D and 1-D convolutions only: time stands in for the batch
    while the filter runs in space, and space is flattened to one axis while it runs in time.

    Args:
        rank: terms of the sum.
        size: taps along each axis, odd.
    """

    def __init__(self, channels: int, filters: int, size: int, rank: int, *, bias: bool = True) -> None:
        super().__init__()
        _check(rank, size)
        inner = rank * filters
        self.space = OneWayConv2d(channels, inner, size, 1, bias=False)
        self.along_t = nn.Conv2d(inner, inner, (size, 1), groups=inner, bias=False)
        self.filters, self.rank, self.size = filters, rank, size
        self.bias = nn.Parameter(torch.zeros(filters)) if bias else None
        nn.init.normal_(self.space.across.weight, std=_factor_scale(channels, rank, size)[0])
        nn.init.normal_(self.along_t.weight, std=size**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        n, channels, times, height, width = x.shape
        frames = x.transpose(1, 2).reshape(n * times, channels, height, width)
        inner = self.space(frames).reshape(n, times, self.rank * self.filters, height * width)
        inner = self.along_t(inner.transpose(1, 2))
        y = inner.reshape(n, self.rank, self.filters, times - self.size + 1, height, width).sum(1)
        return y if self.bias is None else y + self.bias[:, None, None, None]

    def dense_weight(self) -> Tensor:
        """The kernel W (filters, channels, size, size, size) of the dense convolution, zero-padded in space only."""
        plane = self.space.dense_weight().reshape(self.rank, self.filters, -1, self.size, self.size)
        h = self.along_t.weight.reshape(self.rank, self.filters, self.size)
        return torch.einsum("rocij,rok->ockij", plane, h)

"""The selective scan as a layer in float, with the parameters of a Mamba block (Gu and Dao, arXiv 2312.00752).

a = exp(a_log) for each channel and state, delta = softplus(dt + dt_bias), and skip. The bias stands inside the layer:
the table of step sizes of the integer scan has a row for each channel, so its twin (`edgeconv.quantize.scan_twin`)
quantizes dt without it, on a small symmetric range.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.quantize.scan import scan
from edgeconv.quantize.scan_export import exported_float_scan

__all__ = ["FloatScan", "ScanParameters"]

# Step sizes after the initialization of Mamba: uniform in their logarithm.
_LEAST_STEP, _MOST_STEP = 1e-3, 1e-1


class ScanParameters(nn.Module):
    """Attributes: a_log (channels, states), dt_bias and skip (channels,)."""

    def __init__(self, channels: int, states: int) -> None:
        super().__init__()
        self.a_log = nn.Parameter(torch.log(torch.arange(1, states + 1).float()).repeat(channels, 1))
        log_step = torch.empty(channels).uniform_(math.log(_LEAST_STEP), math.log(_MOST_STEP))
        step = torch.exp(log_step)
        self.dt_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # softplus of it is `step`
        self.skip = nn.Parameter(torch.ones(channels))

    def step_size(self, dt: Tensor) -> Tensor:
        """delta of dt (samples, channels, length)."""
        return F.softplus(dt + self.dt_bias[:, None])


class FloatScan(ScanParameters):
    """The scan of x and dt (samples, channels, length), b and c (samples, states, length) in float."""

    def forward(self, x: Tensor, dt: Tensor, b: Tensor, c: Tensor) -> Tensor:
        run = exported_float_scan if torch.onnx.is_in_onnx_export() else _sums
        return run(x, self.step_size(dt), torch.exp(self.a_log), b, c) + self.skip[:, None] * x


def _sums(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    return scan(x, delta, a, b, c)[0]

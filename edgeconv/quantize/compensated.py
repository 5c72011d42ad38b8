"""Rounding weights one input at a time, each error made up for by the weights still to come.

Inputs of one layer are correlated, so most of what the rounding of one weight changes can be undone by the weights that
are still real: optimal brain quantization in the column order and with the Cholesky factor of GPTQ (Frantar et al.,
arXiv 2210.17323, section 3). The bias comes last and stays real: it takes up what is left.
"""

from __future__ import annotations

import torch
from torch import Tensor

from edgeconv.errors import UsageError

__all__ = ["input_moments", "round_weights"]

# Inputs that never move make the moments singular; this share of the mean diagonal is far below any that matters.
_DAMPING = 1e-7


def input_moments(inputs: Tensor, weights: Tensor | None = None) -> Tensor:
    """Second moments of a layer's inputs with a constant 1 behind them, for its bias: (n + 1, n + 1), float64.

    Args:
        inputs: (rows, n), one row for each time that the layer's weights are applied.
        weights: (rows,) how much each row counts; all alike without.
    """
    rows = torch.cat([inputs.double(), torch.ones(len(inputs), 1, dtype=torch.float64)], dim=1)
    weighted = rows if weights is None else rows * weights.double()[:, None]
    return weighted.T @ rows / len(rows)


def round_weights(weight: Tensor, bias: Tensor, moments: Tensor, *, bits: int = 8) -> tuple[Tensor, Tensor]:
    """Weights on the grid of `ChannelWeights`, and the bias that fits them.

    Args:
        weight: (outputs, n) real weights; their largest magnitude per output keeps its value and so fixes the scale.
        bias: (outputs,).
        moments: from `input_moments`.
        bits: 2 to 8.

    Returns:
        float32 tensors of the same shapes; weight / (largest magnitude / (2^(bits-1) - 1)) is integer up to float32.

    Raises:
        UsageError: moments of another size than the layer's inputs ask for.
    """
    n = weight.shape[1]
    if moments.shape != (n + 1, n + 1):
        raise UsageError(f"input moments of shape {tuple(moments.shape)}", expected=f"{(n + 1, n + 1)}")
    largest = 2 ** (bits - 1) - 1
    damped = moments + _DAMPING * moments.diagonal().mean() * torch.eye(n + 1, dtype=torch.float64)
    factor = _inverse_factor(damped)
    real = torch.cat([weight.double(), bias.double()[:, None]], dim=1)
    peak = weight.abs().argmax(dim=1)
    scale = weight.double().abs().amax(dim=1).clamp_min(1e-10) / largest
    signs = torch.sign(weight.gather(1, peak[:, None])[:, 0]).double()
    for i in range(n):
        steps = torch.round(real[:, i] / scale).clamp_(-largest, largest)
        # Were the largest weight to shrink, the layer would compute a finer scale and leave this grid.
        steps = torch.where(peak == i, largest * signs, steps)
        error = (real[:, i] - steps * scale) / factor[i, i]
        real[:, i] = steps * scale
        real[:, i + 1 :] -= error[:, None] * factor[i, i + 1 :]
    return real[:, :n].float(), real[:, n].float()


def _inverse_factor(moments: Tensor) -> Tensor:
    """Upper triangular U with inverse(moments) = Uᵀ·U, from a factor of the moments: their inverse is never formed."""
    upper = torch.linalg.cholesky(moments.flip(0, 1)).flip(0, 1)
    identity = torch.eye(len(moments), dtype=moments.dtype)
    return torch.linalg.solve_triangular(upper, identity, upper=True)

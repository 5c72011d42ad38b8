"""Rounding weights one input at a time, each error made up for by the weights still to come.

Inputs of one layer are correlated, so most of what the rounding of one weight changes can be undone by the weights that
are still real: optimal brain quantization in the column order and with the Cholesky factor of GPTQ (Frantar et al.,
arXiv 2210.17323, section 3). The bias comes last and stays real: it takes up what is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from edgeconv.errors import UsageError

__all__ = ["input_moments", "refit_weights", "round_weights"]

# Inputs that never move make the moments singular; this share of the mean diagonal is far below any that matters.
_DAMPING = 1e-7
# With which a large weight is tried to be clipped, where the grid is coarse enough for that to pay.
_CLIPS = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3)
_CLIPPED_BITS = 6


def input_moments(inputs: Tensor, weights: Tensor | None = None) -> Tensor:
    """Second moments of a layer's inputs with a constant 1 behind them, for its bias: (n + 1, n + 1), float64.

    Args:
        inputs: (rows, n), one row for each time that the layer's weights are applied.
        weights: (rows,) how much each row counts; all alike without.
    """
    rows = torch.cat([inputs.double(), torch.ones(len(inputs), 1, dtype=torch.float64)], dim=1)
    weighted = rows if weights is None else rows * weights.double()[:, None]
    return weighted.T @ rows / len(rows)


def refit_weights(weight: Tensor, bias: Tensor, ideal: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Weights and bias that make of the inputs a layer gets what its own would make of those it should have got.

    Least squares over the rows, so what the rounding of earlier layers moved is moved back as far as a layer can.

    Args:
        weight: (outputs, n).
        bias: (outputs,).
        ideal, inputs: (rows, n), row for row the same events.
    """
    moments = input_moments(inputs)
    ones = torch.ones(len(inputs), 1, dtype=torch.float64)
    cross = torch.cat([ideal.double(), ones], 1).T @ torch.cat([inputs.double(), ones], 1) / len(inputs)
    real = torch.cat([weight.double(), bias.double()[:, None]], dim=1)
    fitted = torch.linalg.solve(_damped(moments), (real @ cross).T).T
    return fitted[:, :-1].float(), fitted[:, -1].float()


def round_weights(
    weight: Tensor, bias: Tensor, moments: Tensor, *, bits: int = 8, groups: Sequence[tuple[int, int]] = ()
) -> tuple[Tensor, Tensor]:
    """Weights on the grid of `ChannelWeights`, and the bias that fits them.

    Up to 6 bits an output's scale is that of several which errs least: clipping a few large weights lets all others
    lie on a finer grid. With more bits it is always the one that the largest weight sets.

    Args:
        weight: (outputs, n) real weights.
        bias: (outputs,).
        moments: from `input_moments`.
        bits: 2 to 8.
        groups: inputs and bits of each weight tensor, in order, where several are added up; each has its own scales.

    Returns:
        float32 tensors of the same shapes; within a group, weight / (largest magnitude / (2^(bits-1) - 1)) is integer
        up to float32.

    Raises:
        UsageError: moments or groups of another size than the layer's inputs ask for.
    """
    n = weight.shape[1]
    groups = groups or ((n, bits),)
    if moments.shape != (n + 1, n + 1) or sum(inputs for inputs, _ in groups) != n:
        raise UsageError(
            f"input moments of shape {tuple(moments.shape)}, groups {tuple(groups)}", expected=f"{(n + 1, n + 1)}"
        )
    factor = _inverse_factor(_damped(moments))
    real = torch.cat([weight.double(), bias.double()[:, None]], dim=1)
    best, least = real, torch.full((len(real),), torch.inf, dtype=torch.float64)
    for part in _CLIPS if min(each for _, each in groups) <= _CLIPPED_BITS else (1.0,):
        tried = _compensated(real.clone(), part, factor, groups)
        error = torch.einsum("on,nm,om->o", tried - real, moments, tried - real)
        best = torch.where((error < least)[:, None], tried, best)
        least = torch.minimum(error, least)
    return best[:, :n].float(), best[:, n].float()


def _compensated(real: Tensor, part: float, factor: Tensor, groups: Sequence[tuple[int, int]]) -> Tensor:
    """Rounded weights and real biases, (outputs, n + 1); a group's largest weight becomes `part` of what it was."""
    start = 0
    for inputs, bits in groups:
        largest = 2 ** (bits - 1) - 1
        magnitudes = real[:, start : start + inputs].abs()
        peak = start + magnitudes.argmax(dim=1)
        scale = part * magnitudes.amax(dim=1).clamp_min(1e-10) / largest
        signs = torch.sign(real.gather(1, peak[:, None])[:, 0])
        for i in range(start, start + inputs):
            steps = torch.round(real[:, i] / scale).clamp_(-largest, largest)
            # Were the largest weight to shrink, the layer would compute a finer scale and leave this grid.
            steps = torch.where(peak == i, largest * signs, steps)
            error = (real[:, i] - steps * scale) / factor[i, i]
            real[:, i] = steps * scale
            real[:, i + 1 :] -= error[:, None] * factor[i, i + 1 :]
        start += inputs
    return real


def _damped(moments: Tensor) -> Tensor:
    return moments + _DAMPING * moments.diagonal().mean() * torch.eye(len(moments), dtype=torch.float64)


def _inverse_factor(moments: Tensor) -> Tensor:
    """Upper triangular U with inverse(moments) = Uᵀ·U, from a factor of the moments: their inverse is never formed."""
    upper = torch.linalg.cholesky(moments.flip(0, 1)).flip(0, 1)
    identity = torch.eye(len(moments), dtype=moments.dtype)
    return torch.linalg.solve_triangular(upper, identity, upper=True)

"""The last layer of a network that is taken out of a supernet, fitted anew.

In a supernet that layer serves all networks at once, and each of them hands it something else. What a network is worth
is what the best layer makes of it: found here by least squares, which need no training.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgeconv.search.loss import HUBER

__all__ = ["fit_readout", "inputs_of"]

_ROUNDS = 4
_RIDGE = 1e-4
"""Of the mean square of the inputs: channels that are hardly ever there get no large weights."""


@torch.no_grad()
def inputs_of(layer: nn.Module, network: nn.Module, batches: Sequence[Tensor]) -> Tensor:
    """What `layer` reads when a network in evaluation mode is applied to all batches, (samples, features)."""
    seen: list[Tensor] = []
    # Between the layers of a twin values know their scale.
    hook = layer.register_forward_pre_hook(lambda _, inputs: seen.append(getattr(inputs[0], "value", inputs[0])))
    for batch in batches:
        network(batch)
    hook.remove()
    return torch.cat(seen)


@torch.no_grad()
def fit_readout(features: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Weight (outputs, features) and bias (outputs,) of the layer with the least Huber loss of weighted errors.

    By least squares that are weighted anew several times (Holland & Welsch, Communications in Statistics 6, 1977).

    Args:
        features: (samples, features).
        targets, weights: (samples, outputs).
    """
    rows = torch.cat([features, torch.ones(len(features), 1)], 1).double()
    ridge = _RIDGE * rows.square().mean() * torch.eye(rows.shape[1], dtype=torch.float64)
    columns = []
    for target, weight in zip(targets.double().T, weights.double().T, strict=True):
        trust = torch.ones_like(target)
        for _ in range(_ROUNDS):
            square = weight.square() * trust
            square = square / square.mean()
            normal = (rows * square[:, None]).T @ rows / len(rows)
            column = torch.linalg.solve(normal + ridge, rows.T @ (square * target) / len(rows))
            error = (rows @ column - target).mul(weight).abs()
            trust = torch.where(error > HUBER, HUBER / error, 1.0)
        columns.append(column)
    solved = torch.stack(columns).float()
    return solved[:, :-1], solved[:, -1]

"""Training a supernet by the sandwich rule: the largest network, the smallest and some between share every step.

Yu & Huang, "Universally Slimmable Networks", arXiv 1903.05134, section 3.2: what lies between learns, if the two ends
do. The largest network teaches the others (section 3.3).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgeconv.quantize.family import Progress, TrainingProgress
from edgeconv.search.elastic import ElasticConvNet
from edgeconv.search.loss import weighted_loss
from edgeconv.search.space import Space
from edgeconv.search.supernet import SuperNet

__all__ = ["Batch", "load_supernet", "save_supernet", "train_supernet"]

Batch = tuple[Tensor, Tensor, Tensor]
"""Inputs, targets and weights of the errors (both (n, outputs))."""

_REPORT_EVERY = 25


def train_supernet(
    family: ElasticConvNet,
    space: Space,
    batches: Callable[[np.random.Generator], Batch],
    *,
    steps: int,
    seed: int,
    between: int = 2,
    float_share: float = 0.25,
    learning_rate: float = 3e-3,
    progress: Progress | None = None,
) -> SuperNet:
    """Train from scratch.

    Args:
        space: of the family; its first and last values are the smallest and the largest network.
        batches: makes a batch.
        between: random networks in each step, beside the two ends.
        float_share: of the steps, before anything is rounded.
    """
    rng = np.random.default_rng([seed, 0])
    torch.manual_seed(seed)
    network = SuperNet(family)
    largest = space.values(space.repair(space.cardinalities - 1))
    smallest = space.values(space.repair(0 * space.cardinalities))
    optimizer = torch.optim.Adam(network.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps, pct_start=0.1)
    losses: list[float] = []
    for step in range(steps):
        x, target, weight = batches(rng)
        if step == round(float_share * steps):
            network.use(largest)
            network.calibrate(x)
        optimizer.zero_grad()
        teacher: Tensor | None = None
        for values in (largest, smallest, *(space.values(space.sample(rng)) for _ in range(between))):
            network.use(values)
            answer = network(x)
            loss = weighted_loss(answer - target, weight)
            if teacher is None:
                teacher = answer.detach()
                losses.append(loss.item())
            else:
                loss = loss + weighted_loss(answer - teacher, weight)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if progress and ((step + 1) % _REPORT_EVERY == 0 or step + 1 == steps):
            progress(TrainingProgress("supernet", step + 1, steps, float(np.mean(losses))))
            losses.clear()
    return network.eval()


def save_supernet(network: SuperNet, path: Path) -> None:
    """Write the weights, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    torch.save(network.state_dict(), partial)
    partial.replace(path)


def load_supernet(family: ElasticConvNet, path: Path) -> SuperNet:
    """What `save_supernet` wrote, rounding switched on."""
    network = SuperNet(family)
    network.load_state_dict(torch.load(path, weights_only=True))
    network.quantized = True
    return network.eval()

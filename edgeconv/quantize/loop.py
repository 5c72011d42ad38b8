"""The training loop that every family shares: batches by step, a warmed-up cosine schedule, progress, checkpoints."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from edgeconv.errors import DivergedError
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.family import Progress, TrainingProgress
from edgeconv.quantize.optimizer import SOAP
from edgeconv.quantize.stage import Stage

__all__ = ["Stage", "fit", "pinned_threads"]

_REPORT_EVERY = 50


def fit(
    network: nn.Module,
    stage: Stage,
    loss: Callable[[nn.Module, int], Tensor],
    *,
    seed: int = 0,
    progress: Progress | None = None,
    done: int = 0,
    total: int | None = None,
    checkpoints: Checkpoints | None = None,
) -> None:
    """Train a network in place.

    The same arguments give the same weights on the same machine with the same number of threads, whether the training
    was killed and went on from its checkpoints or not: what is drawn with torch's generator is seeded here, and a batch
    depends on nothing but its step.

    Args:
        network: left in evaluation mode.
        loss: of the network and the number of a step, from 0: makes that step's batch, applies the network to it and
            returns the scalar to minimize.
        seed: of torch's generator during the stage; the caller's generator is put back afterwards.
        progress: told about the training every 50 steps and at the end.
        done, total: steps before this stage, and of all stages, for the progress reports.
        checkpoints: where the state is kept, and looked for first.

    Raises:
        DivergedError: the loss is not finite.
    """
    network.train()
    optimizer = SOAP([p for p in network.parameters() if p.requires_grad], stage.learning_rate)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = checkpoints.load(stage.name) if checkpoints else None
        first, recent = _restore(network, optimizer, state) if state else (0, [])
        started = time.monotonic()
        for step in range(first, stage.steps):
            for group in optimizer.param_groups:
                group["lr"] = stage.rate_at(step)
            value = loss(network, step)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            recent.append(_finite(value.item(), stage, step))
            last = step + 1 == stage.steps
            if (step + 1) % _REPORT_EVERY == 0 or last:
                mean = sum(recent) / len(recent)
                recent.clear()
                if progress:
                    progress(TrainingProgress(stage.name, done + step + 1, total or stage.steps, mean))
                if checkpoints:
                    seconds = round(time.monotonic() - started, 3)
                    line = {"stage": stage.name, "step": step + 1, "steps": stage.steps, "loss": mean}
                    checkpoints.log(line | {"learning_rate": stage.rate_at(step), "seconds": seconds})
            if checkpoints and (last or checkpoints.due):
                checkpoints.save(stage.name, _state(network, optimizer, step + 1, recent))
    network.eval()


def _state(network: nn.Module, optimizer: Optimizer, step: int, recent: list[float]) -> dict[str, Any]:
    return {
        "step": step,
        "recent": recent,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
    }


def _restore(network: nn.Module, optimizer: Optimizer, state: dict[str, Any]) -> tuple[int, list[float]]:
    """Put a checkpoint back; returns the step to go on with and the losses since the last report."""
    # Into the tensors that the optimizer holds: brevitas' load_state_dict makes new quantizers, which nobody trains.
    live = network.state_dict()
    with torch.no_grad():
        for name, value in state["network"].items():
            live[name].copy_(value)
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    return state["step"], list(state["recent"])


def _finite(value: float, stage: Stage, step: int) -> float:
    if not math.isfinite(value):
        raise DivergedError(
            f"training stage '{stage.name}' diverged at step {step + 1}",
            expected="a finite loss",
            advice="lower the learning rate of the stage",
        )
    return value


@contextmanager
def pinned_threads(threads: int) -> Iterator[None]:
    """Run torch on that many threads at most: sums split in another way are rounded in another way."""
    before = torch.get_num_threads()
    torch.set_num_threads(min(threads, os.cpu_count() or 1))
    try:
        yield
    finally:
        torch.set_num_threads(before)

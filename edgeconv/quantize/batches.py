"""Batches that depend on nothing but their step, each made while the one before is trained on."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar

import numpy as np

__all__ = ["Ahead", "step_generator"]

Batch = TypeVar("Batch")


def step_generator(seed: int, stage: int, step: int) -> np.random.Generator:
    """The random numbers of one step: the same whether the steps before it were taken in this process or another."""
    return np.random.default_rng([seed, stage, step])


class Ahead(Generic[Batch]):
    """Calls `make(step)` in a thread, one step ahead; a context manager.

    Args:
        make: gives the batch of a step and uses no generator but one of that step.
    """

    def __init__(self, make: Callable[[int], Batch]) -> None:
        self._make = make
        self._pool = ThreadPoolExecutor(1)
        self._coming: tuple[int, Future[Batch]] | None = None

    def __call__(self, step: int) -> Batch:
        """The batch of a step; fast when steps are asked for in order."""
        if self._coming is None or self._coming[0] != step:
            self._coming = (step, self._pool.submit(self._make, step))
        batch = self._coming[1].result()
        self._coming = (step + 1, self._pool.submit(self._make, step + 1))
        return batch

    def __enter__(self) -> Ahead[Batch]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)

"""Whether a match becomes a composite: the compiler is asked, and what it refuses is kept with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from edgeconv.codegen.tir import tvm
from edgeconv.errors import ModelError
from edgeconv.hw.relax.compile import compile_region
from edgeconv.hw.relax.region import region_of_match
from edgeconv.hw.spec import ArrayConfig

__all__ = ["Judge", "Refusal", "accepts", "judging"]


@dataclass(frozen=True)
class Refusal:
    """A match that was refused: the variables inside it, and what the compiler said."""

    variables: frozenset[str]
    error: ModelError


@dataclass
class Judge:
    """Who decides for a configuration of the array; keeps what it refuses, the largest matches first."""

    config: ArrayConfig | None = None
    refusals: list[Refusal] = field(default_factory=list)

    def accepts(self, context: Any) -> bool:
        """Whether a match can run on the array, alone."""
        if tvm.relax.backend.utils.has_leaking_intermediate_variables(context):
            return False
        root = context.value_to_bound_var[context.matched_expr]
        region = region_of_match(root, dict(context.matched_bindings.items()))
        if not region.inputs:
            return False
        try:
            compile_region(region, self.config)
        except ModelError as error:
            self.refusals.append(Refusal(region.names, error))
            return False
        return True


_judge: ContextVar[Judge | None] = ContextVar("edgeconv_fpga_judge", default=None)


@contextmanager
def judging(config: ArrayConfig | None) -> Iterator[Judge]:
    """Decide for a configuration in here, and collect refusals."""
    judge = Judge(config)
    token = _judge.set(judge)
    try:
        yield judge
    finally:
        _judge.reset(token)


def accepts(context: Any) -> bool:
    """The check of every pattern; outside of `judging` it decides for the default configuration."""
    return (_judge.get() or Judge()).accepts(context)

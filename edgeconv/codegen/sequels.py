"""Sequels: residual additions and tables that a kernel computes before it stores its values.

They begin with requantized values, or, where a network adds to a product that it did not round, with accumulators.

A tensor that only an addition or a table reads need not exist where the kernel that makes it can go on with its values
in registers: every rounding stays, in the order of the program, so the bits are the same. The step moves to the place
of the operator that it swallows, where all other operands are there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import prod

from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels import registry
from edgeconv.codegen.plan import Plan, Step
from edgeconv.ir import operators as ops

__all__ = ["fuse_sequels", "in_place_over"]


def fuse_sequels(plan: Plan, isa: Isa) -> None:
    """Let steps swallow the additions, and behind a requantization the tables, that alone read their results."""
    for later in [step for step in plan.steps if isinstance(step.operator, (ops.Add, ops.Table))]:
        # Accumulators cost the most memory; else the longer product counts the end of a tile least.
        for host in sorted(_hosts(plan, later), key=lambda step: (step.requant is not None, -_products(step))):
            if _swallow(plan, isa, host, later):
                break


def _hosts(plan: Plan, later: Step) -> Iterator[Step]:
    """The steps that make what only `later` reads, the last one first."""
    for host in reversed(plan.steps):
        name = host.output
        if name not in later.operands or name in plan.program.outputs:
            continue
        if host.requant is None and not isinstance(later.operator, ops.Add):
            continue
        alone = [step for step in plan.steps if name in step.operands] == [later]
        if alone and name not in plan.aliases.values():
            yield host


def _products(step: Step) -> int:
    """Products of one output: the more, the less the end of a tile counts."""
    operator = step.operator
    if isinstance(operator, (ops.Conv, ops.ConvTranspose)):
        return prod(step.type(operator.w).shape[1:])
    return step.type(operator.x).shape[-1] if isinstance(operator, ops.MatMul) else 0


def _swallow(plan: Plan, isa: Isa, host: Step, later: Step) -> bool:
    if not _alike(plan, host, later):
        return False
    fused = replace(host, output=later.output, sequel=(*host.sequel, later))
    kernel = registry.find(isa, fused)
    if kernel is None or kernel.name != registry.select(isa, host).name:
        return False
    if kernel.goes_on is None or not kernel.goes_on(isa, fused):
        return False
    plan.steps[plan.steps.index(later)] = fused
    plan.steps.remove(host)
    del plan.layouts[host.output]
    return True


def _alike(plan: Plan, host: Step, later: Step) -> bool:
    """Whether elements of all tensors that `later` reads and writes correspond one to one, in memory too."""
    tensors = [name for name in later.operands if name != host.output and name not in _table_values(later)]
    if any(plan.root(name) in plan.program.constants or name in plan.aliases for name in tensors):
        return False
    made, whole = plan.layouts[host.output], plan.layouts[later.output]
    others = [plan.layouts[name] for name in tensors]
    return all(other.shape == made.shape and other.order == made.order for other in (whole, *others))


def _table_values(step: Step) -> tuple[str, ...]:
    return (step.operator.values,) if isinstance(step.operator, ops.Table) else ()


def in_place_over(isa: Isa, step: Step) -> tuple[str, ...]:
    """Tensors added by the sequel whose memory the output may take, if each element is stored after all its reads.

    It is the `in_place` of kernels that compute one output after the other.
    """
    roots = {step.plan.root(name) for name in getattr(step.operator, "operands", ())}
    return tuple(name for name in step.others if step.plan.root(name) not in roots)

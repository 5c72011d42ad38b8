"""What is tuned alone: a step of a plan, or a chain of steps that is computed by bands of rows.

A unit's *facts* are all that its code and its time depend on, apart from names and from the values of its weights: two
units of equal facts have equal best blockings. They are a key of the cache, and readable, so that an entry explains
itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgeconv.codegen.bands import Chain
from edgeconv.codegen.blob import Blob
from edgeconv.codegen.choices import Blocking, Choices, Question
from edgeconv.codegen.emit import KernelReport, emit_function
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.panels import kind_key
from edgeconv.codegen.plan import Plan, Step

__all__ = ["Emission", "Picks", "Unit", "emit", "facts_of", "units_of"]

Picks = Mapping[tuple[str, str], Blocking]
"""Blockings by output and part of a question."""


@dataclass(frozen=True)
class Unit:
    """A step, or a chain of steps.

    Attributes:
        steps: one, or those of the chain.
    """

    only: Step | Chain

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.only.steps if isinstance(self.only, Chain) else (self.only,)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The tensors that the steps write, in order."""
        return tuple(step.output for step in self.steps)


def units_of(plan: Plan) -> list[Unit]:
    """All units of a plan, in order."""
    return [Unit(only) for only in plan.units]


@dataclass(frozen=True)
class Emission:
    """The code of a unit before LLVM.

    Attributes:
        symbol: the function's name.
        questions: those that have several candidates.
    """

    symbol: str
    function: object
    blob: bytes
    scratch_bytes: int
    questions: tuple[Question, ...]
    report: tuple[KernelReport, ...]


def emit(plan: Plan, unit: Unit, isa: Isa, symbol: str, picks: Picks) -> Emission:
    """The code of a unit with these blockings, and the cycle models' where none is given."""
    blob, choices = Blob(), Choices.of(picks)
    emitted = emit_function(plan, blob, isa, symbol, only=unit.only, choices=choices)
    return Emission(symbol, emitted.function, blob.bytes(), emitted.scratch_bytes, choices.asked, emitted.report)


def facts_of(unit: Unit, isa: Isa, emission: Emission) -> dict[str, Any]:
    """What the best blockings of a unit depend on, besides the machine, as plain values.

    Args:
        emission: of the cycle models' blockings.
    """
    bands = [(stretch.count, len(stretch.band.parts)) for stretch in getattr(unit.only, "stretches", ())]
    return {
        "isa": isa.name,
        "scheduled for": isa.cpu,
        "bands": bands,
        "steps": [_step_facts(step, isa, report) for step, report in zip(unit.steps, emission.report, strict=True)],
        "questions": [
            [unit.outputs.index(question.output), question.part, *map(list, question.candidates)]
            for question in emission.questions
        ],
    }


def _step_facts(step: Step, isa: Isa, report: KernelReport) -> dict[str, Any]:
    operator = step.operator
    names = {"output", "origin", *getattr(operator, "operand_fields", ())}
    settings = {
        field.name: str(getattr(operator, field.name))
        for field in dataclasses.fields(operator)
        if field.name not in names
    }
    return {
        "operators": list(report.operators),
        "kernel": f"{report.kernel} {report.detail}",
        "settings": settings,
        "tensors": [[str(step.type(name)), _layout(step, name)] for name in (*step.operands, step.output)],
        "requantization": _kinds(step, isa),
    }


def _layout(step: Step, name: str) -> str:
    """How a tensor lies in memory; of constants nothing, since kernels arrange them."""
    return "" if name in step.plan.program.constants else str(step.layout(name))


def _kinds(step: Step, isa: Isa) -> list[str]:
    """The kinds of forms that occur in vectors of channels."""
    if step.requant is None or step.forms is None:
        return []
    forms = step.forms.forms
    blocks = [forms[start : start + isa.lanes] for start in range(0, len(forms), isa.lanes)]
    return sorted({" ".join(map(str, kind_key(block))) for block in blocks})

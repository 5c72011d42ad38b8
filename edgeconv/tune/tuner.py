"""Tuning a program: each unit that has a choice is measured with a few blockings, one question after the other."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from edgeconv.artifact.build import is_shared, toolchain
from edgeconv.artifact.manifest import TunedBlocking, Tuning
from edgeconv.codegen.choices import Question
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.table import find_isa
from edgeconv.codegen.kernels import load_all
from edgeconv.codegen.plan import Plan, make_plan
from edgeconv.integer import POLICY_OF_ISA, Certificate
from edgeconv.ir import Program
from edgeconv.runtime.cpu_features import host_architecture, processors
from edgeconv.targets import Target
from edgeconv.tune.answers import Answer, answered
from edgeconv.tune.machine import tunable_isa
from edgeconv.tune.race import race
from edgeconv.tune.rivals import Rivals
from edgeconv.tune.units import Emission, Picks, Unit, emit, facts_of, units_of

__all__ = ["tune"]

_CANDIDATES = 6
"""Of a question, the best by the cycle model: it orders well, and each takes a few tenths of a second to compile."""

Progress = Callable[[int, int], None]
"""Called with the number of units done and that of all."""


def tune(
    program: Program,
    certificates: Mapping[str, Certificate],
    target: Target,
    *,
    fuse: bool = True,
    one_thread: bool = False,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> Tuning:
    """Measure the blockings of a program on this machine.

    Args:
        certificates: by policy.
        fuse, one_thread: as for the code that is to be generated.
        seed: of the order in which versions take turns.

    Returns:
        the blockings that were faster than the cycle models' by more than the noise. The code measured is that for one
        thread; what threads share has the same blockings.

    Raises:
        UsageError, DeviceError: see `edgeconv.tune.machine`.
        ToolError: TVM or gcc is missing, or fails.
    """
    name = tunable_isa(target)
    cpu = next(isa.cpu for isa in target.isas if isa.name == name)
    isa = find_isa(name, target.architecture, cpu or None)
    load_all()
    forms = certificates[POLICY_OF_ISA[name].name].forms
    plan = make_plan(program, forms, isa, fuse=fuse, bands=not is_shared(program, one_thread))
    machine = toolchain(host_architecture()) | {"processor": processors()}
    rng = np.random.default_rng(seed)
    units, several, changed = units_of(plan), 0, []
    for number, unit in enumerate(units):
        first = emit(plan, unit, isa, "rival_0", {})
        if first.questions:
            several += 1
            facts = facts_of(unit, isa, first)
            answers = answered(facts, machine, lambda u=unit, e=first: _measured(plan, u, isa, e, rng))  # type: ignore[misc]
            changed += [_blocking(unit, answer) for answer in answers if answer.chosen != answer.modelled]
        progress(number + 1, len(units))
    return Tuning(name, machine["processor"], several, tuple(changed))


def _blocking(unit: Unit, answer: Answer) -> TunedBlocking:
    return TunedBlocking(
        unit.outputs[answer.step], answer.part, answer.axes, answer.modelled, answer.chosen, answer.seconds
    )


def _measured(plan: Plan, unit: Unit, isa: Isa, first: Emission, rng: np.random.Generator) -> list[Answer]:
    """The answers for a unit: question by question, each with the answers to those before it.

    Args:
        first: the unit with the cycle models' blockings.
    """
    answers: dict[tuple[str, str], Answer] = {}
    current = first
    while (question := next((q for q in current.questions if (q.output, q.part) not in answers), None)) is not None:
        picks = {place: answer.chosen for place, answer in answers.items()}
        answer, current = _settled(plan, unit, isa, question, picks, rng)
        answers[question.output, question.part] = answer
    return list(answers.values())


def _settled(
    plan: Plan, unit: Unit, isa: Isa, question: Question, picks: Picks, rng: np.random.Generator
) -> tuple[Answer, Emission]:
    """The answer to one question, and the unit's code with it."""
    place, offered = (question.output, question.part), question.candidates[:_CANDIDATES]
    emissions = [
        emit(plan, unit, isa, f"rival_{number}", {**picks, place: blocking}) for number, blocking in enumerate(offered)
    ]
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as folder, _pinned():
        outcome = race(Rivals(plan, emissions, isa, Path(folder)).seconds, len(emissions), rng)
    answer = Answer(
        unit.outputs.index(question.output),
        question.part,
        question.axes,
        offered[0],
        offered[outcome.winner],
        outcome.seconds,
        outcome.noise,
    )
    return answer, emissions[outcome.winner]


@contextmanager
def _pinned() -> Iterator[None]:
    """Inside, this process stays on one core of those that it may use, where the system can do that."""
    try:
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(before)})
    except (AttributeError, OSError):
        yield
        return
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)

"""Proofs that ask for one kind of form after the other, so that every kind occurs, and names for what was chosen."""

from __future__ import annotations

from collections.abc import Mapping

from edgeconv.integer import POLICY_OF_ISA, Policy, program_ranges, prove
from edgeconv.integer.prover import channels_of
from edgeconv.integer.search import Channel, find_forms
from edgeconv.integer.sums import SumChannel, find_sum_forms
from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import FmaBitsF32, FmaF32, Form, MulShift, ProvedForms

_RARE = (
    "mul_shift",
    "mul_shift",
    "steps",
    "ratio",
    "ratio",
    *("wide_mul_shift",) * 3,
    "fma_offset_f32",
    "fma_f32",
    "fma_f64",
    "wide_mul_shift",
)


def _first(kind: str, kinds: tuple[str, ...]) -> tuple[str, ...]:
    return (kind, *(other for other in kinds if other != kind))


def _turn(kinds: tuple[str, ...], turn: int) -> str:
    """Kinds that often cannot be proved are asked for more often."""
    order = (*kinds, *(kind for kind in _RARE if kind in kinds))
    return order[turn % len(order)]


def preferring(policy: Policy, turn: int) -> Policy:
    """A policy with the same kinds in another order: one that cannot be proved gives way to the next.

    Args:
        turn: which kind of requantization and of sum comes first; both go round.
    """
    requant, add = _turn(policy.requant, turn), _turn(policy.add, turn)
    return Policy(
        f"{policy.name}, {requant} and {add} first",
        _first(requant, policy.requant),
        _first(add, policy.add),
        policy.max_fixes,
        policy.multiplier_bits,
    )


def proved_forms(program: Program, isa: str, turn: int | None) -> Mapping[str, ProvedForms]:
    """A proved form for every requant and add of a program, by output name.

    Args:
        turn: None for the forms that a compilation takes. Else the first requant or add asks for kind number `turn` of
            the instruction set's policy first, the next one for the kind after it, and so on.

    Raises:
        ProgramError: no form can be proved.
    """
    policy = POLICY_OF_ISA[isa]
    if turn is None:
        return prove(program, policy).forms
    ranges = program_ranges(program)
    found = {}
    rounding = [operator for operator in program.operators if isinstance(operator, ops.Requant | ops.Add)]
    for index, operator in enumerate(rounding):
        wanted = preferring(policy, turn + index)
        channels = channels_of(operator, program, ranges)
        requants = [channel for channel in channels if isinstance(channel, Channel)]
        sums = [channel for channel in channels if isinstance(channel, SumChannel)]
        forms = find_forms(requants, wanted) if requants else find_sum_forms(sums, wanted)
        bounds = tuple(zip(*(channel.ranges for channel in channels), strict=True))
        found[operator.output] = ProvedForms(operator.output, forms, bounds)
    return found


def labels(forms: ProvedForms) -> set[str]:
    """How the coverage table names the forms of one requant or add: kinds, and what makes their code different."""
    return {form.kind for form in forms.forms} | {name for form in forms.forms for name in _variants(form)}


def _variants(form: Form) -> list[str]:
    if isinstance(form, (FmaF32, FmaBitsF32)) and any(delta for _, delta in form.fixes):
        return [f"{form.kind} with fixes"]
    if isinstance(form, MulShift):
        return ["mul_shift half-even" if form.half_even else "mul_shift half-up"]
    return []

"""Proof policies that ask for one kind of form first, so that every kind occurs, and names for what was chosen."""

from __future__ import annotations

from edgeconv.integer import FMA, GENERIC, POLICY_OF_ISA, Policy
from edgeconv.ir.forms import FmaF32, Form, MulShift


def _first(kind: str, kinds: tuple[str, ...]) -> tuple[str, ...]:
    return (kind, *(other for other in kinds if other != kind))


def preferring(policy: Policy, turn: int) -> Policy:
    """A policy with the same kinds in another order: one that cannot be proved gives way to the next.

    Args:
        turn: which kind of requantization and of sum comes first; both go round.
    """
    requant, add = policy.requant[turn % len(policy.requant)], policy.add[turn % len(policy.add)]
    return Policy(
        f"{policy.name}, {requant} and {add} first",
        _first(requant, policy.requant),
        _first(add, policy.add),
        policy.max_fixes,
        policy.multiplier_bits,
    )


def policy_for(isa: str, turn: int | None) -> Policy:
    """The policy of an instruction set, or with `turn` the same kinds of forms in another order."""
    policy = POLICY_OF_ISA[isa]
    return policy if turn is None else preferring(policy, turn)


def label(form: Form) -> str:
    """How the coverage table names a form: its kind, and what makes its code different."""
    if isinstance(form, FmaF32) and any(delta for _, delta in form.fixes):
        return "fma_f32+fix"
    if isinstance(form, MulShift):
        return "mul_shift_even" if form.half_even else "mul_shift_up"
    return form.kind


__all__ = ["FMA", "GENERIC", "label", "policy_for", "preferring"]

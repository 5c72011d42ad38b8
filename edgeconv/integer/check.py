"""A certificate checked against a program, without trusting the compiler that wrote it.

Ranges, exact functions and thresholds are derived from the program again; the stored constants are evaluated against
them. The search takes no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from edgeconv.errors import ProgramError
from edgeconv.integer.certificate import Certificate, ChannelProof, OperatorProof
from edgeconv.integer.policy import POLICIES, Policy
from edgeconv.integer.proof import Refutation, precondition_problem, refute
from edgeconv.integer.prover import channels_of, defined_operators, how_proved, whole_ranges
from edgeconv.integer.ranges import Ranges, program_ranges
from edgeconv.integer.search import Channel
from edgeconv.integer.sums import SumChannel
from edgeconv.ir.forms import PANEL, Form, Steps
from edgeconv.ir.operators import Add, Requant
from edgeconv.ir.program import ARITHMETIC_VERSION, Program, describe


@dataclass(frozen=True)
class Problem:
    """One thing in a certificate that does not hold.

    Attributes:
        operator: the operator as messages name it, or "" for the certificate as a whole.
        channel: index of the channel, or None.
        constant: which stored value is concerned, with its value.
        message: what was found and expected.
    """

    operator: str
    channel: int | None
    constant: str
    message: str

    def __str__(self) -> str:
        channel = "" if self.channel is None else f", channel {self.channel}"
        return f"{self.operator or 'certificate'}{channel}: {self.constant}: {self.message}"


def check_certificate(program: Program, certificate: Certificate) -> list[Problem]:
    """Everything in a certificate that is not true of the program; an empty list means that every claim holds."""
    try:
        ranges = program_ranges(program)
    except ProgramError as error:
        return [Problem("", None, "program", error.problem)]
    policy = POLICIES.get(certificate.policy)
    problems = _check_head(program, certificate, ranges)
    if policy is None:
        return [
            *problems,
            Problem("", None, f"policy {certificate.policy!r}", f"expected one of {', '.join(POLICIES)}"),
        ]
    wanted = [operator for operator in program.operators if isinstance(operator, (Requant, Add))]
    found = [(proof.operator, proof.output, proof.origin) for proof in certificate.operators]
    if found != [(operator.keyword, operator.output, operator.origin) for operator in wanted]:
        return [*problems, Problem("", None, "operators", "are not the requants and adds of the program, in order")]
    for operator, proof in zip(wanted, certificate.operators, strict=True):
        problems += _check_operator(operator, proof, program, ranges, policy)
    return problems


def _check_head(program: Program, certificate: Certificate, ranges: Ranges) -> list[Problem]:
    problems = []
    if certificate.arithmetic != ARITHMETIC_VERSION:
        problems.append(Problem("", None, f"arithmetic {certificate.arithmetic}", f"expected {ARITHMETIC_VERSION}"))
    expected = whole_ranges(ranges)
    for name in sorted(expected.keys() | certificate.ranges.keys()):
        if expected.get(name) != certificate.ranges.get(name):
            message = f"derived from the program: {_interval(expected.get(name))}"
            problems.append(Problem("", None, f"range of %{name} {_interval(certificate.ranges.get(name))}", message))
    if certificate.defined != defined_operators(program):
        problems.append(Problem("", None, "defined", "are not the operators of the program that define themselves"))
    return problems


def _check_operator(
    operator: Requant | Add, proof: OperatorProof, program: Program, ranges: Ranges, policy: Policy
) -> list[Problem]:
    where = describe(operator)
    channels = channels_of(operator, program, ranges)
    if len(channels) != len(proof.channels):
        message = f"{len(proof.channels)}, the program has {len(channels)}"
        return [Problem(where, None, "number of channels", message)]
    problems = []
    provable: list[int] = []
    for k, (channel, claim) in enumerate(zip(channels, proof.channels, strict=True)):
        found = _claim_problem(operator, channel, claim, policy)
        if found is None:
            provable.append(k)
        else:
            problems.append(Problem(where, k, *found))
    kinds = policy.requant if isinstance(operator, Requant) else policy.add
    problems += _panel_problems(where, proof, kinds)
    chosen = [channels[k] for k in provable]
    refutations = _refutations(chosen, [proof.channels[k].form for k in provable])
    for k, refutation in zip(provable, refutations, strict=True):
        if refutation is not None:
            problems.append(Problem(where, k, _constants(proof.channels[k].form, channels[k]), str(refutation)))
        else:
            problems += _count_problem(where, k, proof.channels[k], channels[k])
    return sorted(problems, key=lambda problem: -1 if problem.channel is None else problem.channel)


def _claim_problem(
    operator: Requant | Add, channel: Channel | SumChannel, claim: ChannelProof, policy: Policy
) -> tuple[str, str] | None:
    """What is claimed about a channel's function, range and kind that is not so."""
    for name, attribute in (("r", "factors"), ("o", "offset"), ("radicand", "radicand"), ("shift", "shift")):
        claimed, exact = getattr(claim.linear, attribute), getattr(channel.linear, attribute)
        if claimed != exact:
            return f"{name} {_text(claimed)}", f"the program has {_text(exact)}"
    if claim.ranges != channel.ranges:
        return f"range {_intervals(claim.ranges)}", f"derived from the program: {_intervals(channel.ranges)}"
    allowed = policy.requant if isinstance(operator, Requant) else policy.add
    if claim.form.kind not in allowed:
        return f"kind {claim.form.kind}", f"policy {policy.name} allows {', '.join(allowed)}"
    fixes = len(getattr(claim.form, "fixes", ()))
    if fixes > policy.max_fixes:
        return f"{fixes} fixes", f"policy {policy.name} allows {policy.max_fixes}"
    return None


def _panel_problems(where: str, proof: OperatorProof, kinds: tuple[str, ...]) -> list[Problem]:
    problems = []
    for first in range(0, len(proof.channels), PANEL):
        panel = {channel.form.kind for channel in proof.channels[first : first + PANEL]}
        if len(panel) > 1:
            names = ", ".join(sorted(panel, key=lambda kind: kinds.index(kind) if kind in kinds else -1))
            problems.append(Problem(where, first, "kind", f"channels of one panel of {PANEL} differ: {names}"))
    return problems


def _refutations(channels: Sequence[Channel | SumChannel], forms: Sequence[Form]) -> list[Refutation | None]:
    """Why each form is not proved, or None, for all channels of one operator."""
    results: list[Refutation | None] = [None] * len(forms)
    listed: list[int] = []
    for index, (channel, form) in enumerate(zip(channels, forms, strict=True)):
        if isinstance(channel, SumChannel):
            results[index] = channel.refute(form)
        elif channel.steps is not None:
            listed.append(index)
        elif problem := precondition_problem(form, channel.ranges, channel.grid):
            results[index] = Refutation(problem)
        elif not channel.by_construction(form):
            results[index] = Refutation("too many steps to check, and not exact by construction")
    for first in range(0, len(listed), PANEL):
        part = listed[first : first + PANEL]
        steps = [channels[index].steps for index in part]  # type: ignore[union-attr]
        grid = channels[part[0]].grid
        for index, found in zip(part, refute([forms[index] for index in part], steps, grid), strict=True):  # type: ignore[arg-type]
            results[index] = found
    return results


def _count_problem(where: str, k: int, claim: ChannelProof, channel: Channel | SumChannel) -> list[Problem]:
    exact = how_proved(channel, claim.form)
    if (claim.by, claim.checked) == exact:
        return []
    return [Problem(where, k, f"{claim.checked} checked by {claim.by}", f"derived: {exact[1]} by {exact[0]}")]


def _constants(form: Form, channel: Channel | SumChannel) -> str:
    """The constants of a form; of a threshold table only the first entry that is wrong."""
    if isinstance(form, Steps) and isinstance(channel, Channel) and channel.steps is not None:
        steps = channel.steps
        exact = (steps.changes if form.increasing else steps.changes - 1).tolist()
        for index, (stored, right) in enumerate(zip(form.thresholds, exact, strict=False)):
            if stored != right:
                return f"steps: thresholds[{index}] = {stored}"
        return f"steps: base {form.base}, {len(form.thresholds)} thresholds"
    values = ((field.name, getattr(form, field.name)) for field in fields(form))
    return f"{form.kind}: " + ", ".join(f"{name} {_text(value)}" for name, value in values)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return "(" + ", ".join(map(_text, value)) + ")" if len(value) != 1 else _text(value[0])
    return value.hex() if isinstance(value, float) else str(value)


def _interval(interval: tuple[int, int] | None) -> str:
    return "none" if interval is None else f"[{interval[0]}, {interval[1]}]"


def _intervals(intervals: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(map(_interval, intervals))

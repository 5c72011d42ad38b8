"""From a program to its certificate: ranges, then a proved form for every channel of every requant and add."""

from __future__ import annotations

from collections.abc import Sequence

from edgeconv.errors import ProgramError
from edgeconv.integer.certificate import (
    CONSTRUCTION,
    SECTIONS,
    THRESHOLDS,
    Certificate,
    ChannelProof,
    OperatorProof,
)
from edgeconv.integer.policy import Policy
from edgeconv.integer.ranges import Ranges, operand_ranges, program_ranges
from edgeconv.integer.search import Channel, find_forms
from edgeconv.integer.sums import SumChannel, find_sum_forms
from edgeconv.ir.forms import Form
from edgeconv.ir.operators import Add, Dequantize, Normalize, Quantize, Requant, Softmax, Table, Threshold
from edgeconv.ir.program import ARITHMETIC_VERSION, Program, describe


def prove(program: Program, policy: Policy) -> Certificate:
    """Choose and prove a form for every requantization of a program.

    Raises:
        ProgramError: a value can leave its type, or a requantization has no form that can be proved; the message names
            the operator, the channel and why.
    """
    ranges = program_ranges(program)
    proofs = tuple(
        _prove_operator(operator, program, ranges, policy)
        for operator in program.operators
        if isinstance(operator, (Requant, Add))
    )
    return Certificate(ARITHMETIC_VERSION, policy.name, whole_ranges(ranges), proofs, defined_operators(program))


def whole_ranges(ranges: Ranges) -> dict[str, tuple[int, int]]:
    """[lo, hi] of every integer tensor over all its channels."""
    return {name: found.whole for name, found in ranges.items()}


def defined_operators(program: Program) -> tuple[tuple[str, str], ...]:
    """(keyword, output) of the operators whose constants and integer forms are their definition."""
    defined = (Quantize, Table, Threshold, Softmax, Normalize, Dequantize)
    return tuple((operator.keyword, operator.output) for operator in program.operators if isinstance(operator, defined))


def channels_of(operator: Requant | Add, program: Program, ranges: Ranges) -> list[Channel | SumChannel]:
    """What has to be proved about an operator, channel by channel."""
    bounds = operand_ranges(operator, program, ranges)
    count = operator.linear.channels
    if isinstance(operator, Requant):
        return [Channel(operator.linear.channel(k), operator.grid, *bounds[0][k]) for k in range(count)]
    return [
        SumChannel(operator.linear.channel(k), operator.grid, tuple(operand[k] for operand in bounds))
        for k in range(count)
    ]


def how_proved(channel: Channel | SumChannel, form: Form) -> tuple[str, int]:
    """The way a form is proved, and the number of thresholds that are checked."""
    if channel.by_construction(form):
        return CONSTRUCTION, 0
    if isinstance(channel, Channel):
        return THRESHOLDS, 0 if channel.steps is None else len(channel.steps.changes)
    return SECTIONS, 0 if channel.points is None else channel.points.thresholds


def _prove_operator(operator: Requant | Add, program: Program, ranges: Ranges, policy: Policy) -> OperatorProof:
    channels = channels_of(operator, program, ranges)
    forms = _forms(operator, channels, policy)
    proofs = tuple(
        ChannelProof(channel.linear, channel.ranges, form, *how_proved(channel, form))
        for channel, form in zip(channels, forms, strict=True)
    )
    return OperatorProof(operator.keyword, operator.output, operator.origin, proofs)


def _forms(operator: Requant | Add, channels: Sequence[Channel | SumChannel], policy: Policy) -> tuple[Form, ...]:
    try:
        requants = [channel for channel in channels if isinstance(channel, Channel)]
        sums = [channel for channel in channels if isinstance(channel, SumChannel)]
        return find_forms(requants, policy) if requants else find_sum_forms(sums, policy)
    except ProgramError as error:
        raise ProgramError(
            f"{describe(operator)}: {error.problem}", expected=error.expected, advice=error.advice
        ) from error

"""What happens to a value between the operator that makes it and the stream: roundings, tables, clips, as C++ structs.

A `Finish` is a struct with a type and `apply(channel, value…)`. Constants of a channel stand in arrays inside.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.hls.text import array, type_of
from edgeconv.ir import Program, Rounding
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import Grid
from edgeconv.ir.forms import (
    LIMB,
    AddMulShift,
    Form,
    MulShift,
    ProvedForms,
    Ratio,
    Steps,
    WideMulShift,
)
from edgeconv.ir.program import describe

__all__ = ["Fusable", "add_struct", "finish_struct", "mul_struct"]

Fusable = ops.Requant | ops.Threshold | ops.Table | ops.Cast
"""Operators of one value that a stage can apply before it writes."""

Interval = tuple[int, int]


@dataclass(frozen=True)
class _Run:
    """Channels [first, end) whose forms are of one kind."""

    first: int
    forms: tuple[Form, ...]
    ranges: tuple[tuple[Interval, ...], ...]  # [operand][channel]

    @property
    def index(self) -> str:
        """C++ for the place of a channel in the run's arrays."""
        if len(self.forms) == 1:
            return "0"
        return f"channel - {self.first}" if self.first else "channel"


def finish_struct(
    name: str, program: Program, chain: Sequence[Fusable], forms: Mapping[str, ProvedForms], out: str
) -> str:
    """A struct that applies operators in turn.

    Args:
        chain: may be empty: then the value is only converted.
        out: C++ type of the result.
    """
    lines, value = [], "value"
    for number, operator in enumerate(chain):
        result = f"step{number}"
        kind = out if number == len(chain) - 1 else _container(program, operator)
        lines += [f"    {line}" for line in _unary(program, operator, forms, value, result, kind)]
        value = result
    body = "\n".join([*lines, f"        return {out}({value});"])
    return f"""struct {name} {{
    typedef {out} type;
    template <typename V>
    static type apply(int channel, V value) {{
#pragma HLS INLINE
        (void)channel;
{body}
    }}
}};
"""


def add_struct(name: str, operator: ops.Add, forms: ProvedForms, out: str) -> str:
    """A struct that adds two values with one rounding."""
    lines = _by_runs(forms, "result", out, lambda run: _sum_lines(run, operator.grid, out))
    return _binary(name, out, [f"    {line}" for line in lines], f"        return {out}(result);")


def mul_struct(name: str, operator: ops.Mul, inner: str, product: str) -> str:
    """A struct that multiplies two values; `inner` finishes the product, whose type is `product`."""
    x, y = f"(a - {_number(operator.x_zero_point)})", f"(b - {_number(operator.y_zero_point)})"
    body = f"        const {product} value = {x} * {y};"
    return _binary(name, f"{inner}::type", [body], f"        return {inner}::apply(channel, value);")


def _binary(name: str, out: str, lines: Sequence[str], end: str) -> str:
    body = "\n".join([*lines, end])
    return f"""struct {name} {{
    typedef {out} type;
    template <typename A, typename B>
    static type apply(int channel, A a, B b) {{
#pragma HLS INLINE
        (void)channel;
{body}
    }}
}};
"""


def _container(program: Program, operator: Fusable) -> str:
    dtype = program.types[operator.output].dtype
    return type_of(dtype.lo, dtype.hi)


def _unary(
    program: Program, operator: Fusable, forms: Mapping[str, ProvedForms], value: str, result: str, out: str
) -> list[str]:
    """Lines that declare `result`, made of `value`."""
    match operator:
        case ops.Requant():
            grid = operator.grid
            return _by_runs(forms[operator.output], result, out, lambda run: _requant_lines(run, grid, value, out))
        case ops.Table():
            values = program.constants[operator.values].array
            lo = program.types[operator.x].dtype.lo
            row = "[channel]" if values.ndim == 2 else ""
            name = f"{result}_values"
            return [
                *array(name, values, "    ").splitlines(),
                f"    const {out} {result} = {out}({name}{row}[int({value} - {_number(lo)})]);",
            ]
        case ops.Threshold():
            return _threshold_lines(program, operator, value, result, out)
        case ops.Cast():
            return [f"    const {out} {result} = {out}({value});"]
    raise UnsupportedModelError(f"{describe(operator)} is no operator of one value")


def _by_runs(forms: ProvedForms, result: str, out: str, lines: Callable[[_Run], list[str]]) -> list[str]:
    """One block for each run of channels whose forms are of one kind."""
    runs = []
    for _, members in groupby(range(len(forms.forms)), lambda channel: _kind(forms.forms[channel])):
        channels = list(members)
        ranges = tuple(tuple(operand[channel] for channel in channels) for operand in forms.ranges)
        runs.append(_Run(channels[0], tuple(forms.forms[channel] for channel in channels), ranges))
    text = [f"    {out} {result};"]
    for number, run in enumerate(runs):
        condition = f"if (channel < {run.first + len(run.forms)}) " if number < len(runs) - 1 else ""
        opening = f"{'} else ' if number else ''}{condition}{{"
        body = lines(run)
        text += [f"    {opening}", *(f"        {line}" for line in body[:-1]), f"        {result} = {body[-1]};"]
    return [*text, "    }"]


def _kind(form: Form) -> tuple[object, ...]:
    """What forms have to share to be computed by the same lines."""
    match form:
        case MulShift() | AddMulShift():
            return form.kind, form.half_even
        case Steps():
            return form.kind, form.increasing
    return (form.kind,)


def _requant_lines(run: _Run, grid: Grid, value: str, out: str) -> list[str]:
    """Declarations, and at last the expression of the result."""
    first, i = run.forms[0], run.index
    (ranges,) = run.ranges
    match first:
        case Steps():
            forms = [form for form in run.forms if isinstance(form, Steps)]
            return _steps_lines(
                [list(form.thresholds) for form in forms],
                [form.base for form in forms],
                first.increasing,
                max(hi for _, hi in ranges),
                value,
                i,
                out,
            )
        case MulShift():
            multipliers, addends = _fields(run, "multiplier"), _fields(run, "addend")
            product = _product_type([multipliers], addends, _halves(run), [ranges])
            lines = [*_constants(run, multiplier=multipliers, addend=addends, shift=_fields(run, "shift"))]
            lines.append(f"const {product} product = {value} * multiplier[{i}] + addend[{i}];")
            rounded = f"edge::round_half_{'even' if first.half_even else 'up'}<{product} >(product, int(shift[{i}]))"
            return [*lines, _clipped(rounded, grid, out)]
        case WideMulShift():
            high, low, addends = _fields(run, "high"), _fields(run, "low"), _fields(run, "addend")
            reach = [(-max(-lo, hi), max(-lo, hi)) for lo, hi in ranges]  # the multiplier may have either sign
            wide = _product_type([[abs(h) + 1 for h in high]], addends, [0] * len(high), [reach])
            narrow = _product_type([low], [0] * len(low), [0] * len(low), [ranges])
            lines = [*_constants(run, high=high, low=low, addend=addends, shift=_fields(run, "shift"))]
            lines.append(f"const {narrow} part = {value} * low[{i}];")
            lines.append(f"const {wide} product = {value} * high[{i}] + (part >> {LIMB}) + addend[{i}];")
            return [*lines, _clipped(f"(product >> int(shift[{i}]))", grid, out)]
        case Ratio():
            return _ratio_lines(run, grid, [value], out)
    raise UnsupportedModelError(f"a requantization in the form {first.kind}", expected="a form of integers")


def _sum_lines(run: _Run, grid: Grid, out: str) -> list[str]:
    first, i = run.forms[0], run.index
    if isinstance(first, Ratio):
        return _ratio_lines(run, grid, ["a", "b"], out)
    if not isinstance(first, AddMulShift):
        raise UnsupportedModelError(f"a sum in the form {first.kind}", expected="a form of integers")
    forms = [form for form in run.forms if isinstance(form, AddMulShift)]
    by_operand = [[form.multipliers[k] for form in forms] for k in range(2)]
    addends = _fields(run, "addend")
    product = _product_type(by_operand, addends, _halves(run), run.ranges)
    lines = [
        *_constants(
            run, multiplier_a=by_operand[0], multiplier_b=by_operand[1], addend=addends, shift=_fields(run, "shift")
        )
    ]
    lines.append(f"const {product} product = a * multiplier_a[{i}] + b * multiplier_b[{i}] + addend[{i}];")
    rounded = f"edge::round_half_{'even' if first.half_even else 'up'}<{product} >(product, int(shift[{i}]))"
    return [*lines, _clipped(rounded, grid, out)]


def _ratio_lines(run: _Run, grid: Grid, values: Sequence[str], out: str) -> list[str]:
    forms, i = [form for form in run.forms if isinstance(form, Ratio)], run.index
    numerators = [[form.numerators[k] for form in forms] for k in range(len(values))]
    addends, denominators = _fields(run, "addend"), _fields(run, "denominator")
    quotient = _product_type(numerators, addends, [2 * d for d in denominators], run.ranges)
    names = [f"numerator_{value}" if len(values) > 1 else "numerator" for value in values]
    lines = [*_constants(run, **dict(zip(names, numerators, strict=True)), addend=addends, denominator=denominators)]
    terms = " + ".join(f"{value} * {name}[{i}]" for value, name in zip(values, names, strict=True))
    even = "true" if grid.rounding is Rounding.HALF_EVEN else "false"
    lines.append(f"const {quotient} value_ = {terms} + addend[{i}];")
    rounded = f"edge::round_ratio<{quotient} >(value_, {quotient}(denominator[{i}]), {even})"
    return [*lines, _clipped(rounded, grid, out)]


def _threshold_lines(program: Program, operator: ops.Threshold, value: str, result: str, out: str) -> list[str]:
    thresholds = program.constants[operator.thresholds].array
    rows = thresholds.shape[0]
    base = [operator.base[row if len(operator.base) > 1 else 0] for row in range(rows)]
    increasing = [operator.increasing[row if len(operator.increasing) > 1 else 0] for row in range(rows)]
    index = "channel" if rows > 1 else "0"
    lines = [
        *array(f"{result}_thresholds", thresholds, "    ").splitlines(),
        array(f"{result}_base", base, "    "),
        array(f"{result}_increasing", [int(each) for each in increasing], "    "),
    ]
    counted = f"edge::count_steps({value}, {result}_thresholds[{index}], int({result}_base[{index}])"
    return [*lines, f"    const {out} {result} = {out}({counted}, {result}_increasing[{index}] != 0));"]


def _steps_lines(
    thresholds: list[list[int]], base: list[int], increasing: bool, highest: int, value: str, i: str, out: str
) -> list[str]:
    levels = max(1, max(map(len, thresholds)))
    never = max(highest, *(row[-1] for row in thresholds if row), highest) + 1  # no value reaches it
    full = np.array([row + [never] * (levels - len(row)) for row in thresholds])
    lines = [*array("thresholds", full).splitlines(), array("base", base)]
    counted = f"edge::count_steps({value}, thresholds[{i}], int(base[{i}]), {'true' if increasing else 'false'})"
    return [*lines, f"{out}({counted})"]


def _fields(run: _Run, name: str) -> list[int]:
    return [int(getattr(form, name)) for form in run.forms]


def _halves(run: _Run) -> list[int]:
    """What rounding may add to a product, by channel."""
    return [1 << (shift - 1) for shift in _fields(run, "shift")]


def _constants(run: _Run, **fields: Sequence[int]) -> list[str]:
    return [line for name, values in fields.items() for line in array(name, list(values)).splitlines()]


def _product_type(
    multipliers: Sequence[Sequence[int]],
    addends: Sequence[int],
    margins: Sequence[int],
    ranges: Sequence[Sequence[Interval]],
) -> str:
    """The type of Σ value·multiplier + addend with a margin on both sides, over all channels."""
    lo, hi = 0, 0
    for channel, (addend, margin) in enumerate(zip(addends, margins, strict=True)):
        low = high = addend
        for operand, factors in enumerate(multipliers):
            ends = [bound * factors[channel] for bound in ranges[operand][channel]]
            low, high = low + min(ends), high + max(ends)
        lo, hi = min(lo, low - margin), max(hi, high + margin)
    return type_of(min(lo, -1), hi)


def _clipped(rounded: str, grid: Grid, out: str) -> str:
    moved = f"{rounded} + {_number(grid.zero_point)}" if grid.zero_point else rounded
    return f"edge::clip<{out} >({moved}, {grid.lo}, {grid.hi})"


def _number(value: int) -> str:
    return str(value) if value >= 0 else f"({value})"

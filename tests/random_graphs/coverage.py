"""How often each operator met each instruction set and each form of requantization."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from edgeconv.integer import POLICY_OF_ISA
from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.ir.operators import OPERATORS
from tests.random_graphs.compare import Compared
from tests.random_graphs.forms import labels

SUMS = ("conv", "conv_transpose", "matmul", "mul", "avg_pool", "resize_linear", "reduce_sum", "cast")
"""Operators whose results a requant rounds; any other tensor that is rounded counts for `requant` itself."""
NO_FORM = "-"
LEAST = 20

Cell = tuple[str, str, str]


def cells(compared: Compared) -> set[Cell]:
    """(operator, instruction set, form) that a compared graph holds."""
    program = compared.graph.case.program
    found = set()
    for isa, forms in compared.forms.items():
        for operator in program.operators:
            if operator.output in forms:
                name = rounded_operator(program, operator)
                found |= {(name, isa, label) for label in labels(forms[operator.output])}
            else:
                found.add((operator.keyword, isa, NO_FORM))
    return found


def rounded_operator(program: Program, operator: ops.Operator) -> str:
    """The operator whose result a requant rounds; an add rounds its own."""
    if isinstance(operator, ops.Requant):
        producer = program.producers.get(operator.x)
        return producer.keyword if producer is not None and producer.keyword in SUMS else "requant"
    return operator.keyword


def required_cells(isas: Iterable[str]) -> list[Cell]:
    """Everything that has to occur: each operator on each instruction set with each form that its policy may take."""
    required = []
    for isa in isas:
        policy = POLICY_OF_ISA[isa]
        required += [(name, isa, kind) for name in (*SUMS, "requant") for kind in policy.requant]
        required += [("add", isa, kind) for kind in policy.add]
        required += [(name, isa, NO_FORM) for name in sorted(OPERATORS) if name not in ("requant", "add")]
    return required


def table(counts: Counter[Cell], isas: Iterable[str]) -> str:
    """The counts as text: one line per operator and form, one column per instruction set."""
    isas = tuple(isas)
    rows = sorted({(name, form) for name, _, form in (*counts, *required_cells(isas))})
    lines = [f"{'operator':12} {'form':20}" + "".join(f"{isa:>12}" for isa in isas)]
    required = set(required_cells(isas))
    for name, form in rows:
        shown = [str(counts[name, isa, form]) if (name, isa, form) in required | counts.keys() else "" for isa in isas]
        lines.append(f"{name:12} {form:20}" + "".join(f"{text:>12}" for text in shown))
    return "\n".join(lines)


def lacking(counts: Counter[Cell], isas: Iterable[str], least: int = LEAST) -> list[Cell]:
    """The required cells with fewer than `least` graphs."""
    return [cell for cell in required_cells(isas) if counts[cell] < least]

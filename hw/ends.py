"""A program as hardware sees it: integers in the middle, floats at the ends, which the host computes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError
from edgeconv.ir import Program, TensorType
from edgeconv.ir import operators as ops

__all__ = ["Arrays", "Ends", "split_ends"]

Arrays = Mapping[str, NDArray[Any]]
"""Arrays (n, *shape) by name."""
Evaluate = Callable[[Program, Arrays], Arrays]
"""Applies a program to arrays: the reference interpreter."""


@dataclass(frozen=True)
class Ends:
    """A program in three parts, which applied in turn are the program.

    Attributes:
        front: makes integers of float inputs; None where all inputs are integers.
        core: integers only.
        back: makes float outputs of integers, and what else the host is to finish; None where there is none.
    """

    front: Program | None
    core: Program
    back: Program | None

    def integers(self, given: Arrays, evaluate: Evaluate) -> Arrays:
        """What the core reads, of the inputs of the whole program."""
        known = dict(given)
        if self.front is not None:
            known |= evaluate(self.front, {name: given[name] for name in self.front.inputs})
        return {name: known[name] for name in self.core.inputs}

    def apply(self, given: Arrays, evaluate: Evaluate, execute: Callable[[Arrays], Arrays]) -> Arrays:
        """The outputs of the whole program, and those of the core.

        Args:
            given: the program's inputs.
            evaluate: computes the parts of the host.
            execute: computes the core.
        """
        found = dict(execute(self.integers(given, evaluate)))
        if self.back is not None:
            found |= evaluate(self.back, {name: found[name] for name in self.back.inputs})
        return found


def split_ends(program: Program, hosted: Collection[str] = ()) -> Ends:
    """Cut the float ends off a program.

    Args:
        hosted: outputs that nothing in the program reads, whose last operator the host computes, too.

    Raises:
        UnsupportedModelError: nothing is left between them.
    """
    types = program.types
    first = [op for op in program.operators if isinstance(op, ops.Quantize)]
    last = [op for op in program.operators if types[op.output].dtype.is_float or op.output in hosted]
    middle = [op for op in program.operators if op not in first and op not in last]
    if not middle:
        raise UnsupportedModelError("the model has nothing but quantizers", expected="an operator of integers")
    made = {op.output for op in middle}
    read_back = {name for op in last for name in op.operands if name not in program.constants}
    inputs = [name for name, type_ in program.inputs.items() if not type_.dtype.is_float]
    inputs += [op.output for op in first]
    used = {name for op in middle for name in op.operands}
    outputs = [name for name in program.outputs if name in made]
    outputs += [name for name in made_in_order(middle) if name in read_back and name not in outputs]
    for name in (*read_back, *program.outputs):
        if name in inputs:
            raise UnsupportedModelError(f"input %{name} goes straight to an output", expected="an operator in between")
    core = _program(program, {name: types[name] for name in inputs if name in used}, outputs, middle)
    front = _program(program, _floats(program, first), [op.output for op in first if op.output in used], first)
    back_outputs = [name for name in program.outputs if types[name].dtype.is_float or name in hosted]
    back = _program(program, {name: types[name] for name in outputs if name in read_back}, back_outputs, last)
    return Ends(front if first else None, core, back if last else None)


def made_in_order(operators: Iterable[ops.Operator]) -> list[str]:
    """What operators write, in order."""
    return [op.output for op in operators]


def _floats(program: Program, quantizers: Iterable[ops.Quantize]) -> dict[str, TensorType]:
    read = {op.x for op in quantizers}
    return {name: type_ for name, type_ in program.inputs.items() if name in read}


def _program(
    whole: Program, inputs: Mapping[str, TensorType], outputs: Iterable[str], operators: Iterable[ops.Operator]
) -> Program:
    kept = tuple(operators)
    read = {name for op in kept for name in op.operands}
    constants = {name: constant for name, constant in whole.constants.items() if name in read}
    return Program(inputs, tuple(outputs), kept, constants) if kept else whole

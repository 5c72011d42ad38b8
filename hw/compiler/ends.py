"""What of a program the array computes, and what the host does at both ends: floats stand only there."""

from __future__ import annotations

from dataclasses import dataclass

from edgeconv.ir import Program
from edgeconv.ir import operators as ops

__all__ = ["Ends", "split"]


@dataclass(frozen=True)
class Ends:
    """A program in three parts.

    Attributes:
        head: quantizes float inputs; its outputs are what the array reads. It hands integer inputs through.
        core: the operators of the array, in order.
        inputs, outputs: tensors that the array reads from and gives to the host.
        tail: makes floats of the array's outputs; it hands integers through.
    """

    head: Program
    core: tuple[ops.Operator, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tail: Program


def split(program: Program) -> Ends:
    """Split a program; operators that the array lacks stay in the core, where lowering refuses them."""
    head = [op for op in program.operators if isinstance(op, ops.Quantize)]
    tail = [op for op in program.operators if program.types[op.output].dtype.is_float]
    core = tuple(op for op in program.operators if op not in head and op not in tail)
    ready = [op.output for op in head] + [n for n, type_ in program.inputs.items() if not type_.dtype.is_float]
    made = {op.output for op in core}
    read = {name for op in core for name in op.operands}
    inputs = tuple(name for name in ready if name in read)
    wanted = [*(name for op in tail for name in op.operands), *program.outputs]
    outputs = tuple(dict.fromkeys(name for name in wanted if name in made))
    handed = tuple(dict.fromkeys([*inputs, *(name for name in wanted if name in ready)]))
    types = program.types
    return Ends(
        Program(program.inputs, handed, tuple(head)),
        core,
        inputs,
        outputs,
        Program(
            {name: types[name] for name in dict.fromkeys([*outputs, *handed])},
            program.outputs,
            tuple(tail),
            {name: c for name, c in program.constants.items() if any(name in op.operands for op in tail)},
        ),
    )

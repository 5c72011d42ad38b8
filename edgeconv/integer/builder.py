"""Builds a program operator by operator: unique names, known bounds, equal steps and equal constants shared."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import ProgramError
from edgeconv.ir import Constant, DType, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.operators import Operator

Bounds = tuple[int, int]
_UNREADABLE = re.compile(r"[^A-Za-z0-9_.]+")


@dataclass(frozen=True)
class RowFunction:
    """A function of whole rows that waits for the grid of the next rounding (`edgeconv.integer.rows`).

    Attributes:
        operator: all but its rescale, grid and output.
        bits: fractional bits of its fixed-point number.
        error: bound of the error of that number, as a real value.
        negated: the value is the negative of what the operator computes.
    """

    operator: ops.Softmax | ops.Normalize
    bits: int
    error: Fraction
    negated: bool = False


class Builder:
    """The program under construction.

    Attributes:
        bounds: smallest and largest integer of each tensor, narrower than its type where a clip says so.
        promised: row functions by the name of a tensor that stands for them; no operator can read it.
        origin: the ONNX node at work, written into every operator that names none itself.
    """

    def __init__(self) -> None:
        self.inputs: dict[str, TensorType] = {}
        self.types: dict[str, TensorType] = {}
        self.bounds: dict[str, Bounds] = {}
        self.constants: dict[str, Constant] = {}
        self.operators: list[Operator] = []
        self.promised: dict[str, RowFunction] = {}
        self.origin = ""
        self._emitted: dict[Operator, str] = {}
        self._producers: dict[str, Operator] = {}
        self._shared: dict[Constant, str] = {}

    def add_input(self, name: str, type_: TensorType) -> str:
        """Declare a graph input under its own name."""
        self.inputs[name] = self.types[name] = type_
        if not type_.dtype.is_float:
            self.bounds[name] = (type_.dtype.lo, type_.dtype.hi)
        return name

    def constant(self, hint: str, array: NDArray[np.generic], type_: DType) -> str:
        """The name of a constant; equal constants have one name."""
        constant = Constant(type_, array)
        if constant not in self._shared:
            name = self._unused(hint)
            self._shared[constant] = name
            self.constants[name] = constant
            self.types[name] = constant.type
            if not type_.is_float:
                empty = constant.array.size == 0
                self.bounds[name] = (0, 0) if empty else (int(constant.array.min()), int(constant.array.max()))
        return self._shared[constant]

    def emit(self, operator: Operator, hint: str, bounds: Bounds | None = None) -> str:
        """Append an operator and return the name of its output; an equal operator is not computed twice.

        Args:
            operator: its `output` is ignored.
            hint: what the output is called, where that name is free.
            bounds: smallest and largest value; the range of the type unless given.

        Raises:
            ProgramError: the operator does not fit its operands.
        """
        for operand in operator.operands:
            if operand in self.promised:
                self._refuse_promised(operand)
        key = replace(operator, output="", origin="")
        if key in self._emitted:
            return self._emitted[key]
        type_ = operator.infer(self.types)
        name = self._unused(hint)
        self._append(replace(operator, output=name, origin=operator.origin or self.origin))
        self.types[name] = type_
        if not type_.dtype.is_float:
            self.bounds[name] = bounds or (type_.dtype.lo, type_.dtype.hi)
        self._emitted[key] = name
        return name

    def _refuse_promised(self, name: str) -> None:
        function = self.promised[name].operator
        raise ProgramError(
            f"reads the {function.keyword} {function.origin!r}, which no quantizer covers",
            advice="put a quantizer between the two",
        )

    def promise(self, function: RowFunction, shape: tuple[int, ...], hint: str) -> str:
        """The name of a tensor that stands for a row function until a rounding gives it a grid."""
        name = self._unused(f"{hint}.row")
        self.promised[name] = function
        self.types[name], self.bounds[name] = TensorType(shape, dtype("f32")), (0, 0)
        return name

    def _append(self, operator: Operator) -> None:
        self.operators.append(operator)
        self._producers[operator.output] = operator

    def _unused(self, hint: str) -> str:
        name = _UNREADABLE.sub("_", hint).strip("_") or "t"
        unique, count = name, 1
        while unique in self.types:
            count += 1
            unique = f"{name}.{count}"
        return unique

    def emit_copy(self, operator: Operator, hint: str) -> str:
        """Append an operator even where an equal one exists: for outputs, each a tensor of its own."""
        name = self.emit(operator, hint)
        if self.operators[-1].output != name or operator.operands[0] == name:
            name = self._unused(hint)
            self._append(replace(operator, output=name, origin=self.origin))
            self.types[name] = operator.infer(self.types)
        return name

    def is_computed(self, tensor: str) -> bool:
        """Whether an operator writes a tensor: it is neither an input nor a constant."""
        return tensor not in self.inputs and tensor not in self.constants

    def producer(self, tensor: str) -> Operator | None:
        """The operator that writes a tensor; None for inputs and constants."""
        return self._producers.get(tensor)

    def clip(self, tensor: str, bounds: Bounds, hint: str) -> str:
        """The integers of a tensor clipped to `bounds`, by the rounding that made them where there is one."""
        lo, hi = self.bounds[tensor]
        if bounds[0] <= lo and hi <= bounds[1]:
            return tensor
        kept = (min(max(bounds[0], lo), hi), min(max(bounds[1], lo), hi))
        producer = self.producer(tensor)
        if isinstance(producer, (ops.Quantize, ops.Requant, ops.Add, ops.Softmax, ops.Normalize)):
            grid = replace(producer.grid, lo=kept[0], hi=kept[1])
            return self.emit(replace(producer, grid=grid), hint, kept)
        grid = Grid(self.types[tensor].dtype, *kept)
        return self.emit(ops.Requant("", tensor, Linear(((Fraction(1),),)), grid), hint, kept)

    def is_constant(self, tensor: str) -> bool:
        """Whether a tensor is a constant."""
        return tensor in self.constants

    def array(self, tensor: str) -> NDArray[np.int64]:
        """The integers of a constant."""
        return self.constants[tensor].array.astype(np.int64)

    def is_narrow(self, tensor: str) -> bool:
        """Whether a tensor can index a table."""
        return self.types[tensor].dtype.bits <= 16

    def cast(self, tensor: str, type_: DType) -> str:
        """The same integers as another type that holds them."""
        if self.types[tensor].dtype == type_:
            return tensor
        return self.emit(ops.Cast("", tensor, type_), tensor, self.bounds[tensor])

    def finish(self, outputs: Sequence[str], names: Sequence[str]) -> Program:
        """The program without dead code; output tensor outputs[i] is called names[i]."""
        wanted = dict(zip(outputs, names, strict=True))
        used = set(outputs)
        kept: list[Operator] = []
        for operator in reversed(self.operators):
            if operator.output in used:
                kept.append(operator)
                used.update(operator.operands)
        renamed = self._renamed(wanted, used)
        operators = tuple(_rename(operator, renamed) for operator in reversed(kept))
        constants = {renamed.get(name, name): self.constants[name] for name in self.constants if name in used}
        return Program(self.inputs, tuple(names), operators, constants)

    def _renamed(self, wanted: dict[str, str], used: set[str]) -> dict[str, str]:
        renamed = dict(wanted)
        taken = set(wanted.values()) | used
        for name in set(wanted.values()) & used - set(wanted):
            other = name
            while other in taken:
                other += "_"
            taken.add(other)
            renamed[name] = other
        return renamed


def _rename(operator: Operator, names: dict[str, str]) -> Operator:
    changes: dict[str, object] = {"output": names.get(operator.output, operator.output)}
    for field in operator.operand_fields:
        value = getattr(operator, field)
        if isinstance(value, tuple):
            changes[field] = tuple(names.get(name, name) for name in value)
        elif value is not None:
            changes[field] = names.get(value, value)
    return replace(operator, **changes)  # type: ignore[arg-type]


def accumulator_dtype(lo: int, hi: int) -> DType:
    """The narrowest accumulator that holds every sum in [lo, hi].

    Raises:
        ProgramError: the sums may leave 64 bits.
    """
    for name in ("i32", "i64"):
        if dtype(name).holds(lo, hi):
            return dtype(name)
    raise ProgramError(
        f"its sums may reach {lo}…{hi}, outside 64 bits",
        advice="fewer bits for the weights or activations, or fewer taps",
    )


def weight_bounds(w: NDArray[np.int64], x: Bounds, bias: NDArray[np.int64] | None) -> Bounds:
    """Bounds of every partial sum of Σ w[o,…]·d + bias[o] over o, where each d lies in x or is zero (padding).

    Args:
        w: weights, output channel first.
        x: bounds of activation minus zero point.
    """
    rows = w.reshape(w.shape[0], prod(w.shape[1:]))
    positive, negative = np.maximum(rows, 0).sum(1), np.minimum(rows, 0).sum(1)
    lo, hi = min(x[0], 0), max(x[1], 0)
    above = [int(p) * hi + int(n) * lo for p, n in zip(positive, negative, strict=True)]
    below = [int(p) * lo + int(n) * hi for p, n in zip(positive, negative, strict=True)]
    shifts = [int(b) for b in bias] if bias is not None else [0] * len(above)
    return (
        min(b + min(s, 0) for b, s in zip(below, shifts, strict=True)),
        max(a + max(s, 0) for a, s in zip(above, shifts, strict=True)),
    )

"""The integer program: a flat list of operators over named tensors, immutable and validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import ProgramError
from edgeconv.ir.operators import Operator
from edgeconv.ir.types import DType, TensorType

ARITHMETIC_VERSION = 1
"""Version of docs/arithmetic.md; a change of any bit of any result raises it."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A constant tensor: integers in the container of `dtype` (or float32), read-only."""

    dtype: DType
    array: NDArray[np.generic]

    def __post_init__(self) -> None:
        array = np.ascontiguousarray(self.array)
        if array.dtype != self.dtype.container:
            if self.dtype.is_float or not np.issubdtype(array.dtype, np.integer):
                raise ProgramError(f"constant of numpy type {array.dtype} for {self.dtype}")
            array = array.astype(self._checked(array))
        elif not self.dtype.is_float:
            self._checked(array)
        array = array.copy() if array.flags.writeable else array
        array.flags.writeable = False
        object.__setattr__(self, "array", array)

    def _checked(self, array: NDArray[np.generic]) -> np.dtype[np.generic]:
        if array.size and not self.dtype.holds(int(array.min()), int(array.max())):
            raise ProgramError(f"constant holds {array.min()}…{array.max()}", expected=f"values of {self.dtype}")
        return self.dtype.container

    @property
    def type(self) -> TensorType:
        """Shape and element type."""
        return TensorType(self.array.shape, self.dtype)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Constant) or self.type != other.type:
            return False
        return self.array.tobytes() == other.array.tobytes()

    def __hash__(self) -> int:
        return hash((self.type, self.array.tobytes()))


@dataclass(frozen=True)
class Program:
    """An integer program over static shapes, in execution order.

    Attributes:
        inputs: type of each input by name, in the order of the graph. f32 inputs feed only `quantize`.
        outputs: names of the outputs, in the order of the graph.
        constants: constant tensors by name.
        operators: in execution order; every tensor is written once, before it is read.

    All shapes are those of one sample (leading batch axis 1 where the model had a symbolic one). At run time the
    program is applied to n samples independently.

    Raises:
        ProgramError: the program breaks a rule; the message names the operator.
    """

    inputs: Mapping[str, TensorType]
    outputs: tuple[str, ...]
    operators: tuple[Operator, ...]
    constants: Mapping[str, Constant] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", MappingProxyType(dict(self.inputs)))
        object.__setattr__(self, "constants", MappingProxyType(dict(self.constants)))
        object.__setattr__(self, "types", MappingProxyType(self._infer()))

    types: Mapping[str, TensorType] = field(init=False, repr=False, compare=False)
    """Type of every tensor: inputs, constants and operator outputs."""

    def _infer(self) -> dict[str, TensorType]:
        types = {name: constant.type for name, constant in self.constants.items()}
        for name, type_ in self.inputs.items():
            if name in types:
                raise ProgramError(f"%{name} is both an input and a constant")
            types[name] = type_
        for operator in self.operators:
            where = describe(operator)
            for operand in operator.operands:
                if operand not in types:
                    raise ProgramError(f"{where} reads %{operand}, which is not written before it")
            if operator.output in types:
                raise ProgramError(f"{where} writes %{operator.output}, which exists already")
            try:
                types[operator.output] = operator.infer(types)
            except ProgramError as error:
                raise ProgramError(f"{where}: {error.problem}", expected=error.expected) from error
        for name in self.outputs:
            if name not in types:
                raise ProgramError(f"output %{name} is never written")
        if not self.outputs or len(set(self.outputs)) != len(self.outputs):
            raise ProgramError(f"outputs {list(self.outputs)}", expected="at least one, each once")
        return types

    @cached_property
    def producers(self) -> Mapping[str, Operator]:
        """The operator that writes each tensor (inputs and constants are absent)."""
        return {operator.output: operator for operator in self.operators}

    @cached_property
    def consumers(self) -> Mapping[str, tuple[Operator, ...]]:
        """The operators that read each tensor, in execution order; an empty tuple where none does."""
        readers: dict[str, list[Operator]] = {name: [] for name in self.types}
        for operator in self.operators:
            for name in dict.fromkeys(operator.operands):
                readers[name].append(operator)
        return {name: tuple(found) for name, found in readers.items()}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        mine = (list(self.inputs.items()), self.outputs, self.operators, dict(self.constants))
        theirs = (list(other.inputs.items()), other.outputs, other.operators, dict(other.constants))
        return mine == theirs

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[object, ...]:
        return (Program, (dict(self.inputs), self.outputs, self.operators, dict(self.constants)))


def describe(operator: Operator) -> str:
    """How messages name an operator: keyword, output, and the ONNX node it came from."""
    origin = f" (from {operator.origin})" if operator.origin else ""
    return f"{operator.keyword} %{operator.output}{origin}"

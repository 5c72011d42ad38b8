"""What every operator of the integer program has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import ClassVar

from edgeconv.errors import ProgramError
from edgeconv.ir.types import DType, TensorType

OPERATORS: dict[str, type[Operator]] = {}
"""Every operator by the name it has in the text form."""


@dataclass(frozen=True)
class Operator(ABC):
    """One step of a program: reads tensors by name, writes one tensor.

    A subclass is a frozen dataclass. The fields listed in `operand_fields` name tensors (one name, a tuple of names, or
    None where an optional operand is absent); all other fields are attributes. `infer` is its one shape-and-type rule.
    `origin` names the ONNX node it came from.
    """

    keyword: ClassVar[str]
    operand_fields: ClassVar[tuple[str, ...]]
    output: str
    origin: str = field(default="", kw_only=True)

    def __init_subclass__(cls) -> None:
        OPERATORS[cls.keyword] = cls

    @property
    def operands(self) -> tuple[str, ...]:
        """Names of the tensors read, in order; optional operands that are absent are left out."""
        names: list[str] = []
        for name in self.operand_fields:
            value = getattr(self, name)
            names.extend(value if isinstance(value, tuple) else [] if value is None else [value])
        return tuple(names)

    @abstractmethod
    def infer(self, types: Mapping[str, TensorType]) -> TensorType:
        """The type of the output.

        Args:
            types: the type of every tensor that stands before this operator.

        Raises:
            ProgramError: shapes, types or attributes do not fit; the message tells what was found and expected.
        """

    def attributes(self) -> dict[str, object]:
        """Attributes by field name, in declaration order; operands, output and origin are left out."""
        skip = {"output", "origin", *self.operand_fields}
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name not in skip}


def require(condition: bool, problem: str, expected: str | None = None) -> None:
    """Raise ProgramError unless `condition` holds."""
    if not condition:
        raise ProgramError(problem, expected=expected)


def require_integer(name: str, type_: TensorType) -> None:
    """Raise ProgramError where a tensor that must hold integers holds floats."""
    require(not type_.dtype.is_float, f"operand %{name} is f32", "an integer tensor")


def require_accumulator(dtype: DType) -> None:
    """Raise ProgramError unless dtype is one of the accumulator types."""
    require(str(dtype) in ("i32", "i64"), f"accumulator type {dtype}", "i32 or i64")

"""One ONNX node as its handler sees it: values, attributes, and errors that name it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeconv.errors import ModelError, UnsupportedModelError
from edgeconv.importer.values import Constant, Known, Tensor


@dataclass(frozen=True)
class OnnxNode:
    """A node with its inputs resolved.

    Attributes:
        inputs: a value for every input, None for an absent one.
        outputs: the ONNX names; "" for an output that is not asked for.
        opset: version of the node's domain.
    """

    proto: onnx.NodeProto
    inputs: tuple[Known | None, ...]
    outputs: tuple[str, ...]
    opset: int

    @property
    def op(self) -> str:
        """The ONNX operator type."""
        return str(self.proto.op_type)

    @property
    def name(self) -> str:
        """The node's name, or its type and first output where it has none."""
        return label(self.proto)

    @property
    def output(self) -> str:
        """Name of the first output."""
        return self.outputs[0]

    def attribute(self, name: str, default: Any = None) -> Any:
        """The value of an attribute; strings are decoded."""
        for attribute in self.proto.attribute:
            if attribute.name == name:
                value = onnx.helper.get_attribute_value(attribute)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def ints(self, name: str) -> tuple[int, ...] | None:
        """A list of integers, or None where the attribute is absent."""
        value = self.attribute(name)
        return None if value is None else tuple(int(item) for item in value)

    def float32(self, name: str, default: float) -> float:
        """A float attribute as exactly its float32 value."""
        return float(np.float32(self.attribute(name, default)))

    def has(self, index: int) -> bool:
        """Whether input `index` is given."""
        return index < len(self.inputs) and self.inputs[index] is not None

    def value(self, index: int) -> Known:
        """Input `index`.

        Raises:
            UnsupportedModelError: it is absent.
        """
        value = self.inputs[index] if index < len(self.inputs) else None
        if value is None:
            raise self.error(f"input {index} is missing", advice="export the model again; this file is malformed")
        return value

    def optional(self, index: int) -> Known | None:
        """Input `index`, or None where it is absent."""
        return self.inputs[index] if index < len(self.inputs) else None

    def tensor(self, index: int) -> Tensor:
        """Input `index`, which is computed at run time.

        Raises:
            UnsupportedModelError: it is a constant.
        """
        value = self.value(index)
        if not isinstance(value, Tensor):
            raise self.error(f"input {index} ('{value.name}') is a constant", expected="a value computed at run time")
        return value

    def constant(self, index: int, meaning: str) -> NDArray[np.generic]:
        """Input `index` as a constant array; a dequantized constant as float32.

        Raises:
            UnsupportedModelError: it is computed at run time.
        """
        value = self.value(index)
        if isinstance(value, Tensor):
            raise self.error(
                f"{meaning} (input {index}, '{value.name}') is computed at run time",
                expected="a constant",
                advice="fix the value in the model before exporting it, or run a constant-folding pass on the file",
            )
        return value.array if isinstance(value, Constant) else value.real()

    def constant_ints(self, index: int, meaning: str) -> tuple[int, ...]:
        """Input `index` as a flat tuple of integers."""
        return tuple(int(item) for item in self.constant(index, meaning).reshape(-1))

    def axis(self, axis: int, rank: int) -> int:
        """A non-negative axis of a tensor of rank `rank`.

        Raises:
            UnsupportedModelError: it is out of range.
        """
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} of a tensor of rank {rank}", expected=f"an axis from {-rank} to {rank - 1}")
        return axis % rank if rank else 0

    def error(
        self,
        problem: str,
        *,
        expected: str | None = None,
        advice: str | None = None,
        kind: type[ModelError] = UnsupportedModelError,
    ) -> ModelError:
        """An error that names this node."""
        return kind(f"node '{self.name}' ({self.op}): {problem}", expected=expected, advice=advice)


def type_name(element_type: int) -> str:
    """What ONNX calls an element type."""
    known = element_type in onnx.TensorProto.DataType.values()
    return str(onnx.TensorProto.DataType.Name(element_type)).lower() if known else f"number {element_type}"


def label(proto: onnx.NodeProto) -> str:
    """What to call a node in messages."""
    if proto.name:
        return str(proto.name)
    outputs = [name for name in proto.output if name]
    return f"{proto.op_type} -> {outputs[0]}" if outputs else str(proto.op_type)

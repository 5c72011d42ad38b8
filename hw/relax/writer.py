"""A region of Relax as an ONNX model, so that one importer gives both the same integers and the same proofs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.relax.region import Region
from edgeconv.hw.relax.tensors import array_of, dtype_of, is_constant, shape_of

__all__ = ["Writer"]

_OPSET, _IR_VERSION = 21, 10


class Writer:
    """An ONNX graph that grows node by node.

    Attributes:
        name: of the binding that is being written; nodes are called after it.
        samples: leading extent of the inputs. Where there are several, the importer shows that they do not mix.
    """

    def __init__(self, region: Region) -> None:
        self.samples = region.samples
        self._names: dict[Any, str] = {}
        self._taken: set[str] = set()
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._region = region
        self.name = ""
        for var in region.inputs:
            self._names[var] = self.fresh(var.name)

    def fresh(self, wanted: str) -> str:
        """A name that nothing has yet."""
        name, number = wanted, 0
        while name in self._taken:
            number += 1
            name = f"{wanted}.{number}"
        self._taken.add(name)
        return name

    def begin(self, var: Any) -> None:
        """Give a variable its name."""
        self.name = self._names[var] = self.fresh(var.name)

    def operand(self, expression: Any) -> str:
        """The name of a variable or of a constant."""
        if is_constant(expression):
            return self.constant(array_of(expression))
        if expression not in self._names:
            raise UnsupportedModelError(f"{self.name} reads {expression}", expected="a tensor")
        return self._names[expression]

    def constant(self, array: NDArray[Any], wanted: str = "constant") -> str:
        """A new constant."""
        name = self.fresh(f"{self.name}.{wanted}")
        self._initializers.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def node(self, op: str, inputs: Iterable[str], output: str | None = None, **attributes: object) -> str:
        """Append a node; its output is the variable that is being written, or `output`."""
        result = output or self.name
        self._nodes.append(helper.make_node(op, list(inputs), [result], name=result, **attributes))
        return result

    def take_back(self, output: str, op: str) -> onnx.NodeProto | None:
        """Remove the node that writes `output`, to write it anew, if it is an `op` that nothing else reads."""
        readers = sum(output in node.input for node in self._nodes)
        kept_outside = any(self._names.get(var) == output for var in self._region.outputs)
        for index, node in enumerate(self._nodes):
            if node.output[0] == output and node.op_type == op and not readers and not kept_outside:
                return self._nodes.pop(index)
        return None

    def put(self, node: onnx.NodeProto) -> None:
        """Append a node that was taken back."""
        self._nodes.append(node)

    def model(self) -> onnx.ModelProto:
        """The model of everything that was written."""
        outputs = [(self._names[var], var) for var in self._region.outputs]
        graph = helper.make_graph(
            self._nodes,
            "region",
            [self._value_info(self._names[var], var) for var in self._region.inputs],
            [self._value_info(name, var) for name, var in outputs],
            self._initializers,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION)

    def _value_info(self, name: str, var: Any) -> onnx.ValueInfoProto:
        try:
            element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype_of(var)))
        except (TypeError, KeyError, ValueError) as error:
            raise UnsupportedModelError(
                f"{name} has the type {dtype_of(var)}", expected="float32, or integers of 8 or 16 bits"
            ) from error
        shape = shape_of(var)
        if any(isinstance(extent, str) for extent in shape[1:]):
            raise UnsupportedModelError(
                f"{name} has the shape {shape}", expected="no symbolic extent but the first one, the number of samples"
            )
        several = self.samples != 1 and shape[:1] == (self.samples,)
        return helper.make_tensor_value_info(name, element, ("samples", *shape[1:]) if several else shape)

"""An ONNX graph to look things up in and to change: producers, consumers, constants, names."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

__all__ = ["OnnxGraph"]


class OnnxGraph:
    """The graph of a model, changed in place.

    Attributes:
        producer: the node that makes a value.
        outputs: names of the graph's outputs.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        self.graph = model.graph
        self.producer = {name: node for node in self.graph.node for name in node.output if name}
        self.outputs = {value.name for value in self.graph.output}
        self._constants = {tensor.name: tensor for tensor in self.graph.initializer}
        self._taken = {*self.producer, *self._constants, *(value.name for value in self.graph.input)}

    def consumers(self, name: str) -> list[onnx.NodeProto]:
        """Nodes that read a value, in execution order."""
        return [node for node in self.graph.node if name in node.input]

    def constant(self, name: str) -> NDArray[Any] | None:
        """The array of an initializer or of a Constant node, or None where the value is computed."""
        if name in self._constants:
            return numpy_helper.to_array(self._constants[name])
        node = self.producer.get(name)
        if node is None or node.op_type != "Constant":
            return None
        tensors = [attribute.t for attribute in node.attribute if attribute.name == "value"]
        return numpy_helper.to_array(tensors[0]) if tensors else None

    def fresh(self, base: str) -> str:
        """A value name that starts with `base` and is not in use."""
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}.{number}"
        self._taken.add(name)
        return name

    def add_constant(self, base: str, array: NDArray[Any] | np.generic) -> str:
        """Add an initializer and return its name."""
        name = self.fresh(base)
        tensor = numpy_helper.from_array(np.ascontiguousarray(array).reshape(np.shape(array)), name)
        self.graph.initializer.append(tensor)
        self._constants[name] = self.graph.initializer[-1]
        return name

    def rename_output(self, node: onnx.NodeProto, name: str) -> None:
        """Let a node's first output be called `name`, which nothing else makes."""
        self.producer.pop(node.output[0], None)
        node.output[0] = name
        self.producer[name] = node

    def remove(self, node: onnx.NodeProto) -> None:
        """Take a node out."""
        for name in node.output:
            self.producer.pop(name, None)
        self.graph.node.remove(node)

    def insert_after(self, name: str, nodes: list[onnx.NodeProto]) -> None:
        """Put nodes behind the one that makes a value; at the start for inputs, initializers and ""."""
        position = next((i + 1 for i, node in enumerate(self.graph.node) if name and name in node.output), 0)
        for offset, node in enumerate(nodes):
            self.graph.node.insert(position + offset, node)
            self.producer.update(dict.fromkeys(node.output, node))

    def insert_before(self, node: onnx.NodeProto, new: onnx.NodeProto) -> None:
        """Put a node in front of another."""
        position = next(i for i, other in enumerate(self.graph.node) if other == node)
        self.graph.node.insert(position, new)
        self.producer.update(dict.fromkeys(new.output, new))

    def remove_unused(self) -> None:
        """Take out initializers that nothing reads, that inputs could override, and shapes of values since changed."""
        used = {name for node in self.graph.node for name in node.input} | self.outputs
        inputs = [value for value in self.graph.input if value.name not in self._constants]
        del self.graph.input[:]
        self.graph.input.extend(inputs)
        kept = [tensor for tensor in self.graph.initializer if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)
        self._constants = {tensor.name: tensor for tensor in self.graph.initializer}
        del self.graph.value_info[:]

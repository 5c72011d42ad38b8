"""A float network of `scripts/bench_networks.py` as a torch module, to be measured beside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

__all__ = ["torch_twin"]


def torch_twin(path: Path) -> Any:
    """A torch module that computes the float ONNX network, node by node.

    Raises:
        KeyError: the network has an operator that none of the benchmark networks has.
    """
    import torch
    from torch.nn import functional as F

    graph = onnx.load(path).graph
    constants = {tensor.name: np.array(numpy_helper.to_array(tensor)) for tensor in graph.initializer}

    def conv(x: Any, w: Any, b: Any, strides: Any, pads: Any, group: int) -> Any:
        function = F.conv1d if w.dim() == 3 else F.conv2d
        return function(x, w, b, stride=tuple(strides), padding=tuple(pads[: len(strides)]), groups=group)

    operators = {
        "Conv": lambda n, x, w, b: conv(x, w, b, n["strides"], n["pads"], n.get("group", 1)),
        "Gemm": lambda n, x, w, b: F.linear(x, w, b),
        "Relu": lambda n, x: F.relu(x),
        "Sigmoid": lambda n, x: torch.sigmoid(x),
        "Add": lambda n, x, y: x + y,
        "Flatten": lambda n, x: torch.flatten(x, 1),
        "ReduceMean": lambda n, x: x.mean(dim=tuple(n["axes"])),
        "Resize": lambda n, x, *_: F.interpolate(x, scale_factor=2, mode="nearest"),
    }

    class Twin(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            for name, array in constants.items():
                self.register_buffer(name, torch.from_numpy(array))
            self.nodes = []
            for node in graph.node:
                attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
                self.nodes.append((node.op_type, attributes, [i for i in node.input if i], node.output[0]))

        def forward(self, x: Any) -> Any:
            values = {graph.input[0].name: x}
            for operator, attributes, inputs, output in self.nodes:
                arguments = [values[i] if i in values else getattr(self, i) for i in inputs]
                values[output] = operators[operator](attributes, *arguments)
            return values[graph.output[0].name]

    return Twin()

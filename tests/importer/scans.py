"""ONNX models around `edgeconv::SelectiveScan`, with random constants."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edgeconv.importer.scan_function import DOMAIN, DOMAIN_VERSION, INPUTS, NAME, scan_function
from edgeconv.ir.operators.scan import decay_tables


@dataclass
class ScanModel:
    """Integer inputs x, dt, b, c and the output y of int32, one node between them.

    Attributes:
        constants: the other inputs of the node, to be changed before `proto` is called.
    """

    channels: int = 5
    states: int = 3
    length: int = 8
    exp_bits: int = 15
    state_bits: int = 16
    opset: int = 21
    seed: int = 0
    rows: int = 1
    constants: dict[str, NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        high, low = decay_tables(self.exp_bits)
        self.constants = {
            "a": self.rng.integers(0, 256, (self.channels, self.states)).astype(np.uint8),
            "skip": self.rng.integers(-99999, 99999, self.channels).astype(np.int32),
            "steps": np.sort(self.rng.integers(0, 1 << 16, (self.rows, 256)), 1).astype(np.int32),
            "exp_high": np.array(high, np.int32),
            "exp_low": np.array(low, np.int32),
            "decay_shift": self.rng.integers(4, 12, self.channels).astype(np.uint8),
            "input_shift": self.rng.integers(28 - self.state_bits, 34 - self.state_bits, self.channels).astype(
                np.uint8
            ),
        }

    def proto(self, batch: str | int = "n") -> onnx.ModelProto:
        """The model."""
        shapes = {name: (batch, rows, self.length) for name, rows in zip("x dt b c".split(), self._rows(), strict=True)}
        node = helper.make_node(
            NAME, INPUTS, ["y"], name="scan", domain=DOMAIN, exp_bits=self.exp_bits, state_bits=self.state_bits
        )
        graph = helper.make_graph(
            [node],
            "g",
            [helper.make_tensor_value_info(name, TensorProto.INT8, shape) for name, shape in shapes.items()],
            [helper.make_tensor_value_info("y", TensorProto.INT32, (batch, self.channels, self.length))],
            [numpy_helper.from_array(array, name) for name, array in self.constants.items()],
        )
        opsets = [helper.make_opsetid("", self.opset), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
        return helper.make_model(graph, functions=[scan_function(self.opset)], opset_imports=opsets, ir_version=10)

    def feeds(self, samples: int) -> dict[str, NDArray[np.int8]]:
        """Random inputs, the ends of int8 among them."""
        arrays = {}
        for name, rows in zip(("x", "dt", "b", "c"), self._rows(), strict=True):
            values = self.rng.integers(-128, 128, (samples, rows, self.length))
            ends = self.rng.random(values.shape) < 0.2
            values[ends] = self.rng.choice([-128, 127], int(ends.sum()))
            arrays[name] = values.astype(np.int8)
        return arrays

    def _rows(self) -> tuple[int, int, int, int]:
        return self.channels, self.channels, self.states, self.states

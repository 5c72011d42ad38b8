"""The quantized model against the float model it came from: noise per layer and at the outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeconv.importer.graph import QuantizedGraph, Quantizer
from edgeconv.ir import Program
from edgeconv.verify.onnx_peer import OnnxPeer
from edgeconv.verify.results import Metric

Array = NDArray[np.generic]


@dataclass
class SignalNoise:
    """Sums of squares of exact values and of the errors of approximate ones, from any number of pieces."""

    signal: float = 0.0
    noise: float = 0.0

    def add(self, exact: NDArray[np.float64], approximate: NDArray[np.float64]) -> None:
        """Take in arrays of one shape."""
        self.signal += float((exact**2).sum())
        self.noise += float(((exact - approximate) ** 2).sum())

    @property
    def decibel(self) -> float:
        """10·log10(signal / noise); infinite without noise."""
        if self.noise == 0:
            return float("inf")
        return float(10 * np.log10(max(self.signal, 1e-300) / self.noise))


class FloatModel:
    """A float ONNX model beside a program made from its quantized version.

    A layer is compared where the tensor that a quantizer reads has a value of the same name in the float model, as
    onnxruntime's quantization tools leave it.
    """

    def __init__(self, model: Path, program: Program, graph: QuantizedGraph) -> None:
        proto = onnx.load(str(model))
        self.peer = OnnxPeer(model, optimized=False)
        known = {name for node in proto.graph.node for name in node.output}
        quantizers = {node.name: node for node in graph.nodes if node.op == "Quantize"}
        self._layers: dict[str, tuple[str, Quantizer]] = {}
        for operator in program.operators:
            node = quantizers.get(operator.origin)
            quantizer = node.attributes.get("quantizer") if node is not None else None
            if node is not None and node.inputs[0] in known and isinstance(quantizer, Quantizer):
                self._layers[operator.output] = (node.inputs[0], quantizer)
        self.peer.also({value for value, _ in self._layers.values()})
        self._power = {name: SignalNoise() for name in self._layers}
        self._outputs = {name: SignalNoise() for name in program.outputs}
        self._largest = dict.fromkeys(program.outputs, 0.0)
        self._agree = {name: [0, 0] for name in program.outputs}
        self._program = program

    @property
    def tensors(self) -> set[str]:
        """Tensors of the program that `add` needs."""
        return set(self._layers)

    def add(self, mine: Mapping[str, Array], inputs: Mapping[str, Array], outputs: Mapping[str, str]) -> None:
        """Compare one chunk.

        Args:
            mine: tensors of the program.
            outputs: name of the float model's output for each output of the program.
        """
        exact = self.peer.run(inputs)
        for tensor, (value, quantizer) in self._layers.items():
            integers = mine[tensor].astype(np.float64)
            shape = [1] * integers.ndim
            if len(quantizer.scale) > 1:
                shape[1 + quantizer.axis] = -1
            real = (integers - quantizer.zero_point) * np.array(quantizer.scale).reshape(shape)
            if exact[value].size == real.size:
                self._power[tensor].add(exact[value].astype(np.float64).reshape(real.shape), real)
        for name, value in outputs.items():
            self._add_output(name, exact[value].astype(np.float64), mine[name].astype(np.float64))

    def _add_output(self, name: str, exact: NDArray[np.float64], approximate: NDArray[np.float64]) -> None:
        if exact.size != approximate.size:
            return
        approximate = approximate.reshape(exact.shape)
        self._outputs[name].add(exact, approximate)
        self._largest[name] = max(self._largest[name], float(np.abs(exact - approximate).max()))
        rows = exact.reshape(len(exact), -1)
        best = rows.argmax(1) == approximate.reshape(rows.shape).argmax(1)
        self._agree[name][0] += int(best.sum())
        self._agree[name][1] += len(best)

    def sqnr(self) -> dict[str, float]:
        """Signal-to-quantization-noise ratio in dB by tensor of the program."""
        return {name: power.decibel for name, power in self._power.items()}

    def metrics(self) -> tuple[Metric, ...]:
        """Figures of each output: SQNR, largest absolute error, agreement of the largest entry."""
        found: list[Metric] = []
        for name in self._program.outputs:
            found.append(Metric(f"{name}: SQNR against float", self._outputs[name].decibel, "dB"))
            found.append(Metric(f"{name}: largest absolute error", self._largest[name]))
            same, of = self._agree[name]
            if of and self._program.types[name].size > 1:
                found.append(Metric(f"{name}: same largest entry", 100 * same / of, "%"))
        return tuple(found)

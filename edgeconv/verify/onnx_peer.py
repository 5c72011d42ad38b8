"""onnxruntime as a peer: final outputs, and the integers behind each quantizer."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from edgeconv.errors import ToolError
from edgeconv.importer.node import label

Array = NDArray[np.generic]
_ROUNDING_OPS = ("QuantizeLinear", "QLinear", "QGemm")


class OnnxPeer:
    """A model in onnxruntime, one thread.

    Args:
        model: path of the ONNX file, or the model itself.
        optimized: all graph optimizations on, or all off. Off is nearest to what the file says.
        layers: also return the output of every node that quantizes.

    Raises:
        ToolError: onnxruntime cannot run the model (custom QONNX operators, for instance).
    """

    def __init__(self, model: Path | onnx.ModelProto, *, optimized: bool, layers: bool = False) -> None:
        self._model = model if isinstance(model, Path) else model.graph.name or "the model"
        self._proto = onnx.ModelProto()
        self._proto.CopyFrom(onnx.load(str(model)) if isinstance(model, Path) else model)
        self._proto.ir_version = min(self._proto.ir_version, 13)  # the newest that onnxruntime 1.31 reads
        self._optimized = optimized
        self.outputs = [value.name for value in self._proto.graph.output]
        self.layers = _quantizer_outputs(self._proto) if layers else {}
        self._names = list(self.outputs)
        self.also(set(self.layers.values()))

    def also(self, values: Collection[str]) -> None:
        """Return further values of the graph beside the outputs."""
        extra = sorted(set(values) - set(self._names))
        self._proto.graph.output.extend(onnx.ValueInfoProto(name=name) for name in extra)
        self._names += extra
        self._session = self._open()
        self._inputs = {value.name: value for value in self._session.get_inputs()}

    def _open(self) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        levels = ort.GraphOptimizationLevel
        options.graph_optimization_level = levels.ORT_ENABLE_ALL if self._optimized else levels.ORT_DISABLE_ALL
        try:
            return ort.InferenceSession(self._proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise self._refusal(error) from error

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by ONNX value name, each (samples, *shape of one sample).

        Args:
            inputs: arrays of shape (samples, *shape of one sample) by input name.

        Raises:
            ToolError: onnxruntime does not run it on them.
        """
        samples = len(next(iter(inputs.values())))
        shapes = [self._inputs[name].shape for name in inputs]
        if all(shape and not isinstance(shape[0], int) for shape in shapes):
            feeds = {name: array.reshape(samples * array.shape[1], *array.shape[2:]) for name, array in inputs.items()}
            stacked = self._call(feeds)
            if all(r.ndim and r.shape[0] == samples for r in stacked):
                return {name: r.reshape(samples, 1, *r.shape[1:]) for name, r in zip(self._names, stacked, strict=True)}
        each = [self._call({name: a[i] for name, a in inputs.items()}) for i in range(samples)]
        return {name: np.stack([r[k] for r in each]) for k, name in enumerate(self._names)}

    def _call(self, feeds: Mapping[str, Array]) -> list[Array]:
        try:
            return [np.asarray(result) for result in self._session.run(self._names, dict(feeds))]
        except Exception as error:
            raise self._refusal(error) from error

    def _refusal(self, error: Exception) -> ToolError:
        """What to say of an error of onnxruntime, which has many types that share no base of their own."""
        reason = " ".join(str(error).split())[:250]
        how = "with its optimizations" if self._optimized else "without optimizations"
        return ToolError(f"onnxruntime cannot run {self._model} {how}: {reason}")


def _quantizer_outputs(proto: onnx.ModelProto) -> dict[str, str]:
    """Output value of each quantizing node, by the name under which the importer knows the node."""
    rounding = [node for node in proto.graph.node if node.op_type.startswith(_ROUNDING_OPS)]
    return {label(node): node.output[0] for node in rounding}

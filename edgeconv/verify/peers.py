"""onnxruntime and the float model beside the reference, chunk by chunk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import ToolError
from edgeconv.importer.graph import QuantizedGraph
from edgeconv.ir import Program
from edgeconv.verify.float_model import FloatModel
from edgeconv.verify.layers import LayerTable
from edgeconv.verify.onnx_peer import OnnxPeer
from edgeconv.verify.results import LayerComparison, Metric

Array = NDArray[np.generic]
_PLAIN, _OPTIMIZED = "onnxruntime", "onnxruntime (optimized)"


class OnnxComparison:
    """onnxruntime with optimizations off (per layer) and on, and the float model where one is given.

    What cannot be run is left out, and `notes` says why.
    """

    def __init__(
        self, model: Path, float_model: str | Path | None, program: Program, graph: QuantizedGraph, notes: list[str]
    ) -> None:
        self._program = program
        self._notes = notes
        self._outputs = dict(zip(program.outputs, graph.output_names, strict=True))
        self._peers: dict[str, OnnxPeer] = {}
        try:
            self._peers[_PLAIN] = OnnxPeer(model, optimized=False, layers=True)
            self._peers[_OPTIMIZED] = OnnxPeer(model, optimized=True)
        except ToolError as error:
            notes.append(f"{error.problem}; this was not compared")
        self._table = LayerTable(program, self._peers[_PLAIN].layers if _PLAIN in self._peers else {})
        self._float = None if float_model is None else FloatModel(Path(float_model), program, graph)

    @property
    def tensors(self) -> set[str]:
        """Tensors of the program that `add` needs."""
        return self._table.tensors | (self._float.tensors if self._float else set())

    def add(self, inputs: Mapping[str, Array], mine: Mapping[str, Array]) -> Iterator[tuple[str, str, Array]]:
        """Run one chunk; yields (peer, output of the program, array in the reference's shape)."""
        for label, peer in tuple(self._peers.items()):
            try:
                theirs = peer.run(inputs)
            except ToolError as error:
                del self._peers[label]
                self._notes.append(f"{error.problem}; this was compared no further")
                continue
            if label == _PLAIN:
                self._table.add(mine, theirs)
            for output, name in self._outputs.items():
                if theirs[name].size == mine[output].size:
                    yield label, output, theirs[name].reshape(mine[output].shape)
        if self._float is not None:
            outputs = dict(zip(self._program.outputs, self._float.peer.outputs, strict=False))
            self._float.add(mine, inputs, outputs)

    def rows(self) -> tuple[LayerComparison, ...]:
        """The per-layer table."""
        return self._table.rows(self._float.sqnr() if self._float else {})

    def metrics(self) -> tuple[Metric, ...]:
        """Figures against the float model."""
        return self._float.metrics() if self._float else ()

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


class OnnxComparison:
    """onnxruntime with optimizations off (per layer) and on, and the float model where one is given.

    What cannot be run is left out, and `notes` says why.
    """

    def __init__(
        self, model: Path, float_model: str | Path | None, program: Program, graph: QuantizedGraph, notes: list[str]
    ) -> None:
        self._program = program
        self._outputs = dict(zip(program.outputs, graph.output_names, strict=True))
        self._plain: OnnxPeer | None = None
        self._optimized: OnnxPeer | None = None
        try:
            self._plain = OnnxPeer(model, optimized=False, layers=True)
            self._optimized = OnnxPeer(model, optimized=True)
        except ToolError as error:
            notes.append(f"{error.problem}; it was not compared")
        self._table = LayerTable(program, self._plain.layers if self._plain else {})
        self._float = None if float_model is None else FloatModel(Path(float_model), program, graph)

    @property
    def tensors(self) -> set[str]:
        """Tensors of the program that `add` needs."""
        return self._table.tensors | (self._float.tensors if self._float else set())

    def add(self, inputs: Mapping[str, Array], mine: Mapping[str, Array]) -> Iterator[tuple[str, str, Array]]:
        """Run one chunk; yields (peer, output of the program, array in the reference's shape)."""
        for label, peer in (("onnxruntime", self._plain), ("onnxruntime (optimized)", self._optimized)):
            if peer is None:
                continue
            theirs = peer.run(inputs)
            if peer is self._plain:
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

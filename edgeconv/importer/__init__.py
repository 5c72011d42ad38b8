"""Reading ONNX: three quantization dialects become one quantized graph (docs/importer.md has the table of nodes)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeconv.importer.graph import GraphInput, Node, QuantizedGraph, Quantizer, Scale

__all__ = ["GraphInput", "Node", "QuantizedGraph", "Quantizer", "Scale", "read_onnx"]


def read_onnx(path: str | Path, shapes: Mapping[str, int] | None = None) -> QuantizedGraph:
    """Read a quantized ONNX model (QCDQ, QONNX or QOperator, operator sets 9 to 25).

    Args:
        path: the model file; external data is read from beside it.
        shapes: extents of symbolic dimensions by name. A symbolic leading dimension that is not named here becomes the
            run-time number of samples.

    Raises:
        ModelFileError: missing, truncated, corrupt, not ONNX, or without its external data.
        UnsupportedModelError: operators, operator sets, types or dynamic shapes that are not supported, all of them
            listed at once.
        QuantizationError: quantizers with impossible scales, zero points or axes.
    """
    # Late: lowering imports the graph types, and they need no onnx.
    from edgeconv.importer.read import read

    return read(Path(path), shapes or {})

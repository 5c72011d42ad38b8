"""The quantized graph: what every ONNX dialect becomes before lowering.

Values are of two kinds. *Integer* values are tensors of integers: graph inputs of an integer type, outputs of
`Quantize`, and integer constants. *Real* values are mathematical real numbers with no rounding anywhere: outputs of
`Dequantize` and of all float operators, float graph inputs and float constants. `Quantize` is the only operator that
rounds. Movement operators (Reshape, MaxPool, Concat, …) work on both kinds.

A dialect maps to this form: QCDQ keeps its QuantizeLinear and DequantizeLinear; a QONNX Quant becomes Quantize followed
by Dequantize; QLinearConv becomes Dequantize, Conv, Quantize; ConvInteger becomes Dequantize with scale 1, then Conv.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import DType, Rounding


@dataclass(frozen=True)
class Quantizer:
    """The parameters of a `Quantize`: integer = clip(round(x / scale) + zero_point, lo, hi).

    Attributes:
        scale: exact float32 values, positive and finite; one, or one per index of `axis`.
        dtype: element type of the integers; lo and hi are the clip bounds inside it.
        zero_point_inside: QONNX's order: clip(x / scale + zero_point, lo, hi), then round.
    """

    scale: tuple[float, ...]
    zero_point: int
    dtype: DType
    lo: int
    hi: int
    rounding: Rounding = Rounding.HALF_EVEN
    zero_point_inside: bool = False
    axis: int = 1


@dataclass(frozen=True)
class Scale:
    """The parameters of a `Dequantize`: real = scale·(integer - zero_point), exactly.

    Attributes:
        scale: exact float32 values; one, or one per index of `axis`.
        zero_point: one integer, or one per index of `axis`.
    """

    scale: tuple[float, ...]
    zero_point: tuple[int, ...] = (0,)
    axis: int = 1


@dataclass(frozen=True)
class Node:
    """One operator: `op` is "Quantize", "Dequantize", or the name of an ONNX float operator in its newest meaning.

    Attributes:
        name: the ONNX node it came from, for messages: its name, or type and output where it has none.
        inputs: value names; "" for an absent optional input.
        attributes: normalized by the importer: `pads` are explicit (auto_pad and ceil_mode resolved), lists are tuples
            of int for every spatial axis, axes are non-negative, shapes and other shape-like inputs are moved from
            inputs to attributes. "Quantize" has `quantizer`: Quantizer; "Dequantize" has `scale`: Scale.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class GraphInput:
    """A graph input: `dtype` is f32 or an integer type of 8 or 16 bits; `shape` is one sample's (batch axis 1)."""

    name: str
    shape: tuple[int, ...]
    dtype: DType
    symbolic_batch: bool


@dataclass(frozen=True)
class QuantizedGraph:
    """A graph in topological order.

    Attributes:
        constants: float32 arrays (real) or integer arrays (integer) by value name.
        constant_dtypes: the narrow type (such as i4) of integer constants whose container is wider.
        shapes: static shape of every value, one sample.
        outputs: value names in the order of the model.
        output_names: the model's name of each output (several may share one value).
        dialect: "qcdq", "qonnx", "qoperator" or "mixed", for reports.
    """

    inputs: tuple[GraphInput, ...]
    outputs: tuple[str, ...]
    output_names: tuple[str, ...]
    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[np.generic]]
    constant_dtypes: Mapping[str, DType]
    shapes: Mapping[str, tuple[int, ...]]
    dialect: str

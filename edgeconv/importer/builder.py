"""Collecting the nodes, constants and shapes of a quantized graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import QuantizationError
from edgeconv.importer.graph import GraphInput, Node, Quantizer, Scale
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import Constant, QuantizedConstant, Tensor, integer_dtype
from edgeconv.ir import DType

UNIT = Scale((1.0,))


_LARGEST = 1 << 31


def check_size(node: OnnxNode, shape: tuple[int, ...]) -> None:
    """Refuse values that no device holds, before anything walks over their elements.

    Raises:
        UnsupportedModelError: more than 2³¹ elements.
    """
    if prod(shape) > _LARGEST:
        raise node.error(f"a value of shape {shape}", expected="at most 2³¹ elements", advice="check its attributes")


class Builder:
    """The quantized graph under construction.

    Value names of the ONNX file are kept for the value they name; values in between get a name derived from it.
    """

    def __init__(self, taken: Sequence[str]) -> None:
        self._taken = set(taken)
        self._dequantized: dict[tuple[str, Scale, tuple[int, ...]], str] = {}
        self.nodes: list[Node] = []
        self.producers: dict[str, Node] = {}
        self.inputs: list[GraphInput] = []
        self.constants: dict[str, NDArray[np.generic]] = {}
        self.constant_dtypes: dict[str, DType] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.dialects: set[str] = set()

    def fresh(self, base: str) -> str:
        """A value name that starts with `base` and is not in use."""
        name, number = base, 1
        while name in self._taken:
            number += 1
            name = f"{base}.{number}"
        self._taken.add(name)
        return name

    def add_input(self, graph_input: GraphInput) -> Tensor:
        """Declare a graph input."""
        self.inputs.append(graph_input)
        self.shapes[graph_input.name] = graph_input.shape
        return Tensor(graph_input.name, graph_input.shape, None if graph_input.dtype.is_float else graph_input.dtype)

    def emit(
        self,
        op: str,
        node: OnnxNode,
        inputs: Sequence[str],
        shape: tuple[int, ...],
        /,
        *,
        output: str | None = None,
        part: str = "",
        kind: DType | None = None,
        nominal: DType | None = None,
        **attributes: object,
    ) -> Tensor:
        """Append a node.

        Args:
            op: operator of the quantized graph.
            inputs: names of values that exist.
            output: the ONNX name of its result; by default the node's first output.
            part: what this result is, where one ONNX node becomes several: its name is then derived from `output`.
            kind: the type of integers it produces; None for reals.
        """
        check_size(node, shape)
        name = output if output is not None else node.output
        if part:
            name = self.fresh(f"{name}.{part}")
        result = Node(op, node.name, tuple(inputs), name, attributes)
        self.nodes.append(result)
        self.producers[name] = result
        self.shapes[name] = shape
        return Tensor(name, shape, kind, nominal)

    def like(self, x: Tensor, tensor: Tensor) -> Tensor:
        """`tensor` as a value of the same kind as x: what a movement of x produces."""
        return replace(tensor, dtype=x.dtype, nominal=x.nominal)

    def real(self, node: OnnxNode, index: int) -> str:
        """The name of input `index` as a real value.

        Raises:
            UnsupportedModelError: it is an integer value that nothing dequantizes.
        """
        value = node.value(index)
        if isinstance(value, Tensor):
            if value.dtype is not None:
                raise node.error(
                    f"float operator on the integers ({value.dtype}) of '{value.name}'",
                    expected="real values",
                    advice="put a DequantizeLinear, or a Cast to float, before it",
                )
            return value.name
        return self.real_constant(node, value)

    def real_constant(self, node: OnnxNode, value: Constant | QuantizedConstant) -> str:
        """The name of a constant as a real value; a quantized one is read through a Dequantize.

        Raises:
            QuantizationError: it holds NaN or infinity.
        """
        if isinstance(value, QuantizedConstant):
            return self._dequantized_constant(node, value)
        integers = integer_dtype(value.array.dtype)
        if integers is not None:
            return self._dequantized_constant(node, QuantizedConstant(value.name, value.array, integers, UNIT))
        array = self.finite(node, value)
        return self._register(value.name, array)

    def integer_constant(self, value: Constant) -> str:
        """The name of an array of integers as an integer value."""
        return self._register(value.name, value.array)

    def finite(self, node: OnnxNode, value: Constant | QuantizedConstant) -> NDArray[np.float32]:
        """A constant as float32.

        Raises:
            QuantizationError: it holds NaN, infinity or float64 values outside float32.
        """
        array = value.real() if isinstance(value, QuantizedConstant) else value.array.astype(np.float32)
        if not np.isfinite(array).all():
            raise node.error(
                f"constant '{value.name}' holds NaN or infinity",
                expected="finite numbers",
                advice="train again or repair the file: the network cannot work with these weights",
                kind=QuantizationError,
            )
        return array

    def _register(self, base: str, array: NDArray[np.generic], narrow: DType | None = None) -> str:
        name = base
        known = self.constants.get(base)
        if known is not None and (known.dtype != array.dtype or not np.array_equal(known, array)):
            name = self.fresh(base)
        if name in self.producers:
            name = self.fresh(base)
        self.constants[name] = array
        self.shapes[name] = array.shape
        if narrow is not None and narrow.bits < 8 * array.dtype.itemsize:
            self.constant_dtypes[name] = narrow
        return name

    def _dequantized_constant(self, node: OnnxNode, value: QuantizedConstant) -> str:
        # One array may be read at several scales: a bias that layers share, for example.
        key = (value.name, value.scale, value.shape)
        if key in self._dequantized:
            return self._dequantized[key]
        name = self.fresh(value.name) if value.name in self.producers else value.name
        self._dequantized[key] = name
        integers = self._register(
            self.fresh(f"{name}.integers"), value.integers.astype(value.dtype.container), value.dtype
        )
        dequantize = Node("Dequantize", node.name, (integers,), name, {"scale": value.scale})
        self.nodes.append(dequantize)
        self.producers[name] = dequantize
        self.shapes[name] = value.shape
        return name

    def quantize(self, node: OnnxNode, x: str, quantizer: Quantizer, *, output: str | None = None) -> Tensor:
        """Append a Quantize of the real value `x`."""
        return self.emit(
            "Quantize", node, (x,), self.shapes[x], output=output, kind=quantizer.dtype, quantizer=quantizer
        )

    def dequantize(self, node: OnnxNode, x: Tensor, scale: Scale, *, part: str = "") -> Tensor:
        """Append a Dequantize of the integer value `x`."""
        return self.emit("Dequantize", node, (x.name,), x.shape, part=part, scale=scale)

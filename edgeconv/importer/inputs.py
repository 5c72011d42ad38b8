"""Graph inputs: their types, and which of their dimensions are the batch or need an extent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import onnx
from onnx import TensorProto

from edgeconv.errors import UnsupportedModelError, UsageError
from edgeconv.importer.graph import GraphInput
from edgeconv.importer.node import type_name
from edgeconv.ir import dtype

_TYPES = {
    TensorProto.FLOAT: "f32",
    TensorProto.INT8: "i8",
    TensorProto.UINT8: "u8",
    TensorProto.INT16: "i16",
    TensorProto.UINT16: "u16",
}


@dataclass(frozen=True)
class InputShape:
    """The declared shape of a graph input: an int for a static dimension, a name for a symbolic one."""

    name: str
    type_name: str
    dimensions: tuple[int | str, ...]

    @property
    def leads_with_symbol(self) -> bool:
        """Whether the leading dimension is symbolic."""
        return bool(self.dimensions) and isinstance(self.dimensions[0], str)


def declared_inputs(model: onnx.ModelProto) -> tuple[InputShape, ...]:
    """The graph inputs that are not also initializers (as files before IR version 4 list them).

    Raises:
        UnsupportedModelError: an input is no tensor, has another type than float32 or integers of 8 or 16 bits, or no
            declared rank.
    """
    initializers = {tensor.name for tensor in model.graph.initializer}
    return tuple(_declared(value) for value in model.graph.input if value.name not in initializers)


def _declared(value: onnx.ValueInfoProto) -> InputShape:
    if not value.type.HasField("tensor_type"):
        raise UnsupportedModelError(f"input '{value.name}' is not a tensor", expected="tensors only")
    tensor = value.type.tensor_type
    if tensor.elem_type not in _TYPES:
        raise UnsupportedModelError(
            f"input '{value.name}' has type {type_name(tensor.elem_type)}",
            expected="float32, or integers of 8 or 16 bits",
            advice="export the model in float32, or cast samples to 8 or 16 bits before they enter the model",
        )
    if not tensor.HasField("shape"):
        raise UnsupportedModelError(
            f"input '{value.name}' has no shape",
            expected="a declared shape, symbolic dimensions included",
            advice="export with example inputs, or set the shape with onnx.tools.update_model_dims",
        )
    dimensions: list[int | str] = []
    for axis, dimension in enumerate(tensor.shape.dim):
        if dimension.HasField("dim_value") and dimension.dim_value > 0:
            dimensions.append(int(dimension.dim_value))
        else:
            dimensions.append(dimension.dim_param or f"{value.name}.{axis}")
    return InputShape(value.name, _TYPES[tensor.elem_type], tuple(dimensions))


def bind(declared: tuple[InputShape, ...], shapes: Mapping[str, int], batch: int) -> tuple[GraphInput, ...]:
    """Graph inputs with static shapes.

    Args:
        shapes: extents of symbolic dimensions by name.
        batch: the extent that a symbolic leading dimension gets unless `shapes` names it.

    Raises:
        UnsupportedModelError: a symbolic dimension has no extent, or only some inputs have a symbolic batch.
        UsageError: `shapes` names a dimension that the model does not have, or an extent below 1.
    """
    symbols = {d for shape in declared for d in shape.dimensions if isinstance(d, str)}
    _check_shapes(symbols, shapes)
    batches = {shape.dimensions[0] for shape in declared if shape.leads_with_symbol} - set(shapes)
    missing = {d for shape in declared for d in shape.dimensions[1:] if isinstance(d, str)} - set(shapes)
    if missing:
        names = sorted(missing)
        raise UnsupportedModelError(
            f"symbolic dimensions without an extent: {', '.join(names)} "
            f"(inputs {', '.join(f'{s.name}{list(s.dimensions)}' for s in declared)})",
            expected="static shapes, but for a leading batch dimension",
            advice=" ".join(f"--shape {name}=EXTENT" for name in names)
            + f" (in Python shapes={{{', '.join(f'{name!r}: EXTENT' for name in names)}}})",
        )
    has_batch = [shape.leads_with_symbol and shape.dimensions[0] in batches for shape in declared]
    if any(has_batch) and not all(has_batch):
        fixed = [shape.name for shape, symbolic in zip(declared, has_batch, strict=True) if not symbolic]
        raise UnsupportedModelError(
            f"inputs {', '.join(fixed)} have no symbolic batch dimension, the other inputs have one",
            expected="a batch dimension on every input or on none",
            advice=" ".join(f"--shape {name}=1" for name in sorted(map(str, batches))),
        )
    return tuple(
        GraphInput(
            shape.name,
            tuple(d if isinstance(d, int) else shapes.get(d, batch) for d in shape.dimensions),
            dtype(shape.type_name),
            symbolic,
        )
        for shape, symbolic in zip(declared, has_batch, strict=True)
    )


def _check_shapes(symbols: set[str], shapes: Mapping[str, int]) -> None:
    for name, extent in shapes.items():
        if name not in symbols:
            found = ", ".join(sorted(symbols)) or "none"
            raise UsageError(
                f"the model has no symbolic dimension called {name!r}", expected=f"one of its symbols: {found}"
            )
        if extent < 1:
            raise UsageError(f"extent {extent} for dimension {name!r}", expected="at least 1")

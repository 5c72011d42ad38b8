"""The proof that samples do not mix, so that a symbolic batch dimension can be the number of samples at run time.

The graph is read twice, with a batch of one and with a large prime that occurs nowhere else in the model. Every value
that depends on an input must keep its shape but for the leading axis, which must be the batch; every attribute must be
the same. Reshapes keep the row-major order, so a leading axis that stays the batch keeps samples together; a reduction,
transpose, product or broadcast over the batch axis cannot have these shapes in both readings.
"""

from __future__ import annotations

import numpy as np
import onnx

from edgeconv.errors import UnsupportedModelError
from edgeconv.importer.graph import Node, QuantizedGraph

_PRIMES = (211, 223, 227, 229, 233, 239, 241, 251, 257, 263, 269, 271, 277, 281, 283, 293, 307, 311, 313, 317)
# Attributes whose first entry is the leading extent.
_LEADING_EXTENT = {"Reshape": "shape", "Slice": "sizes"}


def probe_batch(model: onnx.ModelProto) -> int:
    """A batch size that cannot be mistaken for an extent of the model."""
    extents = {extent for tensor in model.graph.initializer for extent in tensor.dims}
    for value in model.graph.input:
        extents.update(dimension.dim_value for dimension in value.type.tensor_type.shape.dim)
    return next((prime for prime in _PRIMES if prime not in extents), _PRIMES[0])


def mixing_error(found: str, symbol: str) -> UnsupportedModelError:
    """The error that a model cannot run over a symbolic batch."""
    return UnsupportedModelError(
        f"the batch dimension '{symbol}' is symbolic, but {found}",
        expected="every value to hold one sample per index of its leading axis",
        advice=f"give the batch an extent: --shape {symbol}=1, or keep the batch axis first and on its own",
    )


def check_samples_apart(one: QuantizedGraph, many: QuantizedGraph, batch: int, symbol: str) -> None:
    """Compare a graph read with batch 1 and with batch `batch`.

    Raises:
        UnsupportedModelError: a node mixes samples, or depends on the batch size.
    """
    by_name = {node.output: node for node in many.nodes}
    # A node that does nothing to one sample is left out of that reading: a Slice of the first sample, for example.
    alone = {node.output for node in one.nodes}
    for node in many.nodes:
        if node.output not in alone:
            raise mixing_error(f"node '{node.name}' ({node.op}) acts on its extent", symbol)
    dependent = {graph_input.name for graph_input in one.inputs}
    for node in one.nodes:
        other = by_name.get(node.output)
        if other is None or (other.op, other.inputs) != (node.op, node.inputs):
            raise mixing_error(f"what node '{node.name}' ({node.op}) does depends on its extent", symbol)
        if not _same_attributes(node, other):
            raise mixing_error(f"the attributes of node '{node.name}' ({node.op}) depend on its extent", symbol)
        if not dependent.intersection(node.inputs):
            continue
        dependent.add(node.output)
        shape, wide = one.shapes[node.output], many.shapes[node.output]
        if wide != (batch, *shape[1:]) or shape[:1] != (1,):
            shown = tuple(symbol if extent == batch else extent for extent in wide)
            text = str(shown).replace("'", "")
            raise mixing_error(f"node '{node.name}' ({node.op}) gives shape {text}", symbol)
        _check_ranks(one, node, dependent, symbol)
    if one.outputs != many.outputs:
        raise mixing_error("which value an output is depends on its extent", symbol)
    _check_constants(one, many, symbol)


def _check_ranks(graph: QuantizedGraph, node: Node, dependent: set[str], symbol: str) -> None:
    rank = len(graph.shapes[node.output])
    if node.op in ("Add", "Sub", "Mul", "Div", "MatMul"):
        for name in dependent.intersection(node.inputs):
            if len(graph.shapes[name]) != rank:
                raise mixing_error(f"node '{node.name}' ({node.op}) broadcasts it against another axis", symbol)
    if node.op in ("Softmax", "Normalization") and 0 in (node.attributes.get("axes") or (node.attributes["axis"],)):  # type: ignore[operator]
        raise mixing_error(f"node '{node.name}' ({node.op}) works along it", symbol)
    if node.op == "Slice":
        starts, steps = node.attributes["starts"], node.attributes["steps"]
        assert isinstance(starts, tuple)
        assert isinstance(steps, tuple)
        if starts[0] != 0 or steps[0] != 1:
            raise mixing_error(f"node '{node.name}' (Slice) reorders samples", symbol)


def _same_attributes(one: Node, many: Node) -> bool:
    leading = _LEADING_EXTENT.get(one.op)
    if one.attributes.keys() != many.attributes.keys():
        return False
    for name, value in one.attributes.items():
        other = many.attributes[name]
        if name == leading and isinstance(value, tuple) and isinstance(other, tuple):
            value, other = value[1:], other[1:]
        if value != other:
            return False
    return True


def _check_constants(one: QuantizedGraph, many: QuantizedGraph, symbol: str) -> None:
    for name, array in one.constants.items():
        wide = many.constants.get(name)
        if wide is not None and wide.ndim == array.ndim and array.shape[1:] == wide.shape[1:]:
            same = np.array_equal(np.broadcast_to(array, wide.shape), wide)
        else:
            same = False
        if not same:
            raise mixing_error(f"the constant '{name}' depends on its extent", symbol)

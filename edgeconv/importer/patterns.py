"""Normalizations that exporters write out as ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt and Div become one node.

The integer form needs the whole: no single one of those nodes has one, for their values are on no integer grid.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.importer.graph import Node


@dataclass(frozen=True)
class _Graph:
    nodes: Mapping[str, Node]
    constants: Mapping[str, NDArray[np.generic]]
    shapes: Mapping[str, tuple[int, ...]]

    def producer(self, name: str, *ops: str) -> Node | None:
        """The node that makes a value, where it is one of `ops`."""
        node = self.nodes.get(name)
        return node if node is not None and node.op in ops else None

    def scalar(self, name: str) -> float | None:
        """A constant of one element."""
        array = self.constants.get(name)
        return (
            float(array.reshape(-1)[0]) if array is not None and array.size == 1 and array.dtype.kind == "f" else None
        )

    def operand_and_scalar(self, node: Node) -> tuple[str, float] | None:
        """The operands of a node of which one is a constant scalar."""
        for name, other in (node.inputs, node.inputs[::-1]):
            value = self.scalar(other)
            if value is not None and name not in self.constants:
                return name, value
        return None


def fuse_normalizations(
    nodes: Sequence[Node], constants: Mapping[str, NDArray[np.generic]], shapes: Mapping[str, tuple[int, ...]]
) -> list[Node]:
    """The nodes with every written-out normalization replaced; what only it used stays, for others to remove."""
    graph = _Graph({node.output: node for node in nodes}, constants, shapes)
    return [_normalization(graph, node) or node for node in nodes]


def _normalization(graph: _Graph, node: Node) -> Node | None:
    """numerator / sqrt(mean(numerator²) + epsilon), where the numerator is x or x - mean(x)."""
    parts = _quotient(graph, node)
    if parts is None:
        return None
    numerator, radicand = parts
    total = graph.producer(radicand, "Add") if radicand is not None else None
    split = graph.operand_and_scalar(total) if total is not None else None
    if split is None:
        return None
    mean, epsilon = split
    found = _mean(graph, mean)
    square = _squared(graph, found[0]) if found is not None else None
    if found is None or square is None or epsilon < 0 or not _same(graph, square, numerator):
        return None
    axes = found[1]
    source = _centered_source(graph, numerator, axes)
    centered = source is not None
    attributes = {"axes": axes, "groups": 1, "centered": centered, "epsilon": epsilon}
    return Node("Normalization", node.name, (source or numerator,), node.output, attributes)


def _quotient(graph: _Graph, node: Node) -> tuple[str, str | None] | None:
    """(numerator, what stands under the root) of Div by a root, or of Mul by a Reciprocal, 1/x or x^-0.5."""
    if node.op == "Div":
        return node.inputs[0], _radicand(graph, node.inputs[1])
    if node.op != "Mul":
        return None
    for numerator, inverse in (node.inputs, node.inputs[::-1]):
        reciprocal = graph.producer(inverse, "Reciprocal")
        if reciprocal is not None:
            return numerator, _radicand(graph, reciprocal.inputs[0])
        over = graph.producer(inverse, "Div")
        if over is not None and graph.scalar(over.inputs[0]) == 1:
            return numerator, _radicand(graph, over.inputs[1])
        power = graph.producer(inverse, "Pow")
        if power is not None and graph.scalar(power.inputs[1]) == -0.5:
            return numerator, power.inputs[0]
    return None


def _radicand(graph: _Graph, root: str) -> str | None:
    node = graph.producer(root, "Sqrt", "Pow")
    is_root = node is not None and (node.op == "Sqrt" or graph.scalar(node.inputs[1]) == 0.5)
    return node.inputs[0] if node is not None and is_root else None


def _squared(graph: _Graph, name: str) -> str | None:
    node = graph.producer(name, "Pow", "Mul")
    if node is None:
        return None
    is_square = node.inputs[0] == node.inputs[1] if node.op == "Mul" else graph.scalar(node.inputs[1]) == 2
    return node.inputs[0] if is_square else None


def _mean(graph: _Graph, name: str) -> tuple[str, tuple[int, ...]] | None:
    """(what is averaged, axes) of a ReduceMean that keeps its axes, also as an AveragePool over whole axes."""
    node = graph.producer(name, "ReduceMean", "AveragePool")
    if node is None:
        return None
    axes = node.attributes.get("axes")
    if node.op == "ReduceMean":
        return (node.inputs[0], axes) if isinstance(axes, tuple) else None
    shape, kernel, pads = graph.shapes[node.inputs[0]], node.attributes["kernel"], node.attributes["pads"]
    assert isinstance(kernel, tuple)
    assert isinstance(pads, tuple)
    whole = all(taps in (1, extent) for taps, extent in zip(kernel, shape[2:], strict=True)) and not any(pads)
    axes = tuple(2 + i for i, taps in enumerate(kernel) if taps > 1)
    reduced = tuple(1 if axis in axes else extent for axis, extent in enumerate(shape))
    return (node.inputs[0], axes) if whole and axes and graph.shapes[name] == reduced else None


def _centered_source(graph: _Graph, name: str, axes: tuple[int, ...]) -> str | None:
    """x of x - mean(x) over these axes."""
    node = graph.producer(name, "Sub")
    found = _mean(graph, node.inputs[1]) if node is not None else None
    return node.inputs[0] if node is not None and found == (node.inputs[0], axes) else None


def _same(graph: _Graph, a: str, b: str) -> bool:
    """Whether two values are one, or the same subtraction written twice."""
    if a == b:
        return True
    one, other = graph.producer(a, "Sub"), graph.producer(b, "Sub")
    if one is None or other is None or one.inputs[0] != other.inputs[0]:
        return False
    means = _mean(graph, one.inputs[1]), _mean(graph, other.inputs[1])
    return one.inputs[1] == other.inputs[1] or (means[0] is not None and means[0] == means[1])

"""Where quantizers go: only where the integer program has to round, so that a value is rounded once.

The rules are those of lowering (docs/lowering.md), read backwards. A convolution, matrix product, pool of averages, sum
or product of two activations reads integers on one grid; ReLU, clips, batch normalizations and constants belong to the
rounding behind them; max pools, reshapes and slices keep the grid of what they move; any function of one narrow value,
x·sigmoid(x) or GELU in its Erf form too, is one table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from edgeconv.importer.graph import Node, QuantizedGraph
from edgeconv.integer.algebra import number_of_array

__all__ = ["Placement", "place"]


class Kind(Enum):
    """What a value of the float graph becomes."""

    FLOAT = "a float input"
    GRID = "integers on one grid"
    NARROW = "a function of one narrow integer tensor"
    WIDE = "an accumulator, or what is rounded together with it"
    ROWS = "a softmax or normalization, which the next quantizer rounds"
    JOINED = "a concatenation of several grids"


@dataclass(frozen=True)
class _Meaning:
    """Kind of a value; `source` is the tensor whose integers a GRID or NARROW value is a function of.

    root: the quantized value whose grid a GRID value is on; "" where its scale is another.
    clipped: an accumulator behind a clip.
    """

    kind: Kind
    source: str = ""
    root: str = ""
    clipped: bool = False


class _NeedError(Exception):
    """A value that must be on a grid first."""

    def __init__(self, value: str) -> None:
        super().__init__(value)
        self.value = value


@dataclass(frozen=True)
class Placement:
    """Decisions about one graph.

    Attributes:
        values: what gets a quantizer of its own, in execution order; float constants that vary along several axes too.
        roots: for each value on the grid of a quantizer, the quantized value.
        shared: quantized values that must have one grid, each group in execution order (concatenations that share).
    """

    values: tuple[str, ...]
    roots: Mapping[str, str]
    shared: tuple[tuple[str, ...], ...] = ()


def place(graph: QuantizedGraph, *, share_concat: bool = False) -> Placement:
    """Decide which values of a float graph get quantizers.

    Args:
        graph: the float model as the importer reads it.
        share_concat: one grid for all parts of a concatenation, which then only moves bytes; else each part keeps its
            grid and is rounded to that of the quantizer behind.
    """
    walk = _Walk(graph, share_concat)
    chosen: set[str] = set()
    while (needed := walk.first_need(chosen)) is not None:
        assert needed not in chosen, f"{needed} is quantized and still not on a grid"
        chosen.add(needed)
    # A need that arose before another quantizer upstream was placed may be met by that one.
    order = [value for value in walk.order if value in chosen]
    for value in reversed(order):
        if walk.first_need(chosen - {value}) is None:
            chosen.discard(value)
    assert walk.first_need(chosen) is None
    roots = {name: meaning.root for name, meaning in walk.meanings.items() if meaning.root}
    return Placement(tuple(value for value in order if value in chosen), roots, walk.groups(chosen))


@dataclass
class _Walk:
    graph: QuantizedGraph
    share_concat: bool
    meanings: dict[str, _Meaning] = field(default_factory=dict)

    def __post_init__(self) -> None:
        constants = [name for node in self.graph.nodes for name in node.inputs if name in self.graph.constants]
        inputs = [graph_input.name for graph_input in self.graph.inputs]
        self.order = list(dict.fromkeys([*inputs, *constants, *(node.output for node in self.graph.nodes)]))
        self._producer = {node.output: node for node in self.graph.nodes}
        self._readers = Counter(name for node in self.graph.nodes for name in set(node.inputs))

    def first_need(self, chosen: set[str]) -> str | None:
        """The first value that is not on a grid where one is needed, given the quantizers chosen so far."""
        self.meanings, self._chosen = {}, chosen
        for graph_input in self.graph.inputs:
            kind = Kind.FLOAT if graph_input.dtype.is_float else Kind.GRID
            self._set(graph_input.name, _Meaning(kind, graph_input.name))
        for name in chosen & set(self.graph.constants):
            self._set(name, _Meaning(Kind.FLOAT))
        try:
            for node in self.graph.nodes:
                self._set(node.output, _RULES.get(node.op, _function)(self, node))
        except _NeedError as need:
            return need.value
        return None

    def _set(self, name: str, meaning: _Meaning) -> None:
        if name in self._chosen:
            meaning = _Meaning(Kind.GRID, name, name)
        elif meaning.kind in (Kind.WIDE, Kind.ROWS, Kind.JOINED) and self._readers[name] > 1:
            # Rounded once for all its readers: each rounding of its own would need the accumulators kept.
            raise _NeedError(name)
        self.meanings[name] = meaning

    def groups(self, chosen: set[str]) -> tuple[tuple[str, ...], ...]:
        """Quantized values that concatenations join on one grid."""
        if not self.share_concat:
            return ()
        parent = {value: value for value in chosen}

        def find(value: str) -> str:
            while parent[value] != value:
                value = parent[value]
            return value

        for node in self.graph.nodes:
            if node.op == "Concat" and self.meanings[node.output].kind is Kind.GRID and node.output not in chosen:
                first, *others = (find(self.meanings[name].root) for name in node.inputs)
                for other in others:
                    parent[find(other)] = find(first)
        groups: dict[str, list[str]] = {}
        for value in self.order:
            if value in chosen:
                groups.setdefault(find(value), []).append(value)
        return tuple(tuple(group) for group in groups.values() if len(group) > 1)

    def is_constant(self, name: str) -> bool:
        """A float constant that has no quantizer."""
        return name in self.graph.constants and name not in self._chosen

    def is_number(self, name: str, node: Node) -> bool:
        """A constant that varies along one axis at most, which is exact in the next rounding."""
        if not self.is_constant(name):
            return False
        array = self.graph.constants[name]
        return number_of_array(array, max(len(self.graph.shapes[node.output]), array.ndim)) is not None

    def meaning(self, name: str) -> _Meaning:
        """What an operand is."""
        if self.is_constant(name):
            raise _NeedError(name)
        return self.meanings[name]

    def on_grid(self, name: str) -> _Meaning:
        """An operand that must be on a grid."""
        meaning = self.meaning(name)
        if meaning.kind is not Kind.GRID:
            raise _NeedError(name)
        return meaning

    def producer(self, name: str) -> Node | None:
        """The node that makes a value."""
        return self._producer.get(name)


_WIDE = _Meaning(Kind.WIDE)


def _sums(walk: _Walk, node: Node) -> _Meaning:
    """Exact sums of products: operands on grids, constants as weights."""
    for name in node.inputs[:2] if node.op == "MatMul" else node.inputs[:1]:
        if not walk.is_constant(name):
            walk.on_grid(name)
    return _WIDE


def _rows(walk: _Walk, node: Node) -> _Meaning:
    walk.on_grid(node.inputs[0])
    return _Meaning(Kind.ROWS)


def _elementwise(walk: _Walk, node: Node) -> _Meaning:
    """Add, Sub, Mul, Div: with a constant it joins the next rounding; of one tensor twice it is a function."""
    numbers = [walk.is_number(name, node) for name in node.inputs]
    if all(numbers):
        return _WIDE
    if any(numbers):
        operand = node.inputs[numbers.index(False)]
        if node.op == "Div" and numbers[0]:
            return _function_of(walk, operand, node)
        scales = node.op in ("Mul", "Div") and _is_positive_scalar(walk, node.inputs[numbers.index(True)])
        return _affine(walk, operand, node, scales=scales)
    meanings = [walk.meaning(name) for name in node.inputs]
    sources = {meaning.source for meaning in meanings}
    if len(sources) == 1 and sources != {""}:
        return _Meaning(Kind.NARROW, sources.pop())
    for name in node.inputs:
        walk.on_grid(name)
    return _WIDE


def _is_positive_scalar(walk: _Walk, name: str) -> bool:
    array = walk.graph.constants[name]
    return array.size == 1 and float(array.reshape(-1)[0]) > 0


def _affine(walk: _Walk, name: str, node: Node, *, scales: bool = False) -> _Meaning:
    meaning = walk.meaning(name)
    # A clip with a bound for each channel is no longer part of one rounding.
    if meaning.kind in (Kind.FLOAT, Kind.JOINED) or (meaning.clipped and not scales):
        raise _NeedError(name)
    if meaning.kind is Kind.GRID:
        # Times a positive number it is on a grid of another scale: nothing rounds.
        return _Meaning(Kind.GRID, meaning.source) if scales else _Meaning(Kind.NARROW, meaning.source)
    return meaning


def _batch_normalization(walk: _Walk, node: Node) -> _Meaning:
    return _affine(walk, node.inputs[0], node)


def _clip(walk: _Walk, node: Node) -> _Meaning:
    meaning = walk.meaning(node.inputs[0])
    if meaning.kind is Kind.FLOAT:
        raise _NeedError(node.inputs[0])
    if meaning.kind is Kind.GRID:
        bounds = {node.attributes.get("min"), node.attributes.get("max")} if node.op == "Clip" else {0.0}
        # Zero is an integer of every grid; another bound may fall between two.
        return meaning if bounds <= {0.0, None} else _Meaning(Kind.NARROW, meaning.source)
    return replace(meaning, clipped=True) if meaning.kind is not Kind.NARROW else meaning


def _function(walk: _Walk, node: Node) -> _Meaning:
    return _function_of(walk, node.inputs[0], node)


def _function_of(walk: _Walk, name: str, node: Node) -> _Meaning:
    meaning = walk.meaning(name)
    if meaning.kind not in (Kind.GRID, Kind.NARROW):
        raise _NeedError(name)
    return _Meaning(Kind.NARROW, meaning.source)


def _movement(walk: _Walk, node: Node) -> _Meaning:
    """The same values elsewhere."""
    name = node.inputs[0]
    meaning = walk.meaning(name)
    grouped = meaning.kind is Kind.ROWS and node.op == "Reshape" and _is_group_normalization(walk, name)
    if meaning.kind in (Kind.FLOAT, Kind.JOINED) or (meaning.kind is Kind.ROWS and not grouped):
        raise _NeedError(name)
    chooses = node.op in ("MaxPool", "ReduceMax", "ReduceMin", "Pad")
    if meaning.kind is Kind.NARROW and chooses:
        raise _NeedError(name)
    if meaning.kind is Kind.NARROW:
        return _Meaning(Kind.NARROW, f"{meaning.source} as {node.output}")
    return _Meaning(meaning.kind, node.output, meaning.root) if meaning.kind is Kind.GRID else meaning


def _is_group_normalization(walk: _Walk, name: str) -> bool:
    """Exporters write it as Reshape, InstanceNormalization, Reshape."""
    normalization = walk.producer(name)
    while normalization is not None and normalization.op in ("Mul", "Add"):
        normalization = walk.producer(normalization.inputs[0])
    if normalization is None or normalization.op != "Normalization":
        return False
    before = walk.producer(normalization.inputs[0])
    return before is not None and before.op == "Reshape"


def _concat(walk: _Walk, node: Node) -> _Meaning:
    for name in node.inputs:
        if walk.is_constant(name) or walk.meaning(name).kind is Kind.FLOAT:
            raise _NeedError(name)
    parts = [walk.meaning(name) for name in node.inputs]
    if walk.share_concat:
        for name, part in zip(node.inputs, parts, strict=True):
            if part.kind is not Kind.GRID:
                raise _NeedError(name)
    roots = {part.root for part in parts}
    if "" not in roots and (walk.share_concat or len(roots) == 1):
        return _Meaning(Kind.GRID, node.output, parts[0].root)
    if node.output in walk.graph.outputs:
        for name, part in zip(node.inputs, parts, strict=True):
            if part.kind in (Kind.NARROW, Kind.ROWS):
                raise _NeedError(name)
    return _Meaning(Kind.JOINED)


def _arg_extreme(walk: _Walk, node: Node) -> _Meaning:
    """Values are compared as integers, so they must have one scale."""
    walk.on_grid(node.inputs[0])
    return _WIDE


def _dequantize(walk: _Walk, node: Node) -> _Meaning:
    """An integer graph input, or its cast to float."""
    return _Meaning(Kind.GRID, node.output)


_RULES = {
    **dict.fromkeys(("Conv", "ConvTranspose", "MatMul", "AveragePool", "ResizeLinear"), _sums),
    **dict.fromkeys(("ReduceSum", "ReduceMean"), _sums),
    **dict.fromkeys(("Softmax", "Normalization"), _rows),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _elementwise),
    **dict.fromkeys(("Relu", "Clip"), _clip),
    **dict.fromkeys(
        ("MaxPool", "ReduceMax", "ReduceMin", "Reshape", "Transpose", "Slice", "Pad", "Resize"), _movement
    ),
    "BatchNormalization": _batch_normalization,
    "Concat": _concat,
    "ArgMax": _arg_extreme,
    "Dequantize": _dequantize,
}  # fmt: skip
"""What each operator of docs/importer.md asks of its operands; the rest are functions of one value."""

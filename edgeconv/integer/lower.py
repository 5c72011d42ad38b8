"""From the quantized graph to the integer program: every node by the table of handlers, all refusals in one error."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeconv.errors import ProgramError, QuantizationError, UnsupportedModelError
from edgeconv.importer.graph import Node, QuantizedGraph, Quantizer
from edgeconv.integer import averages, elementwise, movements, products, reductions, rounding, rows, scans
from edgeconv.integer.state import ADVICE_QUANTIZE, Handler, Kind, RefusalError, State
from edgeconv.integer.values import FloatConstant, FloatSource, Integers, Number, Refused, Value, shape_of
from edgeconv.ir import Program, TensorType, dtype
from edgeconv.ir import operators as ops

HANDLERS: dict[str, Handler] = {
    **rounding.HANDLERS,
    **products.HANDLERS,
    **elementwise.HANDLERS,
    **averages.HANDLERS,
    **movements.HANDLERS,
    **reductions.HANDLERS,
    **rows.HANDLERS,
    **scans.HANDLERS,
}
"""How each operator of a quantized graph is lowered (docs/importer.md lists their attributes)."""

MOVEMENTS = frozenset(movements.HANDLERS)


@dataclass(frozen=True)
class _Refusal:
    node: Node
    kind: Kind
    problem: str
    advice: str

    def __str__(self) -> str:
        return f"{self.node.op} {self.node.name!r} {self.problem}"


def lower(graph: QuantizedGraph) -> Program:
    """The integer program that a quantized graph means, exactly: one rounding per quantizer (docs/arithmetic.md).

    Raises:
        QuantizationError: values that no quantizer covers, or sums that may leave 64 bits; all nodes are listed.
        UnsupportedModelError: operators or combinations without an integer form; all nodes are listed, those that lack
            a quantizer among them.
    """
    state = State(graph)
    for source in graph.inputs:
        state.builder.add_input(source.name, TensorType(source.shape, source.dtype))
        is_float = source.dtype.is_float
        state.values[source.name] = FloatSource(source.name, source.shape) if is_float else Integers(source.name)
    for name, array in graph.constants.items():
        state.values[name] = _constant(state, name, array)
    refusals = [refusal for node in graph.nodes if (refusal := _lower_node(state, node)) is not None]
    tensors: list[str] = []
    for value, name in zip(graph.outputs, graph.output_names, strict=True):
        node = next((n for n in graph.nodes if n.output == value), Node("Output", name, (), value))
        refusal = _lower_output(state, node, name, tensors)
        refusals += [refusal] if refusal is not None else []
    if refusals:
        raise _error(refusals)
    return state.builder.finish(tensors, graph.output_names)


def _constant(state: State, name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Value:
    if np.issubdtype(array.dtype, np.floating):
        return FloatConstant(array)
    declared = state.graph.constant_dtypes.get(name)
    kind = "u" if array.dtype.kind == "u" else "i"
    return Integers(state.builder.constant(name, array, declared or dtype(f"{kind}{8 * array.dtype.itemsize}")))


def _lower_node(state: State, node: Node) -> _Refusal | None:
    state.builder.origin = node.name
    inputs = [state.values[name] for name in node.inputs if name]
    refused = [value for value in inputs if isinstance(value, Refused)]
    refusal: _Refusal | None = None
    if refused:
        # Only what an unquantized value reaches by arithmetic lacks a quantizer itself.
        if node.op not in MOVEMENTS | {"Quantize", "Bipolar"} and any(value.uncovered for value in refused):
            refusal = _Refusal(node, Kind.MISSING_QUANTIZER, "reads a value that no quantizer covers", ADVICE_QUANTIZE)
        uncovered = any(value.uncovered for value in refused)
    else:
        try:
            value = _handler(node)(state, node)
            _check_shape(state, node, value)
            state.values[node.output] = value
            return None
        except RefusalError as error:
            refusal = _Refusal(node, error.kind, error.problem, error.advice)
        except ProgramError as error:
            expected = f" (expected {error.expected})" if error.expected else ""
            refusal = _Refusal(node, Kind.RANGE, f"breaks a rule: {error.problem}{expected}", error.advice or "")
        uncovered = refusal.kind is Kind.MISSING_QUANTIZER
    state.values[node.output] = _stand_in(state, node, uncovered)
    return refusal


def _check_shape(state: State, node: Node, value: Value) -> None:
    """Refuse what only a copied tensor could give its shape: programs broadcast between tensors, not by constants."""
    expected = state.graph.shapes[node.output]
    found = expected
    if isinstance(value, Integers):
        found = state.builder.types[value.tensor].shape
    elif not isinstance(value, (FloatConstant, Refused, Number)):
        found = shape_of(value)
    if found != expected:
        problem = f"broadcasts a tensor of shape {found} to {expected} by a constant"
        raise RefusalError(Kind.UNSUPPORTED, problem, "a tensor of the full shape (Expand or Concat before it)")


def _handler(node: Node) -> Handler:
    handler = HANDLERS.get(node.op)
    if handler is None:
        raise RefusalError(Kind.UNSUPPORTED, "has no integer form yet", "a network without it")
    return handler


def _stand_in(state: State, node: Node, uncovered: bool) -> Value:
    """A value to go on with after a refusal, so that the nodes behind it are looked at as well."""
    if node.op in ("Quantize", "Bipolar"):
        quantizer = node.attributes.get("quantizer")
        type_ = quantizer.dtype if isinstance(quantizer, Quantizer) else dtype("i2")
        tensor = TensorType(state.graph.shapes[node.output], type_)
        return Integers(state.builder.add_input(f"refused.{node.output}", tensor))
    return Refused(uncovered)


def _lower_output(state: State, node: Node, name: str, tensors: list[str]) -> _Refusal | None:
    value = state.values[node.output]
    state.builder.origin = node.name
    if isinstance(value, Refused):
        return None
    try:
        if isinstance(value, FloatConstant):
            raise RefusalError(Kind.UNSUPPORTED, "is a constant", "an output that depends on the input")
        tensor = rounding.output(state, value, node)
    except RefusalError as error:
        return _Refusal(node, error.kind, f"(output {name!r}) {error.problem}", error.advice)
    if tensor in tensors or tensor not in state.builder.types or not state.builder.is_computed(tensor):
        # Every output is a tensor of its own, written by an operator.
        copy = ops.Reshape("", tensor, state.builder.types[tensor].shape)
        tensor = state.builder.emit_copy(copy, name)
    tensors.append(tensor)
    return None


def _error(refusals: list[_Refusal]) -> QuantizationError | UnsupportedModelError:
    kinds = {refusal.kind for refusal in refusals}
    advice = "; ".join(dict.fromkeys(refusal.advice for refusal in refusals if refusal.advice)) or None
    count = f"{len(refusals)} nodes" if len(refusals) > 1 else "1 node"
    problem = f"{count} cannot become integer arithmetic:" + "".join(f"\n  - {refusal}" for refusal in refusals)
    if Kind.UNSUPPORTED in kinds:
        return UnsupportedModelError(problem, advice=advice)
    return QuantizationError(problem, advice=advice)

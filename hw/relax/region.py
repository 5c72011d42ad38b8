"""A part of a Relax function: its bindings in order, what they read from outside, and what is read of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeconv.codegen.tir import tvm
from edgeconv.hw.relax.tensors import is_constant, shape_of

__all__ = ["Region", "composite_of", "is_plain", "leaves_of", "region_of_function", "region_of_match"]

Var = Any
"""A variable of Relax; TVM is not typed."""


@dataclass(frozen=True, eq=False)
class Region:
    """Bindings that read nothing but `inputs`, constants, and one another.

    Attributes:
        bindings: variables with their values (calls and tuples), in order.
    """

    inputs: tuple[Var, ...]
    bindings: tuple[tuple[Var, Any], ...]
    outputs: tuple[Var, ...]

    @property
    def samples(self) -> int | str:
        """The leading extent of the inputs, a number or the name of a symbol; 1 where they have none in common."""
        leading = {shape_of(var)[:1] for var in self.inputs}
        extents = leading.pop() if len(leading) == 1 else ()
        return extents[0] if extents else 1

    @property
    def names(self) -> frozenset[str]:
        """Names of the variables that are bound."""
        return frozenset(var.name for var, _ in self.bindings)


def composite_of(function: Any) -> str | None:
    """The name of the pattern that a function was made by, or None."""
    attributes = function.attrs
    return str(attributes["Composite"]) if attributes and "Composite" in attributes else None


def is_plain(function: Any) -> bool:
    """Whether a function is one of Relax that no back end has taken, nor a part of one."""
    marks = ("Primitive", "Composite", "Codegen")
    return isinstance(function, tvm.relax.Function) and not any(mark in (function.attrs or {}) for mark in marks)


def region_of_match(root: Var, values: Mapping[Var, Any]) -> Region:
    """What a pattern has matched.

    Args:
        root: the variable whose value the pattern's root is.
        values: of all variables that were matched.
    """
    bindings: dict[Var, Any] = {}
    inputs: dict[Var, None] = {}

    def visit(expression: Any) -> None:
        for var in variables_of(expression):
            if var not in values:
                inputs[var] = None
            elif var not in bindings:
                visit(values[var])
                bindings[var] = values[var]

    visit(root)
    return Region(tuple(inputs), tuple(bindings.items()), (root,))


def variables_of(expression: Any) -> list[Var]:
    """The variables that a call, a tuple or a variable reads, in order."""
    return [leaf for leaf in leaves_of(expression) if isinstance(leaf, tvm.relax.Var)]


def leaves_of(expression: Any) -> list[Any]:
    """The variables and constants that an expression reads, in order."""
    if isinstance(expression, tvm.relax.Var) or is_constant(expression):
        return [expression]
    if isinstance(expression, tvm.relax.Call):
        return [leaf for argument in expression.args for leaf in leaves_of(argument)]
    if isinstance(expression, tvm.relax.Tuple):
        return [leaf for item in expression.fields for leaf in leaves_of(item)]
    return []


def region_of_function(function: Any) -> Region:
    """The bindings of a function of composites, as MergeCompositeFunctions makes it, with the composites opened."""
    names: dict[Var, Any] = {}
    bindings: list[tuple[Var, Any]] = []
    outputs = _open(function, names, bindings)
    # Shapes with a symbol come as parameters, too; what they say stands in the types of what is reshaped.
    inputs = tuple(var for var in function.params if isinstance(var.ty, tvm.relax.TensorType))
    return Region(inputs, tuple(bindings), tuple(outputs))


def _open(function: Any, known: dict[Var, Any], bindings: list[tuple[Var, Any]]) -> Sequence[Var]:
    """Append the bindings of a function whose parameters are `known`; returns the variables that it results in."""
    inner: dict[Var, Any] = {}
    for block in function.body.blocks:
        for binding in block.bindings:
            var, value = binding.var, binding.value
            if isinstance(value, tvm.relax.Function):
                inner[var] = value
            elif isinstance(value, tvm.relax.Call) and value.op in inner:
                callee = inner[value.op]
                known.update(zip(callee.params, (_resolved(a, known) for a in value.args), strict=True))
                results = _open(callee, known, bindings)
                known[var] = results[0] if len(results) == 1 else tvm.relax.Tuple(list(results))
            elif isinstance(value, (tvm.relax.Var, tvm.relax.TupleGetItem)):
                known[var] = _resolved(value, known)
            else:
                bindings.append((var, _resolved(value, known)))
    result = _resolved(function.body.body, known)
    return list(result.fields) if isinstance(result, tvm.relax.Tuple) else [result]


def _resolved(expression: Any, known: Mapping[Var, Any]) -> Any:
    """An expression with the variables replaced that stand for others."""
    if isinstance(expression, tvm.relax.Var):
        return known.get(expression, expression)
    if isinstance(expression, tvm.relax.TupleGetItem):
        return _resolved(expression.tuple_value, known).fields[expression.index]
    if isinstance(expression, tvm.relax.Tuple):
        return tvm.relax.Tuple([_resolved(item, known) for item in expression.fields])
    if isinstance(expression, tvm.relax.Call):
        arguments = [_resolved(argument, known) for argument in expression.args]
        return tvm.relax.Call(expression.op, arguments, expression.attrs, expression.ty_args, ret_ty=expression.ty)
    return expression

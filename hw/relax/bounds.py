"""Clips that the ONNX frontend has written as kernels of their own, as operators of Relax again."""

from __future__ import annotations

from typing import Any

import tvm_ffi

from edgeconv.codegen.tir import tvm
from edgeconv.hw.relax.tensors import is_constant, op_name, shape_of

__all__ = ["bounds_as_operators"]

_OPERATORS = ("maximum", "minimum")


def bounds_as_operators(module: Any, name: Any) -> Any:
    """A module, one function of which calls `relax.maximum` and `relax.minimum` instead of kernels that are these.

    A kernel is one of them if it has the structure of what TVM makes of the operator for the same operands.
    """
    found = _Bounds(module)
    found.builder_.update_func(name, found.visit_expr(module[name]))
    return found.builder_.get()


@tvm.relax.expr_functor.mutator
class _Bounds(tvm.relax.PyExprMutator):
    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._module = module

    def visit_call_(self, call: Any) -> Any:
        call = super().visit_call_(call)
        if op_name(call) != "relax.call_tir":
            return call
        operands = list(call.args[1].fields)
        if len(operands) != 2 or not is_constant(operands[1]) or shape_of(operands[1]) != ():
            return call
        kernel = self._module[call.args[0]]
        for operator in _OPERATORS:
            if tvm_ffi.structural_equal(kernel, _kernel(operator, operands), map_free_vars=True):
                return getattr(tvm.relax.op, operator)(*operands)
        return call


def _kernel(operator: str, operands: list[Any]) -> Any:
    """What TVM makes of an operator."""
    builder = tvm.relax.BlockBuilder()
    variables = [tvm.relax.Var(f"operand{k}", operand.ty) for k, operand in enumerate(operands)]
    call = builder.call_te(getattr(tvm.topi, operator), *variables)
    return builder.get()[call.args[0]]

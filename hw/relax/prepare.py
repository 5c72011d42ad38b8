"""What a module goes through before patterns are looked for, without a change of what it computes."""

from __future__ import annotations

from typing import Any

from edgeconv.codegen.tir import tvm
from edgeconv.hw.relax.bounds import bounds_as_operators
from edgeconv.hw.relax.region import is_plain, leaves_of
from edgeconv.hw.relax.tensors import is_constant, op_name

__all__ = ["CHEAP", "MOVES", "QUANTIZERS", "prepared"]

QUANTIZERS = ("relax.quantize", "relax.dequantize")

MOVES = (
    "relax.reshape",
    "relax.squeeze",
    "relax.expand_dims",
    "relax.permute_dims",
    "relax.nn.max_pool1d",
    "relax.nn.max_pool2d",
)
"""What a dequantized value may go through without being another kind of value."""
CHEAP = ("relax.dequantize", *MOVES)
"""Operators that every reader gets a copy of, so that no composite has to give its inside away."""


def prepared(module: Any) -> Any:
    """A module in dataflow form, its constants folded, its clips as operators, its dequantizations owned by readers."""
    passes = tvm.relax.transform
    module = tvm.transform.Sequential([passes.ConvertToDataflow(), passes.CanonicalizeBindings()])(module)
    for name, function in list(module.functions.items()):
        if is_plain(function):
            function = _with_constants(function, _constant_results(module, function))
            module = tvm.IRModule({**dict(module.functions.items()), name: function}, module.attrs, module.global_infos)
            module = bounds_as_operators(module, name)
            copies = _OwnCopies(module)
            copies.run(name)
            module = copies.builder_.get()
    return passes.DeadCodeElimination()(module)


def _constant_results(module: Any, function: Any) -> dict[Any, Any]:
    """Constants for what is computed of constants alone, such as the Clip of weights in a QCDQ model.

    TVM's own folding would also dequantize weights, so it sees everything but quantizers.
    """
    chain: dict[Any, Any] = {}
    for block in function.body.blocks:
        for binding in block.bindings:
            value: Any = getattr(binding, "value", None)
            operands = leaves_of(value)
            foldable = bool(op_name(value)) and op_name(value) not in QUANTIZERS
            if foldable and operands and all(is_constant(leaf) or leaf in chain for leaf in operands):
                chain[binding.var] = value
    if not chain:
        return {}
    bindings = [tvm.relax.VarBinding(var, value) for var, value in chain.items()]
    result = tvm.relax.Var("folded", tvm.relax.TupleType([var.ty for var in chain]))
    bindings.append(tvm.relax.VarBinding(result, tvm.relax.Tuple(list(chain))))
    body = tvm.relax.SeqExpr([tvm.relax.DataflowBlock(bindings)], result)
    kernels = {name: each for name, each in module.functions.items() if not isinstance(each, tvm.relax.Function)}
    alone = tvm.IRModule(
        {**kernels, "main": tvm.relax.Function([], body, result.ty).with_attr("global_symbol", "main")}
    )
    folded = tvm.relax.transform.FoldConstant()(alone)["main"]
    values = {b.var: b.value for block in folded.body.blocks for b in block.bindings}
    answer = values.get(folded.body.body, folded.body.body)
    return {var: value for var, value in zip(chain, answer.fields, strict=True) if is_constant(value)}


def _with_constants(function: Any, constants: dict[Any, Any]) -> Any:
    return function if not constants else _Replace(constants).visit_expr(function)


@tvm.relax.expr_functor.mutator
class _Replace(tvm.relax.PyExprMutator):
    """Puts constants where variables stand."""

    def __init__(self, constants: dict[Any, Any]) -> None:
        super().__init__()
        self._constants = constants

    def visit_dataflow_var_(self, var: Any) -> Any:
        return self._constants.get(var, var)

    def visit_var_(self, var: Any) -> Any:
        return self._constants.get(var, var)


@tvm.relax.expr_functor.mutator
class _OwnCopies(tvm.relax.PyExprMutator):
    """Gives every call copies of the cheap operators before it."""

    def __init__(self, module: Any) -> None:
        super().__init__(module)
        self._module = module
        self._values: dict[Any, Any] = {}

    def run(self, name: Any) -> None:
        """Rewrite one function of the module."""
        function = self._module[name]
        for block in function.body.blocks:
            for binding in block.bindings:
                if op_name(getattr(binding, "value", None)) in CHEAP:
                    self._values[binding.var] = binding.value
        self.builder_.update_func(name, self.visit_expr(function))

    def visit_call_(self, call: Any) -> Any:
        if op_name(call) in CHEAP:
            return super().visit_call_(call)
        arguments = [self._own(argument) for argument in call.args]
        return tvm.relax.Call(call.op, arguments, call.attrs, call.ty_args)

    def _own(self, expression: Any) -> Any:
        if isinstance(expression, tvm.relax.Tuple):
            return tvm.relax.Tuple([self._own(item) for item in expression.fields])
        call = self._values.get(expression) if isinstance(expression, tvm.relax.Var) else None
        if call is None:
            return self.visit_expr(expression)
        copy = tvm.relax.Call(call.op, [self._own(a) for a in call.args], call.attrs, call.ty_args)
        return self.builder_.emit(copy, expression.name)

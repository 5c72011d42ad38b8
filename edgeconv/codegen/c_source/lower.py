"""TIR to the body of a C function, through TVM's C code generator.

What TVM prints stands in a frame for its own runtime: the body alone is taken, and `tidy` makes it readable. TVM's
simplifier does not run, because it looks through variables and repeats what they hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from edgeconv.codegen.c_source.tidy import tidied
from edgeconv.codegen.tir import Expr, tirx, tvm
from edgeconv.errors import ToolError

__all__ = ["HELPERS", "function_body"]

HELPERS = {
    "edge_float_bits": """static int32_t edge_float_bits(float value) {
    union {
        float value;
        int32_t bits;
    } both;
    both.value = value;
    return both.bits;
}""",
    "edge_float_of_bits": """static float edge_float_of_bits(int32_t bits) {
    union {
        float value;
        int32_t bits;
    } both;
    both.bits = bits;
    return both.value;
}""",
    "edge_leading_zeros": """static int64_t edge_leading_zeros(int64_t value) {
    uint64_t rest = (uint64_t)value;
    int count = 64, step = 32;
    for (; step > 0; step /= 2) {
        if (rest >> step) {
            rest >>= step;
            count -= step;
        }
    }
    return count - (int)rest;
}""",
}
"""What no operator of C99 does, by name."""

_BODY = re.compile(r"^TVM_DLL void \w+\([^;{]*\) \{\n(.*?)^\}$", re.MULTILINE | re.DOTALL)


def function_body(function: Expr, symbol: str) -> str:
    """The statements of a TIR function.

    Raises:
        ToolError: this TVM was built without its C generator, or refuses the function.
    """
    build = tvm.get_global_func("target.build.c", allow_missing=True)
    if build is None:
        raise ToolError("this TVM was built without its C code generator", advice="edgeconv doctor")
    _register_rules()
    target = tvm.target.Target("c")
    lower = tvm.transform.Sequential(
        [
            tirx.transform.BindTarget(target.with_host(target)),
            tirx.transform.FlattenBuffer(),
            tirx.transform.LowerIntrin(),
        ]
    )
    try:
        with tvm.transform.PassContext(opt_level=3):
            printed = build(lower(tvm.IRModule({symbol: function})), target).inspect_source()
    except (RuntimeError, ValueError) as error:
        raise ToolError(f"TVM could not print {symbol} as C: {error}", advice="edgeconv doctor") from error
    (body,) = _BODY.findall(printed)
    return tidied(body)


@cache
def _register_rules() -> None:
    """How the intrinsics that kernels use are called in C; TVM keeps such rules by target, so LLVM's are untouched."""
    leading_zeros = tirx.call_llvm_pure_intrin("int64", "llvm.ctlz.i64", tirx.const(0, "int64"), tirx.const(0, "bool"))
    number = int(leading_zeros.args[0])

    def llvm_intrinsic(call: Expr) -> Expr:
        if int(call.args[0]) != number:
            raise ValueError(f"an LLVM intrinsic without a form in C: {call}")
        return tirx.call_pure_extern("int64", "edge_leading_zeros", call.args[1])

    def reinterpretation(call: Expr) -> Expr:
        forms = {"int32": "edge_float_bits", "float32": "edge_float_of_bits"}
        return tirx.call_pure_extern(call.ty.dtype, forms[str(call.ty.dtype)], call.args[0])

    rules: dict[str, Callable[[Expr], Expr]] = {
        "tirx.call_llvm_pure_intrin": llvm_intrinsic,
        "tirx.reinterpret": reinterpretation,
    }
    for name, rule in rules.items():
        tirx.op.register_intrin_lowering(name, "c", f=rule)

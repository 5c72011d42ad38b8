"""TIR to CUDA C++ through TVM's CUDA code generator.

TVM's module for CUDA wants to compile and to load what it prints, which takes a GPU. Here only the text is taken: TVM
is told that the compiler is somebody else, and the headers of its own frame give way to `prelude.cuh`. TVM's simplifier
does not run, because it looks through variables and repeats what they hold: nvcc simplifies, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from edgeconv.codegen.cuda import FIRST_KERNEL
from edgeconv.codegen.tir import Expr, tirx, tvm
from edgeconv.errors import ToolError

__all__ = ["PRELUDE", "cuda_source"]

PRELUDE = Path(__file__).parent / "prelude.cuh"
_COMPILE_CALLBACK = "tvm_callback_cuda_compile"
_INTRINSICS = {
    ("llvm.fma.f32", "float32"): "__fmaf_rn",
    ("llvm.fma.f64", "float64"): "__fma_rn",
    ("llvm.ctlz.i64", "int64"): "edge_leading_zeros",
}
"""By name and type of the result: LLVM numbers an intrinsic once for all types."""


def cuda_source(functions: Mapping[str, object]) -> str:
    """The source of kernels, by symbol.

    Raises:
        ToolError: this TVM was built without its CUDA generator, or refuses a function.
    """
    build = tvm.get_global_func("target.build.cuda", allow_missing=True)
    if build is None:
        raise ToolError("this TVM was built without its CUDA code generator", advice="edgeconv doctor")
    _register_rules()
    # Of the architecture TVM only asks whether it is one that it knows: the text is the same for all.
    target = tvm.target.Target({"kind": "cuda", "arch": "sm_75"})
    host = tvm.target.Target("llvm")
    lower = tvm.transform.Sequential(
        [
            tirx.transform.BindTarget(target.with_host(host)),
            tirx.transform.FlattenBuffer(),
            tirx.transform.LowerIntrin(),
        ]
    )
    try:
        with tvm.transform.PassContext(opt_level=3), _printed() as printed:
            module = build(lower(tvm.IRModule(dict(functions))), target)
    except (RuntimeError, ValueError) as error:
        raise ToolError(f"TVM could not print the kernels as CUDA: {error}", advice="edgeconv doctor") from error
    # Without a driver TVM keeps the text itself and calls no compiler.
    text = printed[0] if printed else module.inspect_source()
    return PRELUDE.read_text(encoding="utf-8") + "\n" + text[text.index(FIRST_KERNEL) :]


@contextmanager
def _printed() -> Iterator[list[str]]:
    """Inside, what TVM would have compiled is collected; whoever compiled before does so again afterwards."""
    printed: list[str] = []

    def collect(code: str, *_target: Any) -> bytes:
        printed.append(code)
        return b"collected"

    before = tvm.get_global_func(_COMPILE_CALLBACK, allow_missing=True)
    tvm.register_global_func(_COMPILE_CALLBACK, collect, override=True)
    try:
        yield printed
    finally:
        if before is not None:
            tvm.register_global_func(_COMPILE_CALLBACK, before, override=True)


@cache
def _register_rules() -> None:
    """How the intrinsics that kernels use are called in CUDA; TVM keeps such rules by target."""
    functions = {(_number(*key), key[1]): function for key, function in _INTRINSICS.items()}

    def llvm_intrinsic(call: Expr) -> Expr:
        function = functions.get((int(call.args[0]), str(call.ty.dtype)))
        if function is None:
            raise ValueError(f"an LLVM intrinsic without a form in CUDA: {call}")
        operands = call.args[1:2] if function == "edge_leading_zeros" else call.args[1:]
        return tirx.call_pure_extern(call.ty.dtype, function, *operands)

    rules: dict[str, Callable[[Expr], Expr]] = {"tirx.call_llvm_pure_intrin": llvm_intrinsic}
    for name, rule in rules.items():
        tirx.op.register_intrin_lowering(name, "cuda", f=rule)


def _number(name: str, element: str) -> int:
    return int(tirx.call_llvm_pure_intrin(element, name, tirx.const(0, element)).args[0])

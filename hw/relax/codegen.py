"""`relax.ext.edgeconv_fpga`: functions of composites become functions that hand their arguments to the array."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from edgeconv.codegen.tir import Expr, IRBuilder, T, tirx, tvm
from edgeconv.errors import UsageError
from edgeconv.hw.relax.compile import compile_region
from edgeconv.hw.relax.package import Package
from edgeconv.hw.relax.patterns import NAME
from edgeconv.hw.relax.region import Region, region_of_function
from edgeconv.hw.relax.runtime import ENTRY
from edgeconv.hw.relax.tensors import dtype_of, shape_of
from edgeconv.hw.spec import ArrayConfig

__all__ = ["EXTERNAL", "generate"]

EXTERNAL = f"relax.ext.{NAME}"
"""What `RunCodegen` looks for."""


@tvm.register_global_func(EXTERNAL, override=True)
def generate(functions: Sequence[Any], options: Mapping[str, Any] | None, constant_names: Any) -> list[Any]:
    """One library for all composites, each with its package inside, so that it can be exported and loaded elsewhere.

    Args:
        options: sizes of the array, fields of `ArrayConfig`, as `RunCodegen({"edgeconv_fpga": …})` passes them.

    Raises:
        ModelError: a function is no composite of this configuration.
        UsageError: there is no such option.
    """
    config = _config(options)
    module = tvm.IRModule({})
    for function in functions:
        symbol = str(function.attrs["global_symbol"])
        region = region_of_function(function)
        package = Package.of(symbol, compile_region(region, config))
        module[symbol] = _caller(symbol, function, region, package.to_text())
    return [tirx.build(module, target="llvm")]


def _config(options: Mapping[str, Any] | None) -> ArrayConfig | None:
    known = [field.name for field in fields(ArrayConfig)]
    found = {str(key): int(value) for key, value in (options or {}).items()}
    for name in found:
        if name not in known:
            raise UsageError(f"{NAME} has no option '{name}'", expected=f"one of: {', '.join(known)}")
    return ArrayConfig(**found) if found else None


def _caller(symbol: str, function: Any, region: Region, package: str) -> Expr:
    """A function over tensors, the results last, that passes their addresses on.

    A shape with a symbol is an argument, too: it says nothing that the tensors do not.
    """
    with IRBuilder() as builder, T.prim_func():
        T.func_name(symbol)
        T.func_attr({"global_symbol": symbol})
        samples = T.int64() if isinstance(region.samples, str) else tirx.const(region.samples, "int64")
        arguments = [(var, T.arg(f"argument{k}", T.handle())) for k, var in enumerate(function.params)]
        results = [(var, T.arg(f"result{k}", T.handle())) for k, var in enumerate(region.outputs)]
        tensors = [(var, argument) for var, argument in arguments if var in region.inputs]
        buffers = [_buffer(var, argument, samples) for var, argument in (*tensors, *results)]
        T.evaluate(T.call_packed(ENTRY, package, samples, *(buffer.data for buffer in buffers)))
    return builder.get()


def _buffer(var: Any, argument: Expr, samples: Expr) -> Expr:
    # There is one symbol at most, the number of samples; inside of a composite it may have another name.
    extents = [samples if isinstance(extent, str) else extent for extent in shape_of(var)]
    return T.match_buffer(argument, extents, dtype_of(var))

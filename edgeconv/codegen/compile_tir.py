"""TIR to object code through TVM's LLVM."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.tir import tirx, tvm
from edgeconv.errors import ToolError

__all__ = ["compile_function"]


def compile_function(function: object, symbol: str, isa: Isa) -> bytes:
    """The bytes of an ELF object that defines `symbol`.

    Of TVM's passes only those run that this kind of function needs: no schedules, blocks, devices or packed calls occur
    in it, and the default pipeline takes longer than LLVM does. The features are given to LLVM explicitly, so that an
    intrinsic which does not fit the CPU cannot occur: LLVM would end the process.

    Raises:
        ToolError: this TVM was built without LLVM, or refuses the function.
    """
    build = tvm.get_global_func("target.build.llvm", allow_missing=True)
    if build is None:
        raise ToolError("this TVM was built without LLVM", advice="edgeconv doctor")
    try:
        target = tvm.target.Target(
            {
                "kind": "llvm",
                "mtriple": isa.triple,
                "mcpu": isa.cpu,
                "mattr": list(isa.attributes),
                "cl-opt": list(isa.llvm_options),
            }
        )
        lower = tvm.transform.Sequential(
            [
                tirx.transform.BindTarget(target.with_host(target)),
                tirx.transform.FlattenBuffer(),
                tirx.transform.StmtSimplify(),
                tirx.transform.LowerIntrin(),
            ]
        )
        with tvm.transform.PassContext(opt_level=3):
            library = build(lower(tvm.IRModule({symbol: function})), target)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "code.o"
            library.write_to_file(str(path), "o")
            return path.read_bytes()
    except (RuntimeError, ValueError) as error:
        raise ToolError(f"TVM could not compile {symbol}: {error}", advice="edgeconv doctor") from error

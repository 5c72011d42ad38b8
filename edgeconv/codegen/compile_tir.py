"""TIR to object code through TVM's LLVM."""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.tir import tvm
from edgeconv.errors import ToolError

__all__ = ["compile_function"]


def compile_function(function: object, symbol: str, isa: Isa) -> bytes:
    """The bytes of an ELF object that defines `symbol`.

    The features are given to LLVM explicitly, so that an intrinsic which does not fit the CPU cannot occur: LLVM would
    end the process.

    Raises:
        ToolError: this TVM was built without LLVM, or LLVM refuses the function.
    """
    target = {"kind": "llvm", "mtriple": isa.triple, "mcpu": isa.cpu, "mattr": list(isa.attributes)}
    # Storage rewriting would move local arrays to the heap of TVM's runtime library, which is not there.
    config = {"tirx.disable_storage_rewrite": True}
    try:
        with tvm.transform.PassContext(opt_level=3, config=config):
            executable = tvm.compile(tvm.IRModule({symbol: function}), target=target)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "code.o"
            executable.mod.write_to_file(str(path), "o")
            return path.read_bytes()
    except (RuntimeError, ValueError) as error:
        raise ToolError(f"TVM could not compile {symbol}: {error}", advice="edgeconv doctor") from error

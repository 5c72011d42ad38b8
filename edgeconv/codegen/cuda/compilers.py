"""The compiler for GPUs on this machine: nvcc, or NVRTC where there is none."""

from __future__ import annotations

from edgeconv.codegen.cuda.image import CudaCompiler
from edgeconv.codegen.cuda.nvcc import find_nvcc
from edgeconv.codegen.cuda.nvrtc import find_nvrtc
from edgeconv.errors import ToolError

__all__ = ["find_cuda_compiler"]


def find_cuda_compiler() -> CudaCompiler:
    """nvcc, whose fat binary is compressed and from which the driver chooses; else NVRTC.

    Raises:
        ToolError: there is neither; says what to install.
    """
    try:
        return find_nvcc()
    except ToolError:
        found = find_nvrtc()
        if found is None:
            raise
        return found

"""A thread of a GPU: scalar integers and floats with FMA; dot products are those of `edgeconv.codegen.cuda`."""

from edgeconv.codegen.isa.base import Isa

__all__ = ["CUDA"]

CUDA = Isa("cuda", "", "", has_fma=True, gpu=True)
"""No entry of `ISAS`: it becomes CUDA source, or the same kernels with their threads as loops for a CPU."""

"""How a program is spread over a GPU: whole networks in a block, or each step over all blocks."""

from __future__ import annotations

from dataclasses import dataclass

from edgeconv.codegen.cuda.builder import arena_stride
from edgeconv.codegen.cuda.team import WARP
from edgeconv.codegen.plan import Plan

__all__ = ["SHARED_BYTES", "Shape", "choose_shape", "most_samples"]

SHARED_BYTES = 48 << 10
"""Shared memory that every block has on every GPU without asking for more (CUDA C++ Programming Guide, table of
compute capabilities)."""
_MOST_SAMPLES = 16
"""Rows of a tensor-core tile: so many samples fill one in a fully connected layer."""


_MOST_ROWS = 65535  # of a grid
_WARPS_OF_A_GRID = 128  # a quarter of the schedulers of the largest GPUs: four for each of 132 multiprocessors
_MOST_OFFSET = (1 << 31) - 1


@dataclass(frozen=True)
class Shape:
    """Threads and memory of the kernels.

    Attributes:
        whole: the network is one kernel, of which each block takes `samples` samples, with their arenas in shared
            memory; else every step is a kernel of its own over one sample per row of the grid, with arenas in global
            memory.
        threads: of a block, a multiple of 32.
        samples: of a block.
    """

    whole: bool
    threads: int
    samples: int = 1

    @property
    def tiles_wanted(self) -> int:
        """Tiles of a layer that give every warp of a block something to do, or enough warps of a grid."""
        return self.threads // WARP if self.whole else _WARPS_OF_A_GRID


def choose_shape(plan: Plan) -> Shape:
    """As many samples to a block as fit its shared memory, or steps over all blocks where none fits."""
    samples = min(_MOST_SAMPLES, SHARED_BYTES // arena_stride(plan))
    if samples == 0:
        return Shape(whole=False, threads=128)
    return Shape(whole=True, threads=256 if samples >= 8 else 128, samples=samples)


def most_samples(plan: Plan, shape: Shape) -> int:
    """Samples that one launch may take: kernels count elements and bytes in 32 bits."""
    program = plan.program
    sizes = [program.types[name].size for name in (*program.inputs, *program.outputs)]
    if shape.whole:
        return _MOST_OFFSET // max(1, *sizes) // shape.samples * shape.samples
    return min(_MOST_ROWS, _MOST_OFFSET // max(arena_stride(plan), *sizes))

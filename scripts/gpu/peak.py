"""The rate of int8 products on the tensor cores of a GPU: what shares of its peak are shares of.

It is the rate of `mma.m16n8k32`, which the kernels use, with all operands in registers. Hopper's `wgmma` reaches more;
the kernels do not use it.
"""

from __future__ import annotations

from edgeconv.codegen.cuda.source import PRELUDE
from edgeconv.codegen.cuda.team import WARP
from edgeconv.codegen.cuda.tensor_core import COLUMNS, DEPTH, ROWS
from scripts.gpu.driver import Gpu

__all__ = ["measured_peak", "peak_source"]

_SYMBOL, _THREADS = "edge_peak", 256
_CHAINS = 8  # products of a warp that do not wait for one another
_MACS = ROWS * COLUMNS * DEPTH
_BLOCKS_A_PROCESSOR = 4


def peak_source() -> str:
    """CUDA source of the kernel: n rounds of independent products for each warp."""
    head = (
        f'extern "C" __global__ void __launch_bounds__({_THREADS}) {_SYMBOL}'
        "(int* output0, uchar* weights, uchar* scratch, int n, int number)"
    )
    products = "\n".join(
        f"    edge_multiply(sums + {4 * chain}, a, a + 1, a + 2, a + 3, b, b + {chain});" for chain in range(_CHAINS)
    )
    return f"""{PRELUDE.read_text(encoding="utf-8")}
{head};
{head} {{
  int sums[{4 * _CHAINS}], total = 0, a = (int)threadIdx.x, b = number;
  for (int i = 0; i < {4 * _CHAINS}; ++i) sums[i] = 0;
  for (int round = 0; round < n; ++round) {{
{products}
  }}
  for (int i = 0; i < {4 * _CHAINS}; ++i) total += sums[i];
  output0[(int)blockIdx.x * {_THREADS} + a] = total;
}}
"""


def measured_peak(gpu: Gpu, image: bytes, rounds: int = 512) -> float:
    """Multiply-accumulates a second.

    Args:
        image: `peak_source`, compiled.
        rounds: of a launch; some milliseconds.
    """
    blocks = gpu.processors * _BLOCKS_A_PROCESSOR
    kernel = gpu.kernel(gpu.load(image), _SYMBOL)
    output = gpu.allocate(4 * blocks * _THREADS)
    pointers = (output, 0, 0)
    seconds = gpu.median_seconds(lambda: gpu.launch(kernel, (blocks, 1), _THREADS, pointers, (rounds, 3)), calls=10)
    return blocks * (_THREADS // WARP) * rounds * _CHAINS * _MACS / seconds

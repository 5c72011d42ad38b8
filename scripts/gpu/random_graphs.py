"""Random graphs on a GPU, compared with the reference exactly.

    python -m scripts.gpu.random_graphs --graphs 1000 --seconds 240

Graphs are generated and compiled in as many processes as there are cores, for the GPU at hand alone, several to a call
of nvcc; this process runs them. It stops when all are done, or says how many were when the time is over.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgeconv import reference
from edgeconv.codegen.cuda import FIRST_KERNEL, GeneratedCuda, generate_cuda
from edgeconv.codegen.cuda.nvcc import find_nvcc
from edgeconv.codegen.cuda.shape import Shape
from edgeconv.errors import ProgramError
from scripts.gpu.driver import Gpu
from tests.random_graphs.forms import proved_forms
from tests.random_graphs.seeds import graph_of

FIRST = 4_000_000
_SHAPES = (
    None,
    Shape(whole=True, threads=64, samples=3),
    Shape(whole=False, threads=96),
    Shape(whole=True, threads=32),
)


@dataclass(frozen=True)
class Batch:
    """Graphs whose kernels are one source.

    Attributes:
        source: CUDA C++ of all of them.
        codes: by seed.
        refused: how many have no proof for the forms that were asked for.
    """

    source: str
    codes: dict[int, GeneratedCuda]
    refused: int


def generate_batch(seeds: range) -> Batch:
    """Generate the kernels of the graphs of some seeds."""
    codes, refused, source = {}, 0, ""
    for seed in seeds:
        graph = graph_of(seed)
        try:
            forms = proved_forms(graph.case.program, "cuda", graph.turn)
        except ProgramError:
            refused += 1
            continue
        shape = _SHAPES[seed % len(_SHAPES)]
        code = generate_cuda(graph.case.program, forms, fuse=graph.fuse, shape=shape, symbol=f"graph_{seed}")
        # One prelude is enough for all.
        source += code.source if not source else code.source[code.source.index(FIRST_KERNEL) :]
        codes[seed] = code
    return Batch(source, codes, refused)


def compile_batch(seeds: range, architecture: str) -> tuple[Batch, bytes]:
    """Generate and compile the graphs of some seeds."""
    batch = generate_batch(seeds)
    return batch, find_nvcc().compile(batch.source, [architecture])


def compare_batch(gpu: Gpu, batch: Batch, image: bytes) -> Iterator[str]:
    """Run a batch; yields a line for every graph that differs."""
    module = gpu.load(image)
    for seed, code in batch.codes.items():
        case = graph_of(seed).case
        found = gpu.run(module, code, case.program, case.inputs)
        for name, expected in reference.run(case.program, case.inputs).items():
            if found[name].tobytes() != expected.tobytes():
                yield f"seed {seed}: %{name} differs ({', '.join(report.kernel for report in code.report)})"
    gpu.unload(module)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--graphs", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=240.0)
    parser.add_argument("--batch", type=int, default=20, help="graphs to a call of nvcc")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    options = parser.parse_args()
    gpu, end = Gpu(), time.monotonic() + options.seconds
    done = refused = 0
    wrong: list[str] = []
    last = FIRST + options.graphs
    batches = [range(start, min(start + options.batch, last)) for start in range(FIRST, last, options.batch)]
    # Children are made afresh: a context of CUDA does not survive a fork.
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for job in as_completed([pool.submit(compile_batch, seeds, gpu.architecture) for seeds in batches]):
            batch, image = job.result()
            wrong += compare_batch(gpu, batch, image)
            done, refused = done + len(batch.codes), refused + batch.refused
            if time.monotonic() > end:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    print("\n".join(wrong))
    print(f"{done} random graphs on {gpu.architecture}, {len(wrong)} differences, {refused} refused by the proof")
    return 1 if wrong or done + refused < options.graphs else 0


if __name__ == "__main__":
    sys.exit(main())

"""Arrays that lie on the GPU or are pinned, in streams of their own: an artifact gives the bits of its golden samples.

    python -m scripts.gpu.arrays ARTIFACT

Arrays of the driver's own memory by DLPack, pinned arrays of numpy, and, where torch sees the GPU, its tensors in its
current stream and in one of their own. Each way is called three times: from the second on several kernels are a graph.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgeconv.artifact import read
from edgeconv.runtime.cuda import CudaRunner
from scripts.gpu.driver import Gpu, torch_on_gpu

__all__ = ["different"]

_CALLS = 3
Arrays = dict[str, np.ndarray]


def own_arrays(gpu: Gpu, runner: CudaRunner, inputs: Arrays, outputs: Arrays) -> Iterator[tuple[str, Arrays]]:
    """(way, results) of arrays in the driver's memory and in pinned memory."""
    x = {name: gpu.array(array) for name, array in inputs.items()}
    out = {name: gpu.array(np.zeros_like(array)) for name, array in outputs.items()}
    for _ in range(_CALLS):
        runner(x, out=out)
        yield "DLPack", {name: gpu.values(array) for name, array in out.items()}
    pinned = {name: gpu.pinned(array.shape, array.dtype.name) for name, array in (inputs | outputs).items()}
    for name, array in inputs.items():
        pinned[name][...] = array
    for _ in range(_CALLS):
        runner({name: pinned[name] for name in inputs}, out={name: pinned[name] for name in outputs})
        yield "pinned", {name: pinned[name].copy() for name in outputs}


def torch_arrays(torch: Any, runner: CudaRunner, inputs: Arrays, outputs: Arrays) -> Iterator[tuple[str, Arrays]]:
    """(way, results) of torch's tensors on the GPU."""

    def call() -> Arrays:
        results = runner({name: torch.from_numpy(array).cuda() for name, array in inputs.items()})
        named = results if isinstance(results, dict) else {next(iter(outputs)): results}
        return {name: tensor.cpu().numpy() for name, tensor in named.items()}

    for _ in range(_CALLS):
        yield "torch", call()
    with torch.cuda.stream(torch.cuda.Stream()):
        for _ in range(_CALLS):
            yield "torch, a stream of its own", call()


def different(path: Path, note: Callable[[str], None] = print) -> list[str]:
    """Ways whose results differ from the golden ones in any byte, with the output's name."""
    artifact, gpu = read(path), Gpu()
    runner = CudaRunner(artifact)
    inputs, outputs = ({name: np.asarray(array) for name, array in arrays.items()} for arrays in artifact.golden())
    ways = [own_arrays(gpu, runner, inputs, outputs)]
    torch = torch_on_gpu()
    if torch is not None:
        ways.append(torch_arrays(torch, runner, inputs, outputs))
    wrong, taken = [], {}
    for way in ways:
        for name, results in way:
            taken[name] = taken.get(name, 0) + 1
            wrong += [f"{name}: {o}" for o, array in outputs.items() if results[o].tobytes() != array.tobytes()]
    note(f"{', '.join(f'{count} calls by {name}' for name, count in taken.items())}: {len(wrong)} differences")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifact", type=Path)
    wrong = different(parser.parse_args().artifact)
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

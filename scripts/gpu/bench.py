"""Latency and throughput on a GPU, beside torch, as the tables of docs/results-cuda.md.

    python -m scripts.gpu.bench FOLDER -o table.md     # with pulse.edge and pulse.onnx, … as gpu_check.sh makes them

Work in device memory is timed by CUDA events around calls in one stream; calls from host memory by the clock, copies
included; medians of many calls after a warm-up. Shares are of the rate of `mma` that this GPU showed in the same run.
Where torch sees the GPU it runs float16 twins of the same shapes: eager, compiled with CUDA graphs, and replayed as a
graph of its own. What they compute has no meaning; only their time counts.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgeconv.artifact import read
from edgeconv.codegen.cuda.nvcc import find_nvcc
from edgeconv.runtime.cuda import CudaRunner
from scripts.gpu.driver import Gpu, torch_on_gpu
from scripts.gpu.peak import measured_peak, peak_source

__all__ = ["Row", "goals", "own_rows", "table"]

# Networks with goals first: time may end before the last of torch's rows.
BATCHES = {"pulse": 1 << 18, "depth": 256, "ecg": 256, "wave": 512}
NUMPY, DEVICE, PINNED, COMPILED = (
    "edgeconv, numpy",
    "edgeconv, device memory",
    "edgeconv, pinned memory",
    "torch.compile",
)
_CALLS, _HOST_CALLS, _SINGLE_CALLS = 40, 20, 400


@dataclass(frozen=True)
class Row:
    """A measurement.

    Attributes:
        seconds: median of a call.
        share: of the measured peak; None for somebody else's network.
    """

    network: str
    way: str
    batch: int
    seconds: float
    share: float | None = None

    @property
    def rate(self) -> float:
        """Samples a second."""
        return self.batch / self.seconds

    def cells(self) -> tuple[str, ...]:
        """Of a line of a table."""
        shown = f"{self.seconds * 1e6:.1f} µs" if self.seconds < 1e-3 else f"{self.seconds * 1e3:.2f} ms"
        share = "" if self.share is None else f"{100 * self.share:.1f} %"
        return self.network, self.way, f"{self.batch:,}", shown, f"{self.rate:,.0f}", share


GOALS: tuple[tuple[str, str, bool, float], ...] = (
    ("pulse", DEVICE, True, 50e6),
    ("pulse", PINNED, True, 10e6),
    ("pulse", NUMPY, False, 1 / 12e-6),
    ("depth", DEVICE, True, 20e3),
    ("depth", DEVICE, False, 1 / 200e-6),
)
"""(network, way, many samples or one, samples a second at least); set for an H200."""


def median_of_clock(call: Callable[[], object], calls: int) -> float:
    """Seconds of a call that returns when its results are there."""
    for _ in range(max(3, calls // 10)):
        call()
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return median(times)


def own_rows(gpu: Gpu, name: str, path: Path, batch: int, peak: float) -> Iterator[Row]:
    """edgeconv: one sample from numpy, one and many from device memory, many from pinned host memory."""
    artifact = read(path)
    runner, macs = CudaRunner(artifact), artifact.manifest.macs
    (tensor,), rng = runner.inputs, np.random.default_rng(0)

    def row(way: str, count: int, seconds: float) -> Row:
        return Row(name, way, count, seconds, macs * count / seconds / peak)

    one = rng.standard_normal(tensor.shape).astype(tensor.dtype)
    yield row(NUMPY, 1, median_of_clock(lambda: runner(one), _SINGLE_CALLS))
    for count in (1, batch):
        values = rng.standard_normal((count, *tensor.shape)).astype(tensor.dtype)
        x = gpu.array(values)
        out = {o.name: gpu.array(np.zeros((count, *o.shape), o.dtype)) for o in runner.outputs}
        yield row(DEVICE, count, gpu.median_seconds(lambda x=x, out=out: runner({tensor.name: x}, out=out), _CALLS))
        gpu.free(x.address, *(array.address for array in out.values()))
    host = gpu.pinned(values.shape, tensor.dtype)
    host[...] = values
    into = {o.name: gpu.pinned((batch, *o.shape), o.dtype) for o in runner.outputs}
    yield row(PINNED, batch, median_of_clock(lambda: runner({tensor.name: host}, out=into), _HOST_CALLS))
    runner.close()


def torch_rows(torch: Any, gpu: Gpu, name: str, model: Path, batch: int) -> Iterator[Row]:
    """The float16 twin of a network, in three ways, with its input in device memory."""
    from scripts.bench_networks import input_shape
    from scripts.gpu.twin import torch_twin

    module = torch_twin(model).eval().half().cuda()
    with torch.no_grad():
        for count in (1, batch):
            x = torch.randn((count, *input_shape(name)[1:]), device="cuda", dtype=torch.float16)
            # "reduce-overhead" is Inductor with CUDA graphs.
            compiled = torch.compile(module, mode="reduce-overhead", dynamic=False)
            ways: dict[str, Callable[[], object]] = {
                "torch fp16": lambda x=x: module(x),
                f"{COMPILED} fp16, CUDA graphs": lambda x=x, compiled=compiled: compiled(x),
                "torch fp16, CUDA graph": _graph(torch, module, x),
            }
            for way, call in ways.items():
                yield Row(name, way, count, gpu.median_seconds(call, _CALLS))


def _graph(torch: Any, module: Any, x: Any) -> Callable[[], object]:
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            module(x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        module(x)
    return graph.replay


def goals(rows: Sequence[Row]) -> list[str]:
    """A line for each goal whose network was measured, and one for each comparison with compiled torch."""
    lines = []
    for network, way, many, wanted in GOALS:
        for row in rows:
            if (row.network, row.way, row.batch > 1) == (network, way, many):
                met = "met" if row.rate >= wanted else "missed"
                lines.append(
                    f"{network}, {way}, batch {row.batch:,}: {row.rate:,.0f} a second, goal {wanted:,.0f}: {met}"
                )
    for row in rows:
        for other in rows:
            same = (other.network, other.batch) == (row.network, row.batch) and row.way == DEVICE
            if same and other.way.startswith(COMPILED):
                lines.append(f"{row.network}, batch {row.batch:,}: {other.seconds / row.seconds:.1f} × {other.way}")
    return lines


def table(head: Sequence[str], rows: Sequence[Row]) -> str:
    """Markdown: what it was measured on, the measurements, the goals."""
    lines = [
        *(f"{line}\n" for line in head),
        "| network | way | batch | median of a call | samples a second | of the peak |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join(row.cells())} |" for row in rows),
        "",
        *(f"- {line}" for line in goals(rows)),
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path, help="written again after each network")
    parser.add_argument("--batch", type=int, help="samples of a large call; chosen for each network when not given")
    parser.add_argument("--driver", default="", help="the driver's release, for the table's head")
    parser.add_argument("--seconds", type=float, default=150.0, help="no network is begun in torch after that")
    options = parser.parse_args()
    start, gpu = time.monotonic(), Gpu()
    peak = measured_peak(gpu, find_nvcc().compile(peak_source(), [gpu.architecture]))
    torch, names = torch_on_gpu(), [name for name in BATCHES if (options.folder / f"{name}.edge").exists()]
    head = [
        f"{gpu.name}, driver {options.driver or '?'}, torch {getattr(torch, '__version__', 'not here')}, {date.today()}"
    ]
    head.append(f"mma m16n8k32 on int8: {peak / 1e12:.0f} TMAC/s measured, {gpu.processors} multiprocessors.")
    rows: list[Row] = []

    def note(more: Iterator[Row]) -> None:
        rows.extend(more)
        if options.output:
            options.output.write_text(table(head, rows), encoding="utf-8")

    for name in names:
        note(own_rows(gpu, name, options.folder / f"{name}.edge", options.batch or BATCHES[name], peak))
    for name in names if torch else ():
        if time.monotonic() - start > options.seconds:
            print(f"left out: {name} in torch, the time is over")
            continue
        note(torch_rows(torch, gpu, name, options.folder / f"{name}.onnx", options.batch or BATCHES[name]))
    print(table(head, rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Latency and throughput on a GPU, beside torch, as the tables of docs/results-cuda.md.

    python -m scripts.gpu.bench FOLDER -o table.md     # with pulse.edge and pulse.onnx, … as gpu_check.sh makes them

Times of many samples are taken with CUDA events around calls in one stream, those of one sample from Python by the
clock, copies included; medians of many calls after a warm-up. torch runs float16 twins of the same shapes: eager,
compiled, and replayed as a CUDA graph. What it computes has no meaning; only its time counts.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgeconv.artifact import read
from edgeconv.runtime.cuda import CudaRunner

_BATCHES = {"pulse": 1 << 18, "ecg": 256, "wave": 512, "depth": 256}
_CALLS, _WARM = 60, 8
Row = tuple[str, str, str, str]


def median_of_clock(call: Callable[[], object], calls: int = 400) -> float:
    """Seconds of a call that returns when its results are there."""
    for _ in range(_WARM * 4):
        call()
    times = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def median_of_events(torch: Any, call: Callable[[], object]) -> float:
    """Seconds on the GPU between two events around a call."""
    for _ in range(_WARM):
        call()
    times = []
    for _ in range(_CALLS):
        start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        stop.record()
        stop.synchronize()
        times.append(start.elapsed_time(stop) / 1e3)
    return statistics.median(times)


def own_rows(torch: Any, name: str, path: Path) -> list[Row]:
    """edgeconv: one sample from numpy, many from device memory and from pinned host memory."""
    runner = CudaRunner(read(path))
    (tensor,), batch = runner.inputs, _BATCHES[name]
    rng = np.random.default_rng(0)
    one = rng.standard_normal(tensor.shape).astype(tensor.dtype)
    host = torch.empty((batch, *tensor.shape), dtype=getattr(torch, tensor.dtype), pin_memory=True)
    host.numpy()[...] = rng.standard_normal(host.shape).astype(tensor.dtype)
    device = host.cuda()
    into = [torch.empty((batch, *o.shape), dtype=getattr(torch, o.dtype), pin_memory=True) for o in runner.outputs]
    out = {o.name: array.numpy() for o, array in zip(runner.outputs, into, strict=True)}
    single = out if len(out) > 1 else next(iter(out.values()))
    return [
        _row(name, "edgeconv, numpy", 1, median_of_clock(lambda: runner(one))),
        _row(name, "edgeconv, device memory", batch, median_of_events(torch, lambda: runner(device))),
        _row(name, "edgeconv, pinned memory", batch, median_of_clock(lambda: runner(host.numpy(), out=single), 20)),
    ]


def torch_rows(torch: Any, name: str, model: Path) -> list[Row]:
    """The float16 twin of a network, in three ways."""
    from scripts.bench_networks import input_shape
    from scripts.gpu.twin import torch_twin

    module, rows = torch_twin(model).eval().half().cuda(), []
    for batch in (1, _BATCHES[name]):
        x = torch.randn((batch, *input_shape(name)[1:]), device="cuda", dtype=torch.float16)
        compiled = torch.compile(module, mode="reduce-overhead" if batch == 1 else "max-autotune-no-cudagraphs")
        ways = {
            "torch fp16": lambda x=x: module(x),
            "torch.compile fp16": lambda x=x, compiled=compiled: compiled(x),
            "torch fp16, CUDA graph": _graph(torch, module, x),
        }
        with torch.no_grad():
            rows += [_row(name, way, batch, median_of_events(torch, call)) for way, call in ways.items()]
    return rows


def _graph(torch: Any, module: Any, x: Any) -> Callable[[], object]:
    stream = torch.cuda.Stream()
    with torch.no_grad():
        with torch.cuda.stream(stream):
            for _ in range(3):
                module(x)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            module(x)
    return graph.replay


def _row(name: str, way: str, batch: int, seconds: float) -> Row:
    shown = f"{seconds * 1e6:.1f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.2f} ms"
    return name, f"{way}, batch {batch}", shown, f"{batch / seconds:,.0f}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    import torch

    rows: list[Row] = []
    for path in sorted(options.folder.glob("*.edge")):
        rows += own_rows(torch, path.stem, path) + torch_rows(torch, path.stem, path.with_suffix(".onnx"))
    properties = torch.cuda.get_device_properties(0)
    lines = [
        ", ".join((properties.name, f"torch {torch.__version__}", f"{date.today()}")),
        "",
        "| network | way | median of a call | samples a second |",
        "|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.output:
        options.output.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())

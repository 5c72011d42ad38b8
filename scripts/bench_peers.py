"""edgeconv beside onnxruntime, LiteRT, OpenVINO and stock TVM: speed and accuracy of the same quantized networks.

    python scripts/bench_peers.py -o results                 # the four networks of bench_networks.py and a few layers
    python scripts/bench_peers.py -o results --network pulse --passes 7 --no-tvm
    python scripts/bench_peers.py -o results --models FOLDER # NAME.onnx, NAME.u8s8.onnx, NAME.s8s8.onnx of one's own

One process, one thread, pinned to one core. In every pass all ways to run a network have one turn, in an order drawn
anew. Needs the extra `bench`. Writes peers.json and peers.png, which keep networks measured there before on the same
processor, and prints a table.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
# Read when the runtimes are loaded.
os.environ.update(OMP_NUM_THREADS="1", TVM_NUM_THREADS="1", OPENVINO_LOG_LEVEL="0", TF_CPP_MIN_LOG_LEVEL="3")

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from scripts.bench_networks import LAYERS, NETWORKS, samples, write
from scripts.peers.onnx_runtimes import edgeconv_ways, onnxruntime_ways, openvino_ways
from scripts.peers.other_runtimes import litert_ways, tvm_ways
from scripts.peers.report import NetworkResult, WayResult, draw, table
from scripts.peers.ways import Array, NetworkFiles, Unavailable, Way

_PEERS: dict[str, Callable[[NetworkFiles, Array], Iterator[Way]]] = {
    "edgeconv": edgeconv_ways,
    "onnxruntime": onnxruntime_ways,
    "OpenVINO": openvino_ways,
    "LiteRT": litert_ways,
    "stock TVM": tvm_ways,
}
_JUDGED_SAMPLES = 8


def files_of(name: str, folder: Path, models: Path | None) -> NetworkFiles:
    """The network's files: written fresh, or those of a folder."""
    if models is None:
        paths = write(name, folder)
    else:
        paths = {"float": models / f"{name}.onnx", **{s: models / f"{name}.{s}.onnx" for s in ("u8s8", "s8s8")}}
    return NetworkFiles(name, paths["float"], {s: p for s, p in paths.items() if s != "float"}, folder)


def measure_network(files: NetworkFiles, peers: list[str], passes: int, seed: int) -> NetworkResult:
    """All ways to run one network, in shuffled passes."""
    from edgeconv.artifact import read
    from edgeconv.bench.measure import Subject, summarize
    from edgeconv.bench.peak import measured_peak

    inputs = _inputs(files, _JUDGED_SAMPLES)
    ways: list[Way] = []
    absent: dict[str, str] = {}
    for peer in peers:
        print(f"{files.name}: preparing {peer}", file=sys.stderr, flush=True)
        try:
            ways += list(_PEERS[peer](files, inputs[0]))
        except Unavailable as error:
            absent[peer] = str(error)
    subjects = [Subject(f"{way.label}, {way.how}", 1, way.measure) for way in ways]
    rng = np.random.default_rng(seed)
    for number in range(passes):
        print(f"{files.name}: pass {number + 1} of {passes}", file=sys.stderr, flush=True)
        for index in rng.permutation(len(subjects)):
            subjects[int(index)].readings += subjects[int(index)].measure()
    manifest = read(files.folder / f"{files.name}.edge").manifest
    peak = measured_peak(manifest.isas[-1].name)
    judged = [_signal_to_noise(files, inputs, way) for way in ways]
    results = [
        WayResult(way.peer, way.style, way.how, timing.median, timing.low, timing.high, timing.readings, decibels)
        for way, timing, decibels in zip(ways, map(summarize, subjects), judged, strict=True)
    ]
    return NetworkResult(files.name, manifest.macs, peak, tuple(results), absent)


def _inputs(files: NetworkFiles, count: int) -> list[Array]:
    if files.name in NETWORKS or files.name in LAYERS:
        return samples(files.name, count)
    import onnx

    value = onnx.load(files.float_model).graph.input[0]
    shape = tuple(dim.dim_value or 1 for dim in value.type.tensor_type.shape.dim)
    rng = np.random.default_rng(2)
    return [rng.standard_normal(shape).astype(np.float32) for _ in range(count)]


def _signal_to_noise(files: NetworkFiles, inputs: list[Array], way: Way) -> float:
    """Decibels of the float model's output over the difference from it; infinite where there is none."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(files.float_model), providers=["CPUExecutionProvider"])
    signal = noise = 0.0
    for x in inputs:
        wanted = session.run(None, {session.get_inputs()[0].name: x})[0].astype(np.float64)
        found = way.output(x).reshape(wanted.shape)
        signal += float((wanted**2).sum())
        noise += float(((found - wanted) ** 2).sum())
    return float("inf") if noise == 0 else 10 * float(np.log10(signal / noise))


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder for networks, peers.json and peers.png"
    )
    parser.add_argument("--network", action="append", help="a network or layer of bench_networks.py, or of --models")
    parser.add_argument("--models", type=Path, help="folder with NAME.onnx, NAME.u8s8.onnx and NAME.s8s8.onnx")
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-tvm", action="store_true", help="leave stock TVM out, which takes minutes to compile")
    arguments = parser.parse_args()
    from edgeconv.bench.measure import cpu_name, pin

    core, load = pin(), os.getloadavg()[0]
    arguments.output.mkdir(parents=True, exist_ok=True)
    peers = [peer for peer in _PEERS if not (arguments.no_tvm and peer == "stock TVM")]
    stored = arguments.output / "peers.json"
    before = json.loads(stored.read_text()) if stored.is_file() else {}
    known = {v["name"]: NetworkResult.from_json(v) for v in before.get("networks", []) if before["cpu"] == cpu_name()}
    for name in arguments.network or [*NETWORKS, *LAYERS]:
        files = files_of(name, arguments.output, arguments.models)
        known[name] = measure_network(files, peers, arguments.passes, arguments.seed)
        print(table(known[name]), flush=True)
    results = list(known.values())
    values = {"cpu": cpu_name(), "core": core, "load": load, "passes": arguments.passes}
    stored.write_text(json.dumps(values | {"networks": [result.to_json() for result in results]}, indent=1) + "\n")
    draw(results, cpu_name(), arguments.output / "peers.png")
    print(f"{cpu_name()}, core {core}, load {load:.1f} at the start; medians of {arguments.passes} shuffled passes")
    return 0


if __name__ == "__main__":
    sys.exit(main())

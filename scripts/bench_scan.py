"""The selective scan: accuracy against the real scan on the same operands, and time beside onnxruntime's.

    python scripts/bench_scan.py --length 1024 --channels 64 --states 16

Both compute the same integers: onnxruntime the function of the model, edgeconv its artifact, one thread each.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import edgeconv
from edgeconv.artifact import read
from edgeconv.importer.scan_function import DOMAIN, DOMAIN_VERSION, INPUTS, NAME, scan_function
from edgeconv.ir.operators.scan import decay_tables
from edgeconv.quantize.scan import ScanConstants
from edgeconv.quantize.scan_twin import QuantScan
from edgeconv.runtime.cpu_features import supported_isas

_OPSET = 21
_SCALES = (1 / 32, 1 / 32, 1 / 64, 1 / 64)


def main() -> None:
    """Print one line for each runtime."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("length", 1024), ("channels", 64), ("states", 16), ("rounds", 30)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    layer, integers = _layer(options.channels, options.states, options.length)
    constants = layer.constants(*_SCALES)
    feeds = dict(zip(("x", "dt", "b", "c"), (tensor.numpy().astype(np.int8) for tensor in integers), strict=True))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scan.onnx"
        path.write_bytes(_model(constants, feeds).SerializeToString())
        artifact = edgeconv.compile(path, output=Path(folder) / "scan.edge").path
        session_options = onnxruntime.SessionOptions()
        session_options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(path, session_options)
        expected = session.run(None, feeds)[0]
        print(f"{_decibels(layer, integers, expected * constants.sum_step.numpy()[:, None]):.1f} dB to the real scan")
        peer = _median(lambda: session.run(None, feeds), options.rounds)
        print(f"onnxruntime   {peer * 1e3:8.2f} ms")
        carried = [compiled.name for compiled in read(artifact).manifest.isas]
        for isa in supported_isas():
            if isa not in carried:
                continue
            runner = edgeconv.load(artifact, isa=isa)
            same = np.array_equal(np.reshape(runner(feeds), expected.shape), expected)
            mine = _median(lambda runner=runner: runner(feeds), options.rounds)  # type: ignore[misc]
            print(f"{isa:12}  {mine * 1e3:8.2f} ms  {peer / mine:6.1f} ×  {'the same bits' if same else 'OTHER BITS'}")


def _layer(channels: int, states: int, length: int) -> tuple[QuantScan, list[torch.Tensor]]:
    """A layer that has seen its operands, with a on its grid, and operands in whole numbers."""
    torch.manual_seed(0)
    rows = (channels, channels, states, states)
    integers = [torch.round(40 * torch.randn(1, count, length)).clamp(-128, 127) for count in rows]
    layer = QuantScan(channels, states)
    with torch.no_grad():
        grid = layer.constants(*_SCALES).a.double() * torch.exp2(-layer.a_exponent().double())[:, None]
        layer.a_log.copy_(torch.log(grid))
        layer(*(each * scale for each, scale in zip(integers, _SCALES, strict=True)))
    return layer, integers


def _decibels(layer: QuantScan, integers: list[torch.Tensor], found: NDArray[np.generic]) -> float:
    layer.double()
    with torch.no_grad():
        real = layer(*(each.double() * scale for each, scale in zip(integers, _SCALES, strict=True))).numpy()
    error = real - found.astype(np.float64)
    return float(10 * np.log10(np.square(real).mean() / np.square(error).mean()))


def _model(constants: ScanConstants, feeds: dict[str, NDArray[np.int8]]) -> object:
    high, low = decay_tables(constants.exp_bits)
    arrays = {
        "a": constants.a.numpy().astype(np.uint8),
        "skip": constants.skip.numpy(),
        "steps": constants.steps.numpy(),
        "exp_high": np.array(high, np.int32),
        "exp_low": np.array(low, np.int32),
        "decay_shift": constants.decay_shift.numpy().astype(np.uint8),
        "input_shift": constants.input_shift.numpy().astype(np.uint8),
    }
    node = helper.make_node(
        NAME, INPUTS, ["y"], domain=DOMAIN, exp_bits=constants.exp_bits, state_bits=constants.state_bits
    )
    graph = helper.make_graph(
        [node],
        "scan",
        [helper.make_tensor_value_info(name, TensorProto.INT8, array.shape) for name, array in feeds.items()],
        [helper.make_tensor_value_info("y", TensorProto.INT32, feeds["x"].shape)],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(DOMAIN, DOMAIN_VERSION)]
    return helper.make_model(graph, functions=[scan_function(_OPSET)], opset_imports=opsets, ir_version=10)


def _median(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


if __name__ == "__main__":
    main()

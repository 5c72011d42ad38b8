"""LiteRT and stock TVM: what needs another form of the network. One thread each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from scripts.peers.ways import Array, NetworkFiles, Unavailable, Way

__all__ = ["litert_ways", "tvm_ways"]


def litert_ways(files: NetworkFiles, x: Array) -> Iterator[Way]:
    """LiteRT with its XNNPACK delegate on the same integers as a .tflite file; its input is channels-last.

    "native" is the time of `invoke` alone, called from Python: its C interface is not exported by the package.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise Unavailable("not installed (pip install 'edgeconv[bench]')") from error
    from edgeconv.bench.measure import timed
    from scripts.peers.quantized_graph import read_qdq
    from scripts.peers.tflite_file import tflite_bytes

    content = tflite_bytes(read_qdq(files.quantized["u8s8"]))
    (files.folder / f"{files.name}.tflite").write_bytes(content)
    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    start, end = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    ready = _to_channels_last(x)

    def call(value: Array = ready) -> Any:
        interpreter.set_tensor(start, value)
        interpreter.invoke()
        return interpreter.get_tensor(end)

    def output(value: Array) -> Array:
        result = np.array(call(_to_channels_last(value)), np.float32)
        return result.transpose(0, 3, 1, 2) if result.ndim == 4 else result

    yield Way("LiteRT", "int8", "python", timed(call), output)
    yield Way("LiteRT", "int8", "native", timed(interpreter.invoke), output)


def _to_channels_last(x: Array) -> Array:
    image = x[:, :, None, :] if x.ndim == 3 else x
    return np.ascontiguousarray(image.transpose(0, 2, 3, 1)) if image.ndim == 4 else image


def tvm_ways(files: NetworkFiles, x: Array) -> Iterator[Way]:
    """Apache TVM as it comes: its ONNX importer, its default pipeline, this CPU's instructions."""
    from edgeconv.bench.measure import cpu_name, timed

    try:
        import onnx
        import tvm
        from tvm import relax
        from tvm.relax.frontend.onnx import from_onnx
    except ImportError as error:
        raise Unavailable(f"cannot be imported: {error}") from error
    from edgeconv.runtime.cpu_features import supported_isas

    cpu = "x86-64-v4" if "avx512vnni" in supported_isas() else "x86-64-v3"
    target = tvm.target.Target({"kind": "llvm", "mcpu": cpu, "num-cores": 1})
    try:
        module = from_onnx(onnx.load(files.quantized["u8s8"]), keep_params_in_input=False)
        compiled = relax.build(module, target)
        machine = relax.VirtualMachine(compiled, tvm.cpu())
    except Exception as error:  # whatever it raises is the reason that is shown
        raise Unavailable(
            f"{type(error).__name__} on {cpu_name()}: {str(error).strip().splitlines()[-1][:160]}"
        ) from error

    def output(value: Array) -> Array:
        result = machine["main"](tvm.runtime.tensor(value))
        return np.array((result if hasattr(result, "numpy") else result[0]).numpy(), np.float32)

    output(x)
    yield Way("stock TVM", "u8s8", "python", timed(lambda: output(x)), output)

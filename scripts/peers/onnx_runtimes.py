"""edgeconv, onnxruntime and OpenVINO: what reads ONNX as it is. One thread each."""

from __future__ import annotations

import ctypes
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from scripts.peers.native_loop import native_turn
from scripts.peers.ways import Array, NetworkFiles, Unavailable, Way

__all__ = ["edgeconv_ways", "onnxruntime_ways", "openvino_ways"]

_C_ROUNDS = 200


def edgeconv_ways(files: NetworkFiles, x: Array) -> Iterator[Way]:
    """The u8s8 file, compiled for this machine."""
    import edgeconv
    from edgeconv.bench.measure import timed

    path = edgeconv.compile(files.quantized["u8s8"], output=files.folder / f"{files.name}.edge").path
    runner = edgeconv.load(path)
    out = runner(x)
    yield Way("edgeconv", "u8s8", "python", timed(lambda: runner(x)), runner)
    yield Way("edgeconv", "u8s8", "bound", timed(lambda: runner(x, out)), runner)

    def native() -> list[float]:
        command = [path / "edge-run", "--bench", str(_C_ROUNDS), "--batch", "1", "--isa", runner.isa]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        return [found[name] * 1e-9 for name in ("p05_ns", "median_ns", "p95_ns")]

    yield Way("edgeconv", "u8s8", "native", native, runner)


def onnxruntime_ways(files: NetworkFiles, x: Array) -> Iterator[Way]:
    """Both styles; its makers recommend signed symmetric weights, and unsigned activations on VNNI."""
    import onnxruntime

    from edgeconv.bench.measure import timed

    for style, path in files.quantized.items():
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        feed = {session.get_inputs()[0].name: x}

        def output(value: Array, session: onnxruntime.InferenceSession = session) -> Array:
            return np.asarray(session.run(None, {session.get_inputs()[0].name: value})[0], np.float32)

        yield Way("onnxruntime", style, "python", timed(lambda s=session, f=feed: s.run(None, f)), output)
        binding = session.io_binding()
        binding.bind_cpu_input(session.get_inputs()[0].name, x)
        result = onnxruntime.OrtValue.ortvalue_from_numpy(output(x))
        binding.bind_ortvalue_output(session.get_outputs()[0].name, result)
        yield Way("onnxruntime", style, "bound", timed(lambda s=session, b=binding: s.run_with_iobinding(b)), output)


def openvino_ways(files: NetworkFiles, x: Array) -> Iterator[Way]:
    """The QDQ files through its ONNX reader, which turns them into its own low-precision form."""
    try:
        import openvino
    except ImportError as error:
        raise Unavailable("not installed (pip install 'edgeconv[bench]')") from error
    from edgeconv.bench.measure import timed

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": "1", "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1"}
    for style, path in files.quantized.items():
        request = core.compile_model(str(path), "CPU", settings).create_infer_request()

        def output(value: Array, request: openvino.InferRequest = request) -> Array:
            return np.array(request.infer([value])[0], np.float32)

        def call(request: openvino.InferRequest = request) -> None:
            request.infer([x], share_inputs=True, share_outputs=True)

        yield Way("OpenVINO", style, "python", timed(call), output)
        function, argument = _native_request(Path(openvino.__file__).parent, path, settings)
        yield Way("OpenVINO", style, "native", native_turn(function, argument), output)


def _native_request(package: Path, model: Path, settings: dict[str, str]) -> tuple[int, ctypes.c_void_p]:
    """ov_infer_request_infer and a request of its own, through OpenVINO's C interface."""
    (library,) = (package / "libs").glob("libopenvino_c.so*")
    api = ctypes.CDLL(str(library))
    core, compiled, request = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_void_p()
    pairs = [ctypes.c_char_p(word.encode()) for pair in settings.items() for word in pair]
    statuses = (
        api.ov_core_create(ctypes.byref(core)),
        api.ov_core_compile_model_from_file(
            core, str(model).encode(), b"CPU", ctypes.c_size_t(len(pairs)), ctypes.byref(compiled), *pairs
        ),
        api.ov_compiled_model_create_infer_request(compiled, ctypes.byref(request)),
    )
    if any(statuses):
        raise Unavailable(f"the C interface returned {statuses}")
    address = ctypes.cast(api.ov_infer_request_infer, ctypes.c_void_p).value
    assert address is not None
    return address, request

"""The comparison with other runtimes: figures computed right, and peers that run the network they are said to run."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from scripts.bench_networks import LAYERS, NETWORKS, float_network, samples, write
from scripts.peers.native_loop import native_turn
from scripts.peers.quantized_graph import read_qdq
from scripts.peers.report import NetworkResult, WayResult, draw, table


def _way(peer: str, how: str, median: float, style: str = "u8s8") -> WayResult:
    return WayResult(peer, style, how, median, 0.9 * median, 1.2 * median, 50, 30.0)


_RESULT = NetworkResult(
    "net",
    1_000_000,
    1e11,
    (
        _way("edgeconv", "python", 3e-5),
        _way("edgeconv", "native", 2e-5),
        _way("LiteRT", "python", 6e-5),
        _way("OpenVINO", "python", 9e-5),
        _way("OpenVINO", "native", 5e-5),
        _way("onnxruntime", "bound", 4e-5, "s8s8"),
    ),
    {"stock TVM": "no reason"},
)


def test_ratios_compare_like_with_like() -> None:
    ratios = {(way.peer, way.how): _RESULT.ratio(way) for way in _RESULT.ways}
    assert ratios["LiteRT", "python"] == pytest.approx(2)
    assert ratios["OpenVINO", "native"] == pytest.approx(2.5)
    assert ratios["onnxruntime", "bound"] == pytest.approx(2)
    assert ratios["edgeconv", "native"] is None


def test_the_best_peer_and_the_share_of_the_peak() -> None:
    assert _RESULT.best(python=True) == _RESULT.ways[2]
    assert _RESULT.best(python=False) == _RESULT.ways[5]
    assert _RESULT.share(_RESULT.ways[1]) == pytest.approx(0.5)
    values = _RESULT.to_json()
    assert values["faster_than_best_python"] == pytest.approx(2)
    assert values["faster_than_best_native"] == pytest.approx(2)
    assert NetworkResult.from_json(values) == _RESULT


def test_the_table_names_peers_that_cannot_run(tmp_path: Path) -> None:
    text = table(_RESULT)
    assert "stock TVM cannot run it: no reason" in text
    assert "2.50×" in text
    pytest.importorskip("matplotlib")
    draw([_RESULT], "a processor", tmp_path / "peers.png")
    assert (tmp_path / "peers.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.needs_gcc
def test_a_native_turn_reads_seconds_and_reports_failure() -> None:
    absolute = ctypes.cast(ctypes.CDLL(None).abs, ctypes.c_void_p).value
    assert absolute is not None
    readings = native_turn(absolute, ctypes.c_void_p(0))()
    assert len(readings) >= 3
    assert 0 < min(readings) < 1e-6
    with pytest.raises(RuntimeError, match="returned 7"):
        native_turn(absolute, ctypes.c_void_p(7))()


def test_networks_have_the_costs_they_are_known_for() -> None:
    def macs(name: str) -> int:
        model = onnx.shape_inference.infer_shapes(float_network(name))
        shapes = {
            value.name: [dim.dim_value for dim in value.type.tensor_type.shape.dim]
            for value in (*model.graph.value_info, *model.graph.output)
        }
        weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
        layers = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
        return sum(int(np.prod(shapes[n.output[0]])) * int(np.prod(weights[n.input[1]][1:])) for n in layers)

    assert {name: macs(name) for name in NETWORKS} == {
        "pulse": 283_776,
        "ecg": 259_331_328,
        "depth": 172_962_816,
        "wave": 480_190_464,
    }
    assert macs("linear_512_64") == 512 * 64
    assert len(LAYERS) == 6


def test_a_quantized_file_is_read_layer_by_layer(tmp_path: Path) -> None:
    network = read_qdq(write("pulse", tmp_path, ("u8s8",), calibration=4)["u8s8"])
    assert [layer.operator for layer in network.layers] == [*["Conv"] * 4, "Flatten", "Gemm", "Gemm"]
    assert [layer.weights is not None for layer in network.layers] == [*[True] * 4, False, True, True]
    assert network.shapes[network.layers[3].output] == (1, 64, 8)
    assert all(tensor in network.parameters for layer in network.layers for tensor in (*layer.inputs, layer.output)
               if layer.operator != "Flatten")  # fmt: skip


@pytest.mark.parametrize("name", ["pulse", "depthwise_64_3x3"])
def test_a_tflite_file_computes_the_same_network(name: str, tmp_path: Path) -> None:
    interpreters = pytest.importorskip("ai_edge_litert.interpreter")
    from scripts.peers.tflite_file import tflite_bytes

    path = write(name, tmp_path, ("u8s8",), calibration=4)["u8s8"]
    network = read_qdq(path)
    interpreter = interpreters.Interpreter(model_content=tflite_bytes(network), num_threads=1)
    interpreter.allocate_tensors()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    step = float(network.parameters[network.output].scale[0])
    for x in samples(name, 3):
        image = x[:, :, None, :] if x.ndim == 3 else x
        interpreter.set_tensor(
            interpreter.get_input_details()[0]["index"], np.ascontiguousarray(image.transpose(0, 2, 3, 1))
        )
        interpreter.invoke()
        found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
        found = found.transpose(0, 3, 1, 2) if found.ndim == 4 else found
        wanted = session.run(None, {"x": x})[0]
        # LiteRT rounds its products of scales; a wrong layer would be off by far more than two steps.
        assert np.abs(found - wanted).max() <= 2.01 * step
        assert np.abs(wanted).max() > 20 * step

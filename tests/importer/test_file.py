"""Files that cannot be read end in one clear error; files in unusual forms are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, parser

from edgeconv.errors import EdgeconvError, ModelFileError, UnsupportedModelError
from edgeconv.importer import read_onnx
from tests.importer.interpreter import evaluate
from tests.importer.models import model, run_onnxruntime, save

W = np.arange(36, dtype=np.float32).reshape(4, 3, 3)


def refusal(path: Path, kind: type[Exception] = ModelFileError) -> str:
    with pytest.raises(kind) as caught:
        read_onnx(path)
    return str(caught.value)


def test_a_missing_file_a_folder_and_an_empty_file(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.onnx")
    assert "name the .onnx file" in refusal(tmp_path)
    (tmp_path / "empty.onnx").write_bytes(b"")
    assert "not an ONNX model" in refusal(tmp_path / "empty.onnx")


@pytest.mark.parametrize("content", [b"hello world, not a model", b"\x89PNG\r\n\x1a\n" * 9, bytes(range(256))])
def test_other_files_are_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    message = refusal(path)
    assert str(path) in message
    assert "not an ONNX model" in message
    assert "try: export or download the model again" in message


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    whole = save(model("c = Conv(x, w)\ny = Relu(c)", constants={"w": W}), tmp_path).read_bytes()
    path = tmp_path / "cut.onnx"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert "cut.onnx" in refusal(path)


def test_a_tensor_with_too_little_data_is_named(tmp_path: Path) -> None:
    proto = model("y = Conv(x, w)", constants={"w": W})
    proto.graph.initializer[0].raw_data = proto.graph.initializer[0].raw_data[:-4]
    assert "the data of tensor 'w' does not fit its shape [4, 3, 3]" in refusal(save(proto, tmp_path))


def test_a_value_that_nothing_makes_is_named(tmp_path: Path) -> None:
    assert "node 'Conv' reads 'w', which nothing before it makes" in refusal(save(model("y = Conv(x, w)"), tmp_path))
    assert "nothing makes the output 'z'" in refusal(save(model("y = Relu(x)", outputs=("z",)), tmp_path))


@pytest.mark.parametrize(
    ("opset", "advice"), [(8, "convert_version"), (7, "convert_version"), (26, "opset_version=25")]
)
def test_operator_sets_outside_9_to_25_are_refused(tmp_path: Path, opset: int, advice: str) -> None:
    message = refusal(save(model("y = Relu(x)", opset=opset), tmp_path), UnsupportedModelError)
    assert f"operator set {opset}" in message
    assert "expected: 9 to 25" in message
    assert advice in message


def external(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    proto = model("y = Conv(x, w)", constants={"w": W})
    onnx.save(proto, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    return path


def test_external_data_is_read_from_beside_the_model(tmp_path: Path) -> None:
    graph = read_onnx(external(tmp_path))
    np.testing.assert_array_equal(graph.constants["w"], W)


def test_missing_truncated_and_foreign_external_data(tmp_path: Path) -> None:
    path = external(tmp_path)
    data = tmp_path / "weights.bin"
    data.write_bytes(data.read_bytes()[:100])
    assert "'weights.bin' ends before the data of tensor 'w'" in refusal(path)
    data.unlink()
    message = refusal(path)
    assert "tensor 'w' lies in 'weights.bin', which is missing" in message
    assert "copy the data file" in message
    proto = onnx.load(path, load_external_data=False)
    proto.graph.initializer[0].external_data[0].value = "../weights.bin"
    (tmp_path / "inner").mkdir()
    assert "outside the model's folder" in refusal(save(proto, tmp_path / "inner"))


def test_initializers_that_are_also_inputs_are_constants(tmp_path: Path) -> None:
    proto = model("y = Conv(x, w)", constants={"w": W})
    proto.graph.input.append(helper.make_tensor_value_info("w", TensorProto.FLOAT, W.shape))
    graph = read_onnx(save(proto, tmp_path))
    assert [graph_input.name for graph_input in graph.inputs] == ["x"]


def test_malformed_attributes_are_refused_by_the_name_of_the_node(tmp_path: Path) -> None:
    proto = model("y = Gather(x, i)", constants={"i": np.array(0)})
    proto.graph.node[0].attribute.append(helper.make_attribute("axis", "one"))
    message = refusal(save(proto, tmp_path))
    assert "node 'Gather -> y' (Gather) is malformed: TypeError" in message
    assert "onnx.checker.check_model" in message


def test_values_that_no_device_holds_are_refused_at_once(tmp_path: Path) -> None:
    nodes = 'y = Resize<mode="nearest">(x, , , z)'
    proto = model(nodes, constants={"z": np.array([1, 3, 2**40], np.int64)})
    message = refusal(save(proto, tmp_path), UnsupportedModelError)
    assert "node 'Resize -> y' (Resize): a value of shape (1, 3, 1099511627776)" in message


def test_altered_bytes_never_end_in_another_error(tmp_path: Path) -> None:
    nodes = "q = QuantizeLinear(x, s, z)\nd = DequantizeLinear(q, s, z)\nc = Conv<pads=[1, 1]>(d, w)\ny = Flatten(c)"
    whole = save(model(nodes, constants={"w": W, "s": np.float32(0.5), "z": np.int8(1)}), tmp_path).read_bytes()
    rng = np.random.default_rng(5)
    path = tmp_path / "altered.onnx"
    refused = 0
    for _ in range(300):
        altered = bytearray(whole)
        altered[rng.integers(len(altered))] = rng.integers(256)
        path.write_bytes(bytes(altered))
        try:
            read_onnx(path)
        except EdgeconvError:
            refused += 1
    assert 0 < refused < 300


def test_sparse_tensors_are_refused(tmp_path: Path) -> None:
    proto = model("y = Add(x, w)")
    values = helper.make_tensor("w", TensorProto.FLOAT, [1], [2.0])
    positions = helper.make_tensor("w_indices", TensorProto.INT64, [1], [3])
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, positions, [8]))
    assert "tensor 'w' is sparse" in refusal(save(proto, tmp_path), UnsupportedModelError)


def test_local_functions_are_inlined(tmp_path: Path) -> None:
    proto = model("y = edgeconv.test.TwiceRelu(x)")
    function = '<domain: "edgeconv.test", opset_import: ["": 17]> TwiceRelu (a) => (b) { r = Relu(a) b = Add(r, r) }'
    proto.functions.append(parser.parse_function(function))
    graph = read_onnx(save(proto, tmp_path))
    assert [node.op for node in graph.nodes] == ["Relu", "Add"]
    x = np.arange(-12, 12, dtype=np.float32).reshape(1, 3, 8)
    np.testing.assert_array_equal(evaluate(graph, {"x": x})[0], run_onnxruntime(proto, {"x": x})[0])


def test_shapes_need_no_declaration_inside_the_graph(tmp_path: Path) -> None:
    nodes = "a = Conv<pads=[1, 1]>(x, w)\nb = qonnx.custom_op.general.Quant(a, s, z, n)\ny = Flatten(b)"
    constants = {"w": W, "s": np.float32(1), "z": np.float32(0), "n": np.float32(4)}
    proto = model(nodes, constants=constants)
    assert not proto.graph.value_info
    graph = read_onnx(save(proto, tmp_path))
    assert graph.shapes[graph.outputs[0]] == (1, 32)

"""Dynamic shapes, the batch dimension, several inputs and outputs, and the list of everything unsupported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from edgeconv.errors import QuantizationError, UnsupportedModelError, UsageError
from edgeconv.importer import QuantizedGraph, read_onnx
from tests.importer.models import model, save

BATCH = {"x": ("batch", 3, 8)}
INT = np.int64


def read(tmp_path: Path, nodes: str, inputs: Any = None, constants: Any = None, **options: Any) -> QuantizedGraph:
    shapes = options.pop("shapes", None)
    return read_onnx(save(model(nodes, inputs, constants, **options), tmp_path), shapes)


def test_a_symbolic_batch_becomes_one_sample(tmp_path: Path) -> None:
    graph = read(tmp_path, "r = Reshape(x, s)\ny = MatMul(r, m)", BATCH,
                 {"s": np.array([-1, 24], INT), "m": np.ones((24, 5), np.float32)})  # fmt: skip
    assert graph.inputs[0].symbolic_batch
    assert graph.inputs[0].shape == (1, 3, 8)
    assert graph.shapes[graph.outputs[0]] == (1, 5)


def test_shape_arithmetic_over_the_batch_folds(tmp_path: Path) -> None:
    nodes = """s = Shape(x)
n = Gather<axis=0>(s, zero)
u = Unsqueeze(n, axis)
t = Concat<axis=0>(u, rest)
r = Reshape(x, t)
f = ConstantOfShape(t)
y = Add(r, f)"""
    constants = {"zero": np.array(0, INT), "axis": np.array([0], INT), "rest": np.array([24], INT)}
    graph = read(tmp_path, nodes, BATCH, constants)
    assert [node.op for node in graph.nodes] == ["Reshape", "Add"]
    assert graph.shapes[graph.outputs[0]] == (1, 24)


MIXING = [
    ("y = ReduceMean<axes=[0], keepdims=1>(x)", {}, "node 'ReduceMean -> "),
    ("y = ReduceMean<keepdims=0>(x)", {}, "node 'ReduceMean -> "),
    ("y = Transpose<perm=[1, 0, 2]>(x)", {}, "(Transpose) gives shape (3, batch, 8)"),
    ("y = Reshape(x, s)", {"s": np.array([1, 24], INT)}, "(Reshape)"),
    ("y = Reshape(x, s)", {"s": np.array([-1, 8], INT)}, "(Reshape) gives shape"),
    ("y = Concat<axis=0>(x, x)", {}, "(Concat) gives shape"),
    ("y = Slice(x, s, e)", {"s": np.array([0], INT), "e": np.array([1], INT)}, "(Slice)"),
    ("y = Slice(x, s, e, a, t)", {"s": np.array([-1], INT), "e": np.array([-999], INT), "a": np.array([0], INT),
                                  "t": np.array([-1], INT)}, "(Slice)"),
    ("y = Squeeze(x)", {}, "node 'Squeeze -> "),
    ("f = Flatten(x)\ny = Add(x, f)", {}, "(Add)"),
    ("y = Add(x, c)", {"c": np.ones((2, 1, 1), np.float32)}, "(Add)"),
    ("y = Pad(x, p)", {"p": np.array([1, 0, 0, 0, 0, 0], INT)}, "(Pad) gives shape"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants", "text"), MIXING, ids=[f"{c[0]} {c[2]}" for c in MIXING])
def test_what_mixes_samples_is_refused_by_name(tmp_path: Path, nodes: str, constants: Any, text: str) -> None:
    inputs = {"x": ("batch", 1, 1)} if "Flatten" in nodes else BATCH
    with pytest.raises(UnsupportedModelError) as caught:
        read(tmp_path, nodes, inputs, constants)
    assert "the batch dimension 'batch' is symbolic" in str(caught.value)
    assert text in str(caught.value)
    assert "--shape batch=1" in str(caught.value)
    fixed = read(tmp_path, nodes, inputs, constants, shapes={"batch": 1})
    assert not fixed.inputs[0].symbolic_batch


def test_constants_that_follow_the_batch_are_refused(tmp_path: Path) -> None:
    nodes = "s = Shape<end=1>(x)\nf = Cast<to=1>(s)\ny = Mul(x, f)"
    with pytest.raises(UnsupportedModelError, match="constant 'f' depends on its extent"):
        read(tmp_path, nodes, BATCH)


def test_other_symbolic_dimensions_need_an_extent(tmp_path: Path) -> None:
    inputs = {"x": ("batch", "channels", None)}
    with pytest.raises(UnsupportedModelError) as caught:
        read(tmp_path, "y = Relu(x)", inputs)
    assert "symbolic dimensions without an extent: channels, x.2" in str(caught.value)
    assert "--shape channels=EXTENT --shape x.2=EXTENT" in str(caught.value)
    graph = read(tmp_path, "y = Relu(x)", inputs, shapes={"channels": 3, "x.2": 16})
    assert graph.inputs[0].shape == (1, 3, 16)
    assert graph.inputs[0].symbolic_batch


def test_shapes_that_fit_nothing_are_usage_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no symbolic dimension called 'length'"):
        read(tmp_path, "y = Relu(x)", BATCH, shapes={"length": 3})
    with pytest.raises(UsageError, match="extent 0 for dimension 'batch'"):
        read(tmp_path, "y = Relu(x)", BATCH, shapes={"batch": 0})


def test_inputs_with_and_without_a_batch_do_not_go_together(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="inputs z have no symbolic batch dimension"):
        read(tmp_path, "y = Add(x, z)", {"x": ("n", 3), "z": (1, 3)})


def test_several_inputs_and_outputs_keep_names_and_order(tmp_path: Path) -> None:
    nodes = "a = Add(x, z)\nb = Relu(a)\nc = Identity(b)"
    graph = read(tmp_path, nodes, {"x": ("n", 3), "z": ("n", 3)}, outputs=("c", "a", "b"))
    assert [graph_input.name for graph_input in graph.inputs] == ["x", "z"]
    assert graph.output_names == ("c", "a", "b")
    assert graph.outputs == ("b", "a", "b")


@pytest.mark.parametrize(("kind", "name"), [(TensorProto.DOUBLE, "double"), (TensorProto.INT32, "int32"),
                                            (TensorProto.FLOAT16, "float16"), (TensorProto.BOOL, "bool")])  # fmt: skip
def test_inputs_of_other_types_are_refused(tmp_path: Path, kind: int, name: str) -> None:
    with pytest.raises(UnsupportedModelError, match=f"input 'x' has type {name}"):
        read(tmp_path, "y = Relu(x)", input_type=kind)


def test_an_input_without_a_rank_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="input 'x' has no shape"):
        read(tmp_path, "y = Relu(x)", {"x": None})


def test_a_constant_output_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="output 's' is a constant"):
        read(tmp_path, "y = Relu(x)\ns = Shape(x)", outputs=("y", "s"))


def test_everything_unsupported_is_listed_at_once(tmp_path: Path) -> None:
    nodes = """a = LogSoftmax<axis=1>(x)
b = com.microsoft.FusedConv(a, w)
c = NonMaxSuppression(b, b)
d = Resize<mode="cubic">(x, , scales)
y = QuantizeLinear(x, scale)"""
    constants = {"w": np.ones((3, 3, 1), np.float32), "scales": np.float32([1, 1, 2]), "scale": np.float32(-1)}
    with pytest.raises(UnsupportedModelError) as caught:
        read(tmp_path, nodes, None, constants, outputs=("c", "y"))
    message = str(caught.value)
    assert "the model has 5 problems" in message
    assert "1. node 'LogSoftmax -> a': operator LogSoftmax" in message
    assert "2. node 'FusedConv -> b': operator FusedConv of domain 'com.microsoft': onnxruntime's optimiser" in message
    assert "3. node 'NonMaxSuppression -> c': operator NonMaxSuppression: not supported" in message
    assert "4. node 'Resize -> d' (Resize): mode 'cubic'" in message
    assert "5. node 'QuantizeLinear -> y' (QuantizeLinear): the scale is -1.0" in message
    assert message.count("try: ") == 5


def test_problems_of_quantizers_alone_are_a_quantization_error(tmp_path: Path) -> None:
    nodes = "a = QuantizeLinear(x, s)\ny = QuantizeLinear(x, t)"
    with pytest.raises(QuantizationError, match="the model has 2 problems"):
        read(tmp_path, nodes, None, {"s": np.float32(0), "t": np.float32(np.inf)})


REFUSED = [
    ("y = Conv(x, w)", {"w": np.ones((4, 2, 3), np.float32)}, "weights of shape (4, 2, 3) in 1 groups"),
    ("y = Conv<kernel_shape=[5]>(x, w)", {"w": np.ones((4, 3, 3), np.float32)}, "kernel_shape (5,)"),
    ("y = Conv(x, w)", {"w": np.ones((4, 3, 9), np.float32)}, "longer than the padded input"),
    ("y = Conv(x, w, b)", {"w": np.ones((4, 3, 3), np.float32), "b": np.ones(3, np.float32)}, "bias of shape (3,)"),
    ("y = MatMul(x, m)", {"m": np.ones((7, 2), np.float32)}, "product of shapes (1, 3, 8) and (7, 2)"),
    ("y = Add(x, m)", {"m": np.ones(7, np.float32)}, "do not broadcast"),
    ("y = Concat<axis=1>(x, m)", {"m": np.ones((1, 2, 7), np.float32)}, "joins shapes"),
    ("y = Pad<mode=\"mirror\">(x, p)", {"p": np.array([0, 0, 1, 0, 0, 1], INT)}, "mode 'mirror'"),
    ("y = MaxPool<kernel_shape=[2], pads=[2, 0]>(x)", {}, "a window lies wholly in the padding"),
    ("y, i = MaxPool<kernel_shape=[2]>(x)", {}, "its Indices output is used"),
    ("y = Div(x, z)", {"z": np.float32([1, 0, 1]).reshape(3, 1)}, "divides by zero"),
    ("y = Clip(x, a, b)", {"a": np.float32(2), "b": np.float32(1)}, "bounds 2.0 > 1.0"),
    ("y = Cast<to=10>(x)", {}, "casts to float16"),
    ("y = Cast<to=3>(x)", {}, "casts real numbers to i8"),
    ("y = Gather<axis=1>(x, i)", {"i": np.array([0, 2, 1], INT)}, "indices [0, 2, 1]"),
    ("y = Squeeze(x, a)", {"a": np.array([1], INT)}, "squeezes axes [1]"),
    ("y = Transpose<perm=[0, 1, 1]>(x)", {}, "permutation (0, 1, 1)"),
    ("y = ReduceMean<axes=[3]>(x)", {}, "axis 3 of a tensor of rank 3"),
    ("y = Max(x, x)", {}, "compares tensors element by element"),
    ("y = Softmax<axis=7>(x)", {}, "axis 7 of a tensor of rank 3"),
    ("y = LogSoftmax(x)", {}, "it has no integer form here"),
    ("y = GroupNormalization<num_groups=2>(x, b, b)", {"b": np.ones(3, np.float32)}, "2 groups for an input of shape"),
    ("y = InstanceNormalization(x, b, b)", {"b": np.ones(4, np.float32)}, "input 1 holds 4 values"),
    ("y = LayerNormalization(x, b)", {"b": np.ones(7, np.float32)}, "input 1 of shape (7,)"),
    ("y = ArgMax<axis=3>(x)", {}, "axis 3 of a tensor of rank 3"),
]  # fmt: skip


@pytest.mark.parametrize(("nodes", "constants", "text"), REFUSED, ids=[f"{c[0]} {c[2]}" for c in REFUSED])
def test_refusals_name_the_node_and_what_was_found(tmp_path: Path, nodes: str, constants: Any, text: str) -> None:
    with pytest.raises((UnsupportedModelError, QuantizationError)) as caught:
        read(tmp_path, nodes, None, constants, outputs=("y", "i") if "y, i" in nodes else ("y",))
    assert "node '" in str(caught.value)
    assert text in str(caught.value)


def test_batch_normalization_with_a_negative_variance(tmp_path: Path) -> None:
    ones = np.ones(3, np.float32)
    with pytest.raises(QuantizationError, match="negative variance"):
        read(tmp_path, "y = BatchNormalization(x, s, b, m, v)", None, {"s": ones, "b": ones, "m": ones, "v": -ones})

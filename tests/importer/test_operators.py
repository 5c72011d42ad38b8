"""Every float operator means after import what it meant in the file: compared with onnxruntime, optimisations off.

Inputs are small integers, so everything but transcendental functions is exact in float32 and compared for equality.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeconv.errors import UnsupportedModelError
from edgeconv.importer import read_onnx
from tests.importer.interpreter import evaluate
from tests.importer.models import model, run_onnxruntime, save

RNG = np.random.default_rng(20)
INT = np.int64


def whole(*shape: int) -> Any:
    """Whole numbers as float32."""
    return RNG.integers(-4, 5, shape).astype(np.float32)


def check_meaning(tmp_path: Path, proto: Any, *, exact: bool = True, positive: float | None = None) -> list[str]:
    """Compare the imported graph with onnxruntime; return its operators."""
    graph = read_onnx(save(proto, tmp_path))
    feeds = {}
    for graph_input in graph.inputs:
        x = RNG.integers(-4, 5, graph_input.shape).astype(np.float32)
        feeds[graph_input.name] = x if positive is None else (np.abs(x) * np.float32(positive) + np.float32(0.125))
    expected = run_onnxruntime(proto, feeds)
    found = evaluate(graph, feeds)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        if exact:
            np.testing.assert_array_equal(ours.astype(np.float64), theirs.astype(np.float64))
        else:
            np.testing.assert_allclose(ours, theirs, rtol=2e-5, atol=2e-6)
    return [node.op for node in graph.nodes]


W1, W2 = whole(4, 3, 3), whole(4, 3, 3, 2)
IMAGE = {"x": (1, 3, 7, 6)}
FOUR = {"x": (1, 4, 3, 4)}
WINDOWS = [
    ("y = Conv(x, w)", {"w": W1}, None),
    ("y = Conv<pads=[1, 2], strides=[2], dilations=[2]>(x, w, b)", {"w": W1, "b": whole(4)}, None),
    ('y = Conv<auto_pad="SAME_UPPER", strides=[2]>(x, w)', {"w": W1}, None),
    ('y = Conv<auto_pad="SAME_LOWER", strides=[3]>(x, w)', {"w": whole(4, 3, 4)}, None),
    ('y = Conv<auto_pad="VALID">(x, w)', {"w": W1}, None),
    ("y = Conv<group=3>(x, w)", {"w": whole(6, 1, 3)}, None),
    ("y = Conv<pads=[0, 1, 2, 0], strides=[2, 1], kernel_shape=[3, 2]>(x, w)", {"w": W2}, IMAGE),
    ('y = Conv<auto_pad="SAME_LOWER", strides=[2, 3]>(x, w)', {"w": W2}, IMAGE),
    ("y = ConvTranspose(x, w)", {"w": whole(3, 2, 3)}, None),
    ("y = ConvTranspose<strides=[2], pads=[1, 2], dilations=[3]>(x, w, b)", {"w": whole(3, 2, 3), "b": whole(2)}, None),
    ("y = ConvTranspose<strides=[3], output_padding=[2]>(x, w)", {"w": whole(3, 4, 2)}, None),
    ("y = ConvTranspose<strides=[2], output_shape=[15]>(x, w)", {"w": whole(3, 4, 4)}, None),
    ('y = ConvTranspose<strides=[2], output_shape=[15], auto_pad="SAME_UPPER">(x, w)', {"w": whole(3, 4, 4)}, None),
    ('y = ConvTranspose<strides=[2], auto_pad="SAME_UPPER">(x, w)', {"w": whole(3, 4, 3)}, None),
    ('y = ConvTranspose<strides=[3], auto_pad="SAME_LOWER">(x, w)', {"w": whole(3, 4, 4)}, None),
    ('y = ConvTranspose<strides=[3], auto_pad="VALID">(x, w)', {"w": whole(3, 4, 2)}, None),
    ("y = ConvTranspose<group=3, strides=[2]>(x, w)", {"w": whole(3, 2, 3)}, None),
    ("y = ConvTranspose<group=2, strides=[2, 1], pads=[0, 1, 1, 0]>(x, w)", {"w": whole(4, 3, 3, 2)}, FOUR),
    (
        "y = ConvTranspose<strides=[2, 3], dilations=[2, 1], output_padding=[1, 2]>(x, w)",
        {"w": whole(4, 3, 3, 2)},
        FOUR,
    ),
    ("y = MaxPool<kernel_shape=[3], strides=[2], pads=[1, 0]>(x)", {}, None),
    ("y = MaxPool<kernel_shape=[3, 2], strides=[2, 2], ceil_mode=1>(x)", {}, IMAGE),
    ("y = MaxPool<kernel_shape=[2, 2], dilations=[2, 1]>(x)", {}, IMAGE),
    ('y = MaxPool<kernel_shape=[3], strides=[2], auto_pad="SAME_UPPER">(x)', {}, None),
    ("y = GlobalMaxPool(x)", {}, IMAGE),
    ("y = AveragePool<kernel_shape=[2], strides=[2]>(x)", {}, None),
    ("y = AveragePool<kernel_shape=[4], strides=[2], pads=[2, 2], count_include_pad=1>(x)", {}, None),
    ("y = GlobalAveragePool(x)", {}, {"x": (1, 3, 4, 2)}),
    ("y = Conv<pads=[1, 1]>(x, w)\nz = Relu(y)", {"w": W1}, None),
]


@pytest.mark.parametrize(("nodes", "constants", "inputs"), WINDOWS, ids=[case[0] for case in WINDOWS])
@pytest.mark.parametrize("opset", [11, 22])
def test_windows_keep_their_meaning(tmp_path: Path, nodes: str, constants: Any, inputs: Any, opset: int) -> None:
    check_meaning(tmp_path, model(nodes, inputs, constants, opset=opset))


@pytest.mark.parametrize("count_include_pad", [0, 1])
@pytest.mark.parametrize("ceil_mode", [0, 1])
@pytest.mark.parametrize(("kernel", "stride", "pads"), [(3, 2, (1, 1)), (4, 3, (1, 2)), (2, 3, (0, 1)), (5, 2, (2, 0))])
def test_average_pools_divide_by_the_taps_that_count(
    tmp_path: Path, kernel: int, stride: int, pads: tuple[int, int], ceil_mode: int, count_include_pad: int
) -> None:
    attributes = (
        f"kernel_shape=[{kernel}], strides=[{stride}], pads=[{pads[0]}, {pads[1]}], "
        f"ceil_mode={ceil_mode}, count_include_pad={count_include_pad}"
    )
    for extent in (6, 7, 8, 9):
        proto = model(f"y = AveragePool<{attributes}>(x)", {"x": (1, 2, extent)}, opset=22)
        check_meaning(tmp_path, proto, exact=False)


FUNCTIONS = [
    *("Sigmoid Tanh Erf Abs Neg Sin Cos Atan Sinh Cosh Asinh Floor Ceil Round Sign Softplus Softsign".split()),
    *("HardSwish Mish Relu LeakyRelu<alpha=0.3> LeakyRelu HardSigmoid HardSigmoid<alpha=0.3,beta=0.25>".split()),
    *("Elu Elu<alpha=0.5> Celu<alpha=2.0> Selu Selu<alpha=1.5,gamma=1.25> ThresholdedRelu<alpha=2.0>".split()),
    *("Gelu", 'Gelu<approximate="tanh">', "Exp"),
]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_of_one_value_keep_their_meaning(tmp_path: Path, function: str) -> None:
    check_meaning(tmp_path, model(f"y = {function}(x)", opset=22), exact=False)


@pytest.mark.parametrize("function", ["Log", "Sqrt", "Reciprocal", "Acosh", "Asin", "Acos", "Atanh", "Tan"])
def test_functions_with_a_domain_keep_their_meaning(tmp_path: Path, function: str) -> None:
    scale = 0.125 if function in ("Asin", "Acos", "Atanh") else 1.0
    nodes = f"y = {function}(x)" if function != "Acosh" else "s = Add(x, one)\ny = Acosh(s)"
    check_meaning(tmp_path, model(nodes, constants={"one": np.float32(1)}), exact=False, positive=scale)


def test_microsoft_gelus_become_standard_functions(tmp_path: Path) -> None:
    assert check_meaning(tmp_path, model("y = com.microsoft.Gelu(x)"), exact=False) == ["Gelu"]
    assert check_meaning(tmp_path, model("y = com.microsoft.QuickGelu(x)"), exact=False) == ["Swish"]


M = whole(3, 5)
TWO = {"x": (1, 3, 8), "z": (1, 3, 8)}
ELEMENTWISE = [
    ("y = Add(x, c)", {"c": whole(3, 1)}, None, ["Add"]),
    ("y = Sub(c, x)", {"c": whole(8)}, None, ["Sub"]),
    ("y = Mul(x, z)", {}, TWO, ["Mul"]),
    ("y = Div(x, c)", {"c": np.float32(4)}, None, ["Div"]),
    ("y = Pow(x, c)", {"c": np.float32(2)}, None, ["Pow"]),
    ("y = Sum(x, z, x)", {}, TWO, ["Add", "Add"]),
    ("y = Sum(x)", {}, None, []),
    ("y = Max(x, c)", {"c": np.float32(1)}, None, ["Clip"]),
    ("y = Min(c, x)", {"c": np.float32(1)}, None, ["Clip"]),
    ("y = Clip(x, a, b)", {"a": np.float32(-1), "b": np.float32(2)}, None, ["Clip"]),
    ("y = Clip(x, , b)", {"b": np.float32(2)}, None, ["Clip"]),
    ("y = Clip(x, a)", {"a": np.float32(0)}, None, ["Clip"]),
    ("y = PRelu(x, c)", {"c": whole(3, 1)}, None, ["PRelu"]),
    ("y = PRelu(x, c)", {"c": whole(1)}, None, ["PRelu"]),
    ("i = Identity(x)\ny = Dropout(i)", {}, None, []),
    ("i = Cast<to=11>(x)\ny = Cast<to=1>(i)", {}, None, []),
    ("y = MatMul(x, m)", {"m": M}, {"x": (1, 3)}, ["MatMul"]),
    ("y = MatMul(x, m)", {"m": M}, {"x": (1, 4, 3)}, ["MatMul"]),
    ("y = MatMul(x, m)", {"m": whole(3)}, {"x": (1, 4, 3)}, ["Reshape", "MatMul", "Reshape"]),
    ("y = MatMul(m, x)", {"m": whole(4)}, {"x": (1, 4, 3)}, ["Reshape", "MatMul", "Reshape"]),
    ("y = Gemm(x, m)", {"m": M}, {"x": (2, 3)}, ["MatMul"]),
    ("y = Gemm<transB=1>(x, m, c)", {"m": whole(5, 3), "c": whole(5)}, {"x": (2, 3)}, ["MatMul", "Add"]),
    (
        "y = Gemm<transA=1, alpha=2.0, beta=0.5>(x, m, c)",
        {"m": M, "c": whole(5)},
        {"x": (3, 2)},
        ["Transpose", "MatMul", "Mul", "Mul", "Add"],
    ),
    ("y = Gemm<beta=0.0>(x, m, c)", {"m": M, "c": whole(5)}, {"x": (2, 3)}, ["MatMul"]),
]


OLD = [
    "y = Clip<min=-1.0, max=2.0>(x)",
    "y = Clip<max=2.0>(x)",
    "y = Pad<pads=[0, 1, 2, 0, 0, 3], value=1.5>(x)",
    'y = Pad<pads=[0, 0, 2, 0, 0, 3], mode="reflect">(x)',
    "y = Slice<starts=[1, 2], ends=[3, -1], axes=[1, 2]>(x)",
    "y = Slice<starts=[0, 1], ends=[1, 2]>(x)",
]


@pytest.mark.parametrize("nodes", OLD)
def test_operators_of_set_9_keep_their_meaning(tmp_path: Path, nodes: str) -> None:
    check_meaning(tmp_path, model(nodes, opset=9))


@pytest.mark.parametrize(("nodes", "constants", "inputs", "operators"), ELEMENTWISE, ids=[c[0] for c in ELEMENTWISE])
def test_arithmetic_keeps_its_meaning(
    tmp_path: Path, nodes: str, constants: Any, inputs: Any, operators: list[str]
) -> None:
    assert check_meaning(tmp_path, model(nodes, inputs, constants)) == operators


def test_batch_normalization_carries_its_parameters(tmp_path: Path) -> None:
    constants = {"s": whole(3), "b": whole(3), "m": whole(3), "v": np.float32([1, 2.5, 0.25])}
    nodes = "y = BatchNormalization<epsilon=0.001>(x, s, b, m, v)"
    assert check_meaning(tmp_path, model(nodes, constants=constants), exact=False) == ["BatchNormalization"]


ints = lambda *values: np.array(values, INT)  # noqa: E731
MOVEMENTS = [
    ("y = Reshape(x, s)", {"s": ints(0, -1)}, 17, ["Reshape"]),
    ("y = Reshape(x, s)", {"s": ints(0, 2, -1, 4)}, 17, ["Reshape"]),
    ("y = Flatten(x)", {}, 17, ["Reshape"]),
    ("y = Flatten<axis=-1>(x)", {}, 17, ["Reshape"]),
    ("t = Unsqueeze<axes=[1, -1]>(x)\ny = Squeeze<axes=[-1]>(t)", {}, 11, ["Reshape", "Reshape"]),
    ("t = Unsqueeze(x, a)\ny = Squeeze(t, a)", {"a": ints(1, -1)}, 13, ["Reshape", "Reshape"]),
    ("y = Squeeze(x)", {}, 13, ["Reshape"]),
    ("y = Transpose(x)", {}, 17, ["Transpose"]),
    ("y = Transpose<perm=[0, 2, 1]>(x)", {}, 17, ["Transpose"]),
    ("y = Transpose<perm=[0, 1, 2]>(x)", {}, 17, []),
    ("y = Concat<axis=-1>(x, x, c)", {"c": whole(1, 3, 2)}, 17, ["Concat"]),
    ("y = Slice(x, s, e)", {"s": ints(0, 1, 2), "e": ints(1, 3, -1)}, 17, ["Slice"]),
    ("y = Slice(x, s, e, a, t)", {"s": ints(-1), "e": ints(-99), "a": ints(-1), "t": ints(-3)}, 17, ["Slice"]),
    ("y = Slice(x, s, e, a)", {"s": ints(0), "e": ints(2**62), "a": ints(1)}, 17, []),
    ("y = Slice(x, s, e, a, t)", {"s": ints(6), "e": ints(0), "a": ints(2), "t": ints(-2)}, 17, ["Slice"]),
    ("y, z = Split<axis=2, split=[3, 5]>(x)", {}, 11, ["Slice", "Slice"]),
    ("y, z = Split<axis=2>(x, s)", {"s": ints(3, 5)}, 13, ["Slice", "Slice"]),
    ("y, z, v = Split<axis=-1, num_outputs=3>(x)", {}, 18, ["Slice", "Slice", "Slice"]),
    ("y = Gather<axis=2>(x, i)", {"i": np.array(-1, INT)}, 17, ["Slice", "Reshape"]),
    ("y = Gather<axis=2>(x, i)", {"i": ints(1, 3, 5)}, 17, ["Slice"]),
    ("y = Pad(x, p, v)", {"p": ints(0, 1, 2, 0, 0, 3), "v": np.float32(1.5)}, 17, ["Pad"]),
    ("y = Pad(x, p)", {"p": ints(0, 0, -2, 0, 0, 3)}, 17, ["Slice", "Pad"]),
    ('y = Pad<mode="reflect">(x, p)', {"p": ints(0, 1, 2, 0, 0, 3)}, 17, ["Pad"]),
    ('y = Pad<mode="edge">(x, p)', {"p": ints(0, 0, 2, 0, 4, 9)}, 17, ["Pad"]),
    ('y = Pad<mode="reflect">(x, p)', {"p": ints(0, 0, -2, 0, 0, 3)}, 17, ["Slice", "Pad"]),
    ('y = Pad<mode="wrap">(x, p)', {"p": ints(0, 0, 3, 0, 0, 5)}, 19, ["Pad"]),
    ("y = Pad(x, p, , a)", {"p": ints(1, 2), "a": ints(-1)}, 18, ["Pad"]),
    ("y = ReduceMean<axes=[2], keepdims=0>(x)", {}, 11, ["AveragePool", "Reshape"]),
    ("y = ReduceMean<axes=[-1]>(x)", {}, 11, ["AveragePool"]),
    ("y = ReduceMean(x, a)", {"a": ints(2)}, 18, ["AveragePool"]),
    ("y = ReduceMean<noop_with_empty_axes=1>(x)", {}, 18, []),
    ("y = ReduceMean<keepdims=0>(x, a)", {"a": ints(1)}, 18, ["ReduceMean", "Reshape"]),
    ("y = ReduceMax<axes=[1, 2]>(x)", {}, 13, ["ReduceMax"]),
    ("y = ReduceMean<axes=[0, 2]>(x)", {}, 11, ["ReduceMean"]),
    ("y = ReduceSum<keepdims=0>(x)", {}, 13, ["ReduceSum", "Reshape"]),
    ("y = ReduceSum<axes=[1]>(x)", {}, 11, ["ReduceSum"]),
    ("y = ReduceMin(x, a)", {"a": ints(-1, 0)}, 18, ["ReduceMin"]),
    ("y = ReduceMax<keepdims=0>(x, a)", {"a": ints(-2)}, 18, ["ReduceMax", "Reshape"]),
    ("y = ReduceMax<axes=[-1]>(x)", {}, 13, ["MaxPool"]),
    ("i = ArgMax<axis=1>(x)\ny = Cast<to=1>(i)", {}, 13, ["ArgMax", "Dequantize"]),
    (
        "i = ArgMax<axis=-1, keepdims=0, select_last_index=1>(x)\ny = Cast<to=1>(i)",
        {},
        13,
        ["ArgMax", "Reshape", "Dequantize"],
    ),
    ("i = ArgMin<axis=2, select_last_index=1>(x)\ny = Cast<to=1>(i)", {}, 13, ["ArgMax", "Dequantize"]),
    ("i = ArgMin<axis=1, keepdims=0>(x)\ny = Cast<to=1>(i)", {}, 13, ["ArgMax", "Reshape", "Dequantize"]),
    ("y = ReduceSum<keepdims=0>(x, a)", {"a": ints(2)}, 13, ["AveragePool", "Mul", "Reshape"]),
    ("y = ReduceSum(x, a)", {"a": ints(2)}, 13, ["AveragePool", "Mul"]),
    ("y = Expand(x, s)", {"s": ints(1, 1, 3, 8)}, 17, ["Reshape"]),
]


@pytest.mark.parametrize(
    ("nodes", "constants", "opset", "operators"), MOVEMENTS, ids=[f"{c[0]} in {c[2]}" for c in MOVEMENTS]
)
def test_movements_keep_their_meaning(
    tmp_path: Path, nodes: str, constants: Any, opset: int, operators: list[str]
) -> None:
    outputs = ("y", "z", "v")[: nodes.split("=")[0].count(",") + 1]
    exact = "ReduceMean" not in nodes
    assert (
        check_meaning(tmp_path, model(nodes, constants=constants, opset=opset, outputs=outputs), exact=exact)
        == operators
    )


@pytest.mark.parametrize("opset", [11, 13, 18, 20, 21, 23, 24, 25])
def test_shape_arithmetic_folds_in_every_operator_set(tmp_path: Path, opset: int) -> None:
    axes = "<axes=[0]>(g" if opset < 13 else "(g, zero"
    nodes = f"""
        s = Shape(x)
        g = Gather<axis=0>(s, zero_index)
        u = Unsqueeze{axes})
        m = Constant<value_ints=[-1]>()
        t = Concat<axis=0>(u, m)
        y = Reshape(x, t)
    """
    constants = {"zero_index": np.array(0, INT), "zero": ints(0)}
    if opset < 12:
        nodes = nodes.replace("m = Constant<value_ints=[-1]>()", "m = Identity(minus)")
        constants["minus"] = ints(-1)
    stripped = "\n".join(line.strip() for line in nodes.strip().splitlines())
    assert check_meaning(tmp_path, model(stripped, constants=constants, opset=opset)) == ["Reshape"]


def test_constants_fold_through_range_cast_and_arithmetic(tmp_path: Path) -> None:
    nodes = """r = Range(zero, eight, one)
f = Cast<to=1>(r)
h = Mul(f, half)
z = ConstantOfShape(shape)
c = Add(h, z)
y = Add(x, c)"""
    constants = {"zero": np.array(0, INT), "eight": np.array(8, INT), "one": np.array(1, INT), "half": np.float32(0.5)}
    assert check_meaning(tmp_path, model(nodes, constants={**constants, "shape": ints(3, 1)})) == ["Add"]


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize(
    "node",
    [
        'DepthToSpace<blocksize=2, mode="DCR">(x)',
        'DepthToSpace<blocksize=2, mode="CRD">(x)',
        "SpaceToDepth<blocksize=2>(x)",
    ],
)
def test_blocks_of_pixels_become_channels_and_back(node: str, opset: int, tmp_path: Path) -> None:
    proto = model(f"y = {node}", {"x": (2, 12, 4, 6)}, opset=opset)
    assert check_meaning(tmp_path, proto) == ["Reshape", "Transpose", "Reshape"]


@pytest.mark.parametrize(
    ("node", "text"),
    [
        ("DepthToSpace<blocksize=2>(x)", "3 channels for blocks of 2"),
        ("SpaceToDepth<blocksize=4>(x)", "7 × 6 pixels for blocks of 4"),
        ("SpaceToDepth<blocksize=0>(x)", "blocks of 0"),
    ],
)
def test_blocks_that_do_not_fit_are_refused(node: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=text):
        read_onnx(save(model(f"y = {node}", IMAGE), tmp_path))

"""A float ONNX file becomes a quantized one that lowers, means nearly the same, and is the same every time."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeconv
from edgeconv import reference
from edgeconv.errors import InputError, ModelFileError, QuantizationError, UnsupportedModelError, UsageError
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.quantize.policy import LayerRule, QuantPolicy
from edgeconv.quantize.ptq import QuantizeReport, quantize_onnx
from tests.importer.models import run_onnxruntime
from tests.quantize.ptq.models import operators, write
from tests.quantize.ptq.test_placement import CASES, CONV

LAYER = CONV + "r = Relu(c)\nd = Conv<pads=[1, 1, 1, 1]>(r, w2)\nt = Relu(d)\ny = Conv(t, w1)"
DATA = np.random.default_rng(2).standard_normal((40, 3, 8, 8)).astype(np.float32)


def quantize(path: Path, policy: QuantPolicy | None = None, **options: object) -> QuantizeReport:
    """The model of a test, quantized beside it."""
    given = {"calibration": DATA, **options}
    return quantize_onnx(path, path.with_name("q.onnx"), policy=policy, **given)  # type: ignore[arg-type]


def program_of(report: QuantizeReport) -> Program:
    return lower(read_onnx(report.path))


@pytest.mark.parametrize("name", CASES)
def test_every_placement_lowers_and_means_nearly_the_same(name: str, tmp_path: Path) -> None:
    path = write(tmp_path, CASES[name][0])
    report = quantize(path)
    assert report.outputs["y"] > 22
    program = program_of(report)
    (exact,) = run_onnxruntime(onnx.load(str(path)), {"x": DATA})
    mine = reference.run(program, {"x": DATA[:, None]})["y"].reshape(exact.shape)
    noise = float(((mine - exact) ** 2).sum() / (exact**2).sum())
    # The reference's integers are what the report judged, up to sums in float32.
    assert abs(-10 * np.log10(noise) - report.outputs["y"]) < 0.1


def test_each_quantizer_is_one_rounding_and_every_bias_an_integer(tmp_path: Path) -> None:
    program = program_of(quantize(write(tmp_path, LAYER)))
    assert [type(op).__name__ for op in program.operators] == [
        "Quantize", "Conv", "Requant", "Conv", "Requant", "Conv", "Dequantize",
    ]  # fmt: skip
    first = next(op for op in program.operators if isinstance(op, ops.Conv))
    assert first.bias is not None
    requants = [op for op in program.operators if isinstance(op, ops.Requant)]
    assert all(op.linear.offset == (Fraction(0),) for op in requants)


def test_the_same_model_and_samples_give_the_same_bytes(tmp_path: Path) -> None:
    path = write(tmp_path, LAYER)
    first = quantize(path).path.read_bytes()
    assert quantize(path).path.read_bytes() == first
    assert quantize(path, calibration=DATA[:20]).path.read_bytes() != first


def test_a_policy_gives_each_layer_its_bits(tmp_path: Path) -> None:
    path = write(tmp_path, LAYER.replace("d = Conv", "d = Conv").replace("<pads", "<pads"))
    names = [row.layer for row in quantize(path).weights]
    policy = QuantPolicy(rules=(LayerRule(names[1].replace("[", "?"), weight_bits=3, activation_bits=4),))
    report = quantize(path, policy)
    assert [row.bits for row in report.weights] == [8, 3, 8]
    assert [(row.value, row.bits) for row in report.activations] == [("x", 8), ("r", 8), ("t", 4)]
    program = program_of(report)
    assert [str(program.types[op.w].dtype) for op in program.operators if isinstance(op, ops.Conv)] == [
        "i8",
        "i3",
        "i8",
    ]
    grids = [op.grid for op in program.operators if isinstance(op, ops.Requant)]
    assert [(grid.lo, grid.hi) for grid in grids] == [(0, 255), (0, 15)]
    with pytest.raises(UsageError, match="matches no layer"):
        quantize(path, QuantPolicy(rules=(LayerRule("nowhere*", weight_bits=4),)))


@pytest.mark.parametrize("bits", [2, 3, 4, 5, 6, 7, 8, 16])
def test_any_width_of_activations_and_more_bits_are_better(bits: int, tmp_path: Path) -> None:
    path = write(tmp_path, LAYER)
    report = quantize(path, QuantPolicy(activation_bits=bits, calibration="mse"))
    assert {row.bits for row in report.activations} == {bits}
    assert report.outputs["y"] > min(2 * bits, 34)
    program_of(report)


def test_symmetric_activations_have_zero_point_zero(tmp_path: Path) -> None:
    path = write(tmp_path, LAYER)
    program = program_of(quantize(path, QuantPolicy(symmetric_activations=True)))
    (first,) = [op for op in program.operators if isinstance(op, ops.Quantize)]
    assert (str(first.grid.dtype), first.grid.zero_point) == ("i8", 0)
    requants = [op for op in program.operators if isinstance(op, ops.Requant)]
    assert {(str(op.grid.dtype), op.grid.zero_point) for op in requants} == {("u8", 0)}


def test_powers_of_two_all_the_way(tmp_path: Path) -> None:
    program = program_of(quantize(write(tmp_path, LAYER), QuantPolicy(scales="power-of-two")))
    factors = [f for op in program.operators if isinstance(op, ops.Requant) for f in op.linear.factors[0]]
    assert factors
    assert all(f.numerator & (f.numerator - 1) == 0 and f.denominator & (f.denominator - 1) == 0 for f in factors)


def test_one_scale_for_a_whole_weight(tmp_path: Path) -> None:
    path = write(tmp_path, LAYER)
    program = program_of(quantize(path, QuantPolicy(per_channel=False)))
    assert all(op.linear.channels == 1 for op in program.operators if isinstance(op, ops.Requant))


def test_a_dead_channel_with_a_bias_keeps_its_bias(tmp_path: Path) -> None:
    path = write(tmp_path, LAYER)
    model = onnx.load(str(path))
    (w,) = [tensor for tensor in model.graph.initializer if tensor.name == "w"]
    array = onnx.numpy_helper.to_array(w).copy()
    array[1] = 1e-20
    w.CopyFrom(onnx.numpy_helper.from_array(array, "w"))
    path.write_bytes(model.SerializeToString())
    report = quantize(path)
    assert report.outputs["y"] > 34
    first = next(op for op in program_of(report).operators if isinstance(op, ops.Conv))
    assert str(first.dtype) == "i32"


def test_batch_normalization_goes_into_the_weights(tmp_path: Path) -> None:
    nodes = "c = Conv(x, w, b)\nn = BatchNormalization(c, gamma, beta, mean, var)\nr = Relu(n)\ny = Conv(r, w1)"
    report = quantize(write(tmp_path, nodes))
    assert "BatchNormalization" not in operators(report.path)
    assert report.outputs["y"] > 34


PIXELS = np.random.default_rng(4).integers(0, 256, (40, 3, 8, 8)).astype(np.uint8)


def test_integer_inputs_stay_integers(tmp_path: Path) -> None:
    path = write(tmp_path, "f = Cast<to=1>(x)\n" + CONV.replace("(x,", "(f,") + "r = Relu(c)\ny = Conv(r, w1)")
    model = onnx.load(str(path))
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.UINT8
    path.write_bytes(model.SerializeToString())
    report = quantize(path, calibration=PIXELS)
    assert [row.value for row in report.activations] == ["r"]
    assert str(program_of(report).inputs["x"].dtype) == "u8"
    with pytest.raises(InputError, match=r"has shape .* and type int64"):
        quantize(path, calibration=PIXELS.astype(np.int64))


@pytest.mark.parametrize("opset", [9, 12, 13, 21])
@pytest.mark.parametrize("bits", [4, 16])
def test_any_operator_set_takes_any_width(opset: int, bits: int, tmp_path: Path) -> None:
    model = onnx.load(str(write(tmp_path, LAYER)))
    model.opset_import[0].version = opset
    (tmp_path / "old.onnx").write_bytes(model.SerializeToString())
    report = quantize(tmp_path / "old.onnx", QuantPolicy(activation_bits=bits))
    assert report.outputs["y"] > 8
    program_of(report)


def test_argmax_compares_integers_of_one_scale(tmp_path: Path) -> None:
    path = write(tmp_path, CONV + "y = ArgMax<axis=1>(c)\nz = Relu(c)", outputs=("z",))
    model = onnx.load(str(path))
    model.graph.output.append(onnx.helper.make_tensor_value_info("y", onnx.TensorProto.INT64, None))
    path.write_bytes(model.SerializeToString())
    report = quantize(path)
    assert [row.value for row in report.activations] == ["x", "c"]
    assert report.outputs["y"] > 10


def test_the_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = write(tmp_path, LAYER)
    with pytest.raises(UsageError, match="is the model itself"):
        quantize_onnx(path, path, calibration=DATA)
    with pytest.raises(UsageError, match="does not exist"):
        quantize_onnx(path, tmp_path / "no" / "q.onnx", calibration=DATA)
    with pytest.raises(InputError):
        quantize_onnx(path, tmp_path / "q.onnx", calibration=DATA[:, :2])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.onnx"]


def test_drawn_samples_are_told_apart(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path, LAYER)
    assert quantize(path, calibration=None).drawn
    assert "accuracy on real data is unknown" in caplog.text
    caplog.clear()
    assert not quantize(path).drawn
    assert not caplog.records
    uniform = quantize(path, calibration="uniform")
    assert uniform.calibration == "drawn at random (uniform, seed 0)"


def test_a_quantized_model_is_refused(tmp_path: Path) -> None:
    report = quantize(write(tmp_path, LAYER))
    with pytest.raises(QuantizationError, match="is quantized already: 10 quantizers"):
        quantize_onnx(report.path, tmp_path / "again.onnx", calibration=DATA)


def test_a_float_model_that_takes_integers_is_told_apart(tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 21]>
        g (uint8[n, 4] samples) => (float[n, 4] y) <float s = {0.5}> {
            x = DequantizeLinear(samples, s)
            y = Relu(x)
        }"""
    )
    onnx.save(model, tmp_path / "adc.onnx")
    with pytest.raises(QuantizationError, match="takes integers: node ") as caught:
        quantize_onnx(tmp_path / "adc.onnx", tmp_path / "q.onnx")
    assert "behind that node" in str(caught.value)


def test_every_unsupported_node_is_listed_with_advice(tmp_path: Path) -> None:
    nodes = CONV + "l = LpNormalization(c)\nk = LogSoftmax(l)\ny = Conv(k, w1)"
    with pytest.raises(UnsupportedModelError) as caught:
        quantize(write(tmp_path, nodes))
    text = str(caught.value)
    assert "operator LpNormalization" in text
    assert "operator LogSoftmax" in text
    assert "use Softmax or LayerNormalization" in text


def test_a_malformed_model_is_no_traceback(tmp_path: Path) -> None:
    path = write(tmp_path, "c = Conv(x, w)\nc = Relu(c)\ny = Conv(c, w1)")
    with pytest.raises(ModelFileError, match="redeclared"):
        quantize(path)


def test_symbolic_dimensions_get_their_extents(tmp_path: Path) -> None:
    path = write(tmp_path, LAYER, inputs={"x": ("n", 3, "h", "w_")})
    with pytest.raises(UnsupportedModelError, match="--shape h=EXTENT"):
        quantize(path)
    report = quantize(path, shapes={"h": 8, "w_": 8})
    assert program_of(report).inputs["x"].shape == (1, 3, 8, 8)


def test_the_package_is_the_function() -> None:
    with pytest.raises(UsageError, match="a module without example_inputs"):
        edgeconv.quantize(object())
    with pytest.raises(UsageError, match="a file with example_inputs"):
        edgeconv.quantize("m.onnx", 1)

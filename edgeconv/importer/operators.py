"""Which handler reads which ONNX operator, and what to tell the user about the ones that none reads."""

from __future__ import annotations

from collections.abc import Callable

from edgeconv.importer import (
    blocks,
    elementwise,
    linear,
    movement,
    normalization,
    qcdq,
    qonnx,
    qoperator,
    reductions,
    resize,
    scan,
    transposed,
    windows,
)
from edgeconv.importer.builder import Builder
from edgeconv.importer.file import QONNX_DOMAINS
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.scan_function import DOMAIN as OWN_DOMAIN
from edgeconv.importer.scan_function import NAME as SCAN
from edgeconv.importer.values import Value

Handler = Callable[[OnnxNode, Builder], list[Value]]

MICROSOFT = "com.microsoft"

_ONNX: dict[str, Handler] = {
    **dict.fromkeys((*elementwise.PLAIN, *elementwise.WITH_FLOATS), elementwise.function),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), elementwise.arithmetic),
    **dict.fromkeys(("Max", "Min"), elementwise.extreme),
    **dict.fromkeys(("Identity", "Dropout"), elementwise.alias),
    **dict.fromkeys(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand"), movement.reshape),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"), reductions.reduce),
    **dict.fromkeys(("ArgMax", "ArgMin"), reductions.arg_extreme),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), windows.global_pool),
    "AveragePool": windows.average_pool,
    "BatchNormalization": linear.batch_normalization,
    "GroupNormalization": normalization.group,
    "InstanceNormalization": normalization.instance,
    "LayerNormalization": normalization.layer,
    "MeanVarianceNormalization": normalization.mean_variance,
    "RMSNormalization": normalization.root_mean_square,
    "SimplifiedLayerNormalization": normalization.root_mean_square,
    "Softmax": normalization.softmax,
    "Cast": elementwise.cast,
    "Clip": elementwise.clip,
    "Concat": movement.concat,
    "Conv": windows.conv,
    "ConvTranspose": transposed.conv_transpose,
    "ConvInteger": qoperator.conv_integer,
    "DepthToSpace": blocks.depth_to_space,
    "DequantizeLinear": qcdq.dequantize_linear,
    "Gather": movement.gather,
    "Gelu": elementwise.gelu,
    "Gemm": linear.gemm,
    "MatMul": linear.matmul,
    "MatMulInteger": qoperator.matmul_integer,
    "MaxPool": windows.max_pool,
    "PRelu": elementwise.prelu,
    "Pad": movement.pad,
    "Pow": elementwise.power,
    "QLinearConv": qoperator.qlinear_conv,
    "QLinearMatMul": qoperator.qlinear_matmul,
    "QuantizeLinear": qcdq.quantize_linear,
    "Resize": resize.resize,
    "Slice": movement.slice_,
    "SpaceToDepth": blocks.space_to_depth,
    "Split": movement.split,
    "Sum": elementwise.sum_of_all,
    "Transpose": movement.transpose,
    "Upsample": resize.resize,
}
_MICROSOFT: dict[str, Handler] = {
    "DequantizeLinear": qcdq.dequantize_linear,
    "Gelu": elementwise.gelu,
    "QGemm": qoperator.qgemm,
    "QLinearAdd": qoperator.qlinear_binary("Add"),
    "QLinearAveragePool": qoperator.qlinear_pool,
    "QLinearConcat": qoperator.qlinear_concat,
    "QLinearConv": qoperator.qlinear_conv,
    "QLinearGlobalAveragePool": qoperator.qlinear_pool,
    "QLinearLeakyRelu": qoperator.qlinear_function("LeakyRelu"),
    "QLinearMul": qoperator.qlinear_binary("Mul"),
    "QLinearSoftmax": normalization.qlinear_softmax,
    "SimplifiedLayerNormalization": normalization.root_mean_square,
    "QLinearSigmoid": qoperator.qlinear_function("Sigmoid"),
    "QuantizeLinear": qcdq.quantize_linear,
    "QuickGelu": elementwise.quick_gelu,
}
_OWN: dict[str, Handler] = {SCAN: scan.selective_scan}
_QONNX: dict[str, Handler] = {"Quant": qonnx.quant, "IntQuant": qonnx.quant, "BipolarQuant": qonnx.bipolar_quant}

QUANTIZERS = {"QuantizeLinear", "DequantizeLinear"}
# Operators that move the integers of a quantized constant, where folding would turn them into float32.
KEEP_INTEGERS = {"Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Transpose", "Identity", "Dropout"}

_DYNAMIC = "its scale is computed from each input at run time, which no integer program with fixed constants can follow"
_ADVICE: dict[str, tuple[str, str | None]] = {
    "DynamicQuantizeLinear": (
        _DYNAMIC,
        "quantize the float model statically: edgeconv quantize MODEL.onnx --calibration SAMPLES.npz",
    ),
    "DynamicQuantizeMatMul": (
        _DYNAMIC,
        "quantize the float model statically: edgeconv quantize MODEL.onnx --calibration SAMPLES.npz",
    ),
    "DynamicQuantizeLSTM": (_DYNAMIC, "quantize statically, and replace the LSTM by convolutions"),
    "Trunc": (
        "QONNX's Trunc drops low bits of a value whose scale it cannot see; its two versions disagree on the result",
        "put a Quant with the wanted bit width in its place (brevitas: QuantIdentity instead of TruncIdentity)",
    ),
    "FloatQuant": ("it quantizes to small floats", "quantize to integers (IntQuant)"),
    **dict.fromkeys(
        ("Loop", "Scan", "If", "SequenceAt", "SplitToSequence", "ConcatFromSequence"),
        (
            "control flow and sequences have no place in an integer program",
            "export a model without data-dependent control",
        ),
    ),
    **dict.fromkeys(
        ("LSTM", "GRU", "RNN"), ("recurrent cells are not supported", "use convolutions over the time axis")
    ),
    **dict.fromkeys(
        ("FusedConv", "FusedMatMul", "FusedGemm", "NhwcMaxPool", "QAttention", "SkipLayerNormalization", "FastGelu"),
        ("onnxruntime's optimiser made it", "give the model as it was before onnxruntime optimised it"),
    ),
    **dict.fromkeys(
        ("LogSoftmax", "LpNormalization", "Hardmax"),
        ("it has no integer form here", "use Softmax or LayerNormalization, or end the model before it"),
    ),
}


def handler(domain: str, op: str) -> Handler | None:
    """The function that reads an operator, or None."""
    if domain in ("", "ai.onnx"):
        return _ONNX.get(op)
    if domain == MICROSOFT:
        return _MICROSOFT.get(op)
    if domain == OWN_DOMAIN:
        return _OWN.get(op)
    return _QONNX.get(op) if domain in QONNX_DOMAINS else None


def refusal(domain: str, op: str) -> tuple[str, str]:
    """Why an operator without a handler is refused, and what to do."""
    reason, advice = _ADVICE.get(op, ("not supported", None))
    where = "" if domain in ("", "ai.onnx") else f" of domain {domain!r}"
    text = f"operator {op}{where}: {reason}"
    return text, advice or "replace it by operators that are listed there, or end the model before it"

"""ONNX files of trained networks: QCDQ for onnxruntime and QONNX, both with integer samples as their input.

Converters and cameras deliver integers, so the graph's input is those integers and a DequantizeLinear says what they
mean: real = scale·(integer - zero_point), where nothing rounds. Below it stands what brevitas writes; its QCDQ ends at
8 bits, and wider activations are given their type here.
"""

from __future__ import annotations

import copy
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import Tensor, nn

from edgeconv.errors import UnsupportedModelError, UsageError
from edgeconv.quantize.files import write_whole
from edgeconv.quantize.quantizers import LearnedScale
from edgeconv.quantize.scan_export import DOMAIN, DOMAIN_VERSION, add_functions

__all__ = ["IntegerInput", "export_float", "export_qcdq", "export_qonnx"]

# torch's TorchScript exporter, the only one that brevitas can use for integer biases, ends before 21.
_TORCH_OPSET = 17
# DequantizeLinear takes 16-bit integers from operator set 21 on.
_OPSET = 21
# The newest that onnxruntime 1.31 and qonnx 1.0 both read.
_IR_VERSION = 10
_ROUNDING = {"QuantizeLinear", "DequantizeLinear"}
# From _TORCH_OPSET to _OPSET these gained types and attributes whose defaults mean what was meant before.
_SAME_MEANING = {
    "Add", "AveragePool", "Cast", "Clip", "Concat", "Constant", "ConstantOfShape", "Conv", "ConvTranspose",
    "DequantizeLinear", "Exp", "Flatten", "Gemm",
    "GlobalAveragePool", "Identity", "MatMul", "MaxPool", "Mul", "Pad", "QuantizeLinear", "ReduceMean", "Relu",
    "Reshape", "Resize", "Sigmoid", "Slice", "Softplus", "Squeeze", "Sub", "Tanh", "Transpose", "Unsqueeze",
}  # fmt: skip


@dataclass(frozen=True)
class IntegerInput:
    """Integers that enter a graph: real = scale·(integer - zero_point).

    Attributes:
        dtype: uint8, int8, uint16 or int16.
        scale: a float32 value; a power of two keeps every real value exact.
        zero_point: the integer that means 0, and that padding is made of.
    """

    dtype: np.dtype[Any]
    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if self.dtype not in (np.uint8, np.int8, np.uint16, np.int16):
            raise UsageError(f"graph input of type {self.dtype}", expected="uint8, int8, uint16 or int16")
        bounds = np.iinfo(self.dtype)
        if not self.scale > 0 or not bounds.min <= self.zero_point <= bounds.max:
            raise UsageError(
                f"graph input with scale {self.scale} and zero point {self.zero_point}",
                expected=f"scale > 0 and a zero point of type {self.dtype}",
            )

    def real(self, integers: NDArray[Any]) -> NDArray[np.float32]:
        """The real numbers that integers mean, float32."""
        return (integers.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


def export_qcdq(
    network: nn.Module, example: Tensor, path: str | Path, *, input_name: str, output_name: str,
    integers: IntegerInput | None = None,
) -> Path:  # fmt: skip
    """Write a brevitas network as QuantizeLinear / DequantizeLinear ONNX, operator set 21, IR version 10.

    Args:
        network: in evaluation mode; it is copied, since a failed export leaves brevitas modules unusable.
        example: real input of one batch; the leading axis becomes the symbolic dimension "n".
        integers: what the integers of the graph input mean; None keeps the network's own float input.

    Raises:
        UnsupportedModelError: the network exports to operators whose meaning changed between operator sets.
    """
    return _export(_write_qcdq, network, example, path, input_name, output_name, integers)


def _write_qcdq(network: nn.Module, *, export_path: str, **options: Any) -> None:
    """brevitas' QCDQ ends at 8 bits: a wider quantizer leaves as one of 8, with its own scale, and is widened after."""
    wide = {name: one for name, one in network.named_modules() if isinstance(one, LearnedScale) and one.bits > 8}
    for quantizer in wide.values():
        quantizer.bits.fill_(8)
    _brevitas_exporter("export_onnx_qcdq")(network, export_path=export_path, **options)
    model = onnx.load(export_path)
    for name, quantizer in wide.items():
        _widen(model, name, np.int16 if quantizer.low < 0 else np.uint16)
    onnx.save(model, export_path)


def _widen(model: onnx.ModelProto, name: str, kind: type[np.integer[Any]]) -> None:
    """Give what a quantizer rounds to another type, which its zero point tells; `name` is that of its module."""
    owner = name.partition("fused_activation_quant_proxy")[0]
    zero_point = numpy_helper.from_array(np.zeros((), kind), f"{owner}zero_point")
    model.graph.initializer.append(zero_point)
    for node in model.graph.node:
        # Nodes have the path of their module, with slashes between some of its parts.
        if node.name.replace("/", ".").startswith(f".{owner}") and node.op_type in _ROUNDING:
            node.input[2] = zero_point.name


def export_qonnx(
    network: nn.Module, example: Tensor, path: str | Path, *, input_name: str, output_name: str,
    integers: IntegerInput | None = None,
) -> Path:  # fmt: skip
    """Write a brevitas network as QONNX; arguments and errors are those of `export_qcdq`."""
    return _export(_brevitas_exporter("export_qonnx"), network, example, path, input_name, output_name, integers)


def _brevitas_exporter(name: str) -> Callable[..., Any]:
    with warnings.catch_warnings():
        # It names a package for Hadamard transforms, which nothing here uses.
        warnings.filterwarnings("ignore", message="fast_hadamard_transform")
        from brevitas import export

    return getattr(export, name)  # type: ignore[no-any-return]


def export_float(
    network: nn.Module, example: Tensor, path: str | Path, *, input_name: str, output_name: str,
    integers: IntegerInput | None = None,
) -> Path:  # fmt: skip
    """Write an ordinary torch network with the same input as its quantized twin; arguments as for `export_qcdq`."""

    def write(module: nn.Module, args: Tensor, export_path: str, **options: Any) -> None:
        torch.onnx.export(module, (args,), export_path, **options)

    return _export(write, network, example, path, input_name, output_name, integers)


def _export(
    write: Callable[..., Any],
    network: nn.Module,
    example: Tensor,
    path: str | Path,
    input_name: str,
    output_name: str,
    integers: IntegerInput | None,
) -> Path:
    path = Path(path)
    inner = input_name if integers is None else f"{input_name}.real"
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # The TorchScript exporter announces its own deprecation and the tracing of constants on every call.
        warnings.simplefilter("ignore")
        raw = os.path.join(folder, "raw.onnx")
        write(
            _without_unused(copy.deepcopy(network).eval(), example),
            args=example,
            export_path=raw,
            input_names=[inner],
            output_names=[output_name],
            dynamic_axes={inner: {0: "n"}, output_name: {0: "n"}},
            opset_version=_TORCH_OPSET,
            custom_opsets=_domains(network),
            dynamo=False,
        )
        model = onnx.load(raw)
    _raise_opset(model)
    _constants_are_no_inputs(model)
    if integers is not None:
        _take_integers(model, input_name, integers)
    add_functions(model, _OPSET)
    model.ir_version = _IR_VERSION
    model.producer_name, model.producer_version = "edgeconv", ""
    onnx.checker.check_model(model)
    write_whole(path, model.SerializeToString())
    return path


def _domains(network: nn.Module) -> dict[str, int]:
    """The domains of a network's own operators; torch prints a warning for one that no node uses."""
    from edgeconv.quantize.scan_layer import ScanParameters

    scans = any(isinstance(module, ScanParameters) for module in network.modules())
    return {DOMAIN: DOMAIN_VERSION} if scans else {}


def _without_unused(network: nn.Module, example: Tensor) -> nn.Module:
    """The network without the layers that only training runs, such as heads of coarser scales.

    brevitas exports every quantizer it finds, and fails at a bias whose scale no input has told it.
    """
    used: set[nn.Module] = set()
    hooks = [module.register_forward_pre_hook(lambda one, _: used.add(one)) for module in network.modules()]
    with torch.no_grad():
        network(example)
    for hook in hooks:
        hook.remove()
    for parent in list(network.modules()):
        for name, child in parent.named_children():
            if child not in used and hasattr(child, "bias_quant"):
                setattr(parent, name, nn.Identity())
    return network


def _raise_opset(model: onnx.ModelProto) -> None:
    own = {"", "ai.onnx"}
    changed = sorted({node.op_type for node in model.graph.node if node.domain in own} - _SAME_MEANING)
    if changed:
        raise UnsupportedModelError(
            f"the network exports to {', '.join(changed)}, not known to mean the same in operator set {_OPSET}",
            advice="check the operator's history and add it to edgeconv.quantize.export",
        )
    for entry in model.opset_import:
        if entry.domain in own:
            entry.version = _OPSET
    for node in model.graph.node:
        if node.op_type == "ReduceMean" and node.domain in own:
            _axes_as_input(model, node)


def _axes_as_input(model: onnx.ModelProto, node: onnx.NodeProto) -> None:
    """From operator set 18 on, the axes of a reduction are an input."""
    kept = [attribute for attribute in node.attribute if attribute.name != "axes"]
    axes = [axis for attribute in node.attribute if attribute.name == "axes" for axis in attribute.ints]
    name = f"{node.output[0]}.axes"
    model.graph.initializer.append(numpy_helper.from_array(np.array(axes, np.int64), name))
    node.input.append(name)
    del node.attribute[:]
    node.attribute.extend(kept)


def _constants_are_no_inputs(model: onnx.ModelProto) -> None:
    """brevitas' QONNX export lists initializers among the inputs, where a user could override them."""
    constants = {tensor.name for tensor in model.graph.initializer}
    kept = [entry for entry in model.graph.input if entry.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(kept)


def _take_integers(model: onnx.ModelProto, name: str, integers: IntegerInput) -> None:
    """Put the integer input and its DequantizeLinear before the graph."""
    (old,) = model.graph.input
    scale, zero_point = f"{name}.scale", f"{name}.zero_point"
    kind = helper.np_dtype_to_tensor_dtype(integers.dtype)
    shape = [dim.dim_param or dim.dim_value for dim in old.type.tensor_type.shape.dim]
    model.graph.initializer.extend(
        [
            numpy_helper.from_array(np.array(integers.scale, np.float32), scale),
            helper.make_tensor(zero_point, kind, [], [integers.zero_point]),
        ]
    )
    node = helper.make_node("DequantizeLinear", [name, scale, zero_point], [old.name], name=f"/{name}/DequantizeLinear")
    model.graph.node.insert(0, node)
    model.graph.input.remove(old)
    model.graph.input.append(helper.make_tensor_value_info(name, kind, shape))

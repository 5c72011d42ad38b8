"""Selective scans in exported ONNX: nodes of functions that the model carries, so that every runtime computes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx.parser
import torch
from torch import Tensor

from edgeconv.importer.scan_function import DOMAIN, DOMAIN_VERSION, NAME, scan_function
from edgeconv.ir.operators.scan import decay_tables
from edgeconv.quantize.scan import ScanConstants

__all__ = ["DOMAIN", "DOMAIN_VERSION", "add_functions", "exported_float_scan", "exported_scan"]

_FLOAT_NAME = "FloatSelectiveScan"
_FLOAT_TEXT = """
<domain: "edgeconv", opset_import: ["" : OPSET]>
FloatSelectiveScan (x, delta, a, b, c) => (y)
{
  axis_2 = Constant <value_ints = [2]> ()
  axis_3 = Constant <value_ints = [3]> ()
  delta_first = Transpose <perm = [2, 0, 1]> (delta)
  b_first = Transpose <perm = [2, 0, 1]> (b)
  c_first = Transpose <perm = [2, 0, 1]> (c)
  delta_column = Unsqueeze (delta_first, axis_3)
  exponent = Mul (delta_column, a)
  falling = Neg (exponent)
  decay = Exp (falling)
  step_input = Mul (delta, x)
  step_first = Transpose <perm = [2, 0, 1]> (step_input)
  step_column = Unsqueeze (step_first, axis_3)
  b_row = Unsqueeze (b_first, axis_2)
  c_row = Unsqueeze (c_first, axis_2)
  driven = Mul (step_column, b_row)
  state_shape = Shape <start = 1> (decay)
  state_begin = ConstantOfShape <value = float[1] {0}> (state_shape)
  state_last, sums = Scan <num_scan_inputs = 3, body = step (float[n, d, s] state, float[n, d, s] decay_t,
      float[n, d, s] driven_t, float[n, o, s] c_t) => (float[n, d, s] state_next, float[n, d] sum_t)
  {
    kept = Mul (decay_t, state)
    state_next = Add (kept, driven_t)
    read = Mul (state_next, c_t)
    sum_t = ReduceSum <keepdims = 0> (read, axis_2)
  }> (state_begin, decay, driven, c_row)
  y = Transpose <perm = [1, 2, 0]> (sums)
}
"""


def exported_scan(values: Sequence[Tensor], scales: Sequence[float], constants: ScanConstants) -> Tensor:
    """The integer scan inside a traced export: quantizers of int8, the function's node, a dequantizer of its sums."""
    return _Exported.apply(*values, scales, constants)  # type: ignore[no-any-return]


def exported_float_scan(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """The float scan inside a traced export."""
    return _ExportedFloat.apply(x, delta, a, b, c)  # type: ignore[no-any-return]


class _Exported(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *_: Any) -> Tensor:  # noqa: ARG004
        return torch.empty_like(x)  # tracing asks for shape and type only

    @staticmethod
    def symbolic(g: Any, x: Any, dt: Any, b: Any, c: Any, scales: Sequence[float], constants: ScanConstants) -> Any:
        def constant(array: np.ndarray) -> Any:
            return g.op("Constant", value_t=torch.from_numpy(np.ascontiguousarray(array)))

        zero = constant(np.zeros((), np.int8))
        x8, dt8, b8, c8 = (
            g.op("QuantizeLinear", value, constant(np.array(scale, np.float32)), zero)
            for value, scale in zip((x, dt, b, c), scales, strict=True)
        )
        tables = [np.array(table, np.int32) for table in decay_tables(constants.exp_bits)]
        others = [
            constants.a.numpy().astype(np.uint8), constants.skip.numpy(),
            constants.steps.numpy(), *tables,
            constants.decay_shift.numpy().astype(np.uint8), constants.input_shift.numpy().astype(np.uint8),
        ]  # fmt: skip
        sums = g.op(
            f"{DOMAIN}::{NAME}", x8, dt8, b8, c8, *(constant(array) for array in others),
            exp_bits_i=constants.exp_bits, state_bits_i=constants.state_bits,
        )  # fmt: skip
        return g.op("DequantizeLinear", sums, constant(constants.sum_step.numpy()), axis_i=1).setType(x.type())


class _ExportedFloat(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, *_: Tensor) -> Tensor:  # noqa: ARG004
        return torch.empty_like(x)

    @staticmethod
    def symbolic(g: Any, x: Any, delta: Any, a: Any, b: Any, c: Any) -> Any:
        return g.op(f"{DOMAIN}::{_FLOAT_NAME}", x, delta, a, b, c).setType(x.type())


def add_functions(model: onnx.ModelProto, opset: int) -> None:
    """Put the functions that a model calls into it, for its version of ONNX's operator set."""
    called = {node.op_type for node in model.graph.node if node.domain == DOMAIN}
    if NAME in called:
        model.functions.append(scan_function(opset))
    if _FLOAT_NAME in called:
        model.functions.append(onnx.parser.parse_function(_FLOAT_TEXT.replace("OPSET", str(opset))))
    if called and not any(entry.domain == DOMAIN for entry in model.opset_import):
        model.opset_import.append(onnx.helper.make_opsetid(DOMAIN, DOMAIN_VERSION))

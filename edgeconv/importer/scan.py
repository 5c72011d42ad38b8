"""The selective scan: a node of the function `edgeconv::SelectiveScan` becomes one operator on integers."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError
from edgeconv.importer.builder import Builder
from edgeconv.importer.node import OnnxNode
from edgeconv.importer.scan_function import DOMAIN, INPUTS, NAME, is_scan_function
from edgeconv.importer.values import Constant, Tensor, Value
from edgeconv.ir import dtype
from edgeconv.ir.operators.scan import LEAST_EXP_BITS, MOST_EXP_BITS, decay_tables

__all__ = ["check_scan_functions", "selective_scan"]

_ADVICE = "export the model again with edgeconv.quantize; this file was changed, or is of another version"
_STEPS, _MOST_STEP = 256, 65535


def check_scan_functions(model: onnx.ModelProto) -> None:
    """Refuse a model whose `SelectiveScan` is not the one that the integer operator stands for, or is not there.

    Raises:
        UnsupportedModelError: the function has another body, or nodes call it that is missing.
    """
    found = [function for function in model.functions if (function.domain, function.name) == (DOMAIN, NAME)]
    if not all(is_scan_function(function) for function in found):
        raise UnsupportedModelError(
            f"function {DOMAIN}.{NAME} has another body than the selective scan of edgeconv",
            expected="the function as edgeconv exports it (edgeconv/importer/scan_function.py)",
            advice=_ADVICE,
        )
    called = any((node.domain, node.op_type) == (DOMAIN, NAME) for node in model.graph.node)
    if called and not found:
        raise UnsupportedModelError(
            f"the model calls {DOMAIN}.{NAME} and does not hold that function",
            expected="the function among the model's, so that every runtime computes the same",
            advice=_ADVICE,
        )


def selective_scan(node: OnnxNode, build: Builder) -> list[Value]:
    """Four tensors of integers and constants; exact sums, which ONNX declares as int32."""
    values = dict(zip(INPUTS, range(len(INPUTS)), strict=True))
    x, dt, b, c = (_narrow(node, values[name]) for name in ("x", "dt", "b", "c"))
    if len(x.shape) != 3:
        raise node.error(f"x of shape {x.shape}", expected="(samples, channels, length)")
    samples, channels, length = x.shape
    a = _constant(node, values["a"], "uint8", (channels, None))
    expected = {"dt": (dt, channels), "b": (b, a.shape[1]), "c": (c, a.shape[1])}
    for name, (tensor, rows) in expected.items():
        if tensor.shape != (samples, rows, length):
            raise node.error(f"{name} of shape {tensor.shape}", expected=f"({samples}, {rows}, {length})")
    skip = _constant(node, values["skip"], "int32", (channels,))
    steps = _constant(node, values["steps"], "int32", (None, _STEPS))
    if len(steps) not in (1, channels):
        raise node.error(f"{len(steps)} tables of step sizes", expected=f"1 or {channels}")
    if not 0 <= int(steps.min()) <= int(steps.max()) <= _MOST_STEP:
        raise node.error(f"step sizes of {steps.min()} to {steps.max()}", expected=f"0 to {_MOST_STEP}")
    shifts = [_constant(node, values[f"{name}_shift"], "uint8", (channels,)) for name in ("decay", "input")]
    exp_bits = _checked_tables(node, values["exp_high"], values["exp_low"])
    constants = (
        build.integer_constant(Constant(build.fresh(f"{node.output}.{name}"), array))
        for name, array in (("a", a), ("skip", skip), ("steps", steps))
    )
    found = build.emit(
        "SelectiveScan", node, (x.name, dt.name, b.name, c.name, *constants), x.shape, nominal=dtype("i32"),
        decay_shifts=tuple(shifts[0].tolist()), input_shifts=tuple(shifts[1].tolist()),
        exp_bits=exp_bits, state_bits=int(node.attribute("state_bits", 0)),
    )  # fmt: skip
    return [found]


def _narrow(node: OnnxNode, index: int) -> Tensor:
    tensor = node.tensor(index)
    if tensor.dtype is None or not tensor.dtype.signed or tensor.dtype.bits > 8:
        kind = "real numbers" if tensor.dtype is None else str(tensor.dtype)
        raise node.error(f"input {index} ('{tensor.name}') holds {kind}", expected="the int8 of a QuantizeLinear")
    return tensor


def _constant(node: OnnxNode, index: int, kind: str, shape: tuple[int | None, ...]) -> NDArray[np.integer]:
    array = node.constant(index, INPUTS[index])
    fits = len(array.shape) == len(shape) and all(
        want in (None, have) for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype != kind:
        shown = tuple("any" if extent is None else extent for extent in shape)
        raise node.error(f"{INPUTS[index]} is {array.dtype} of shape {array.shape}", expected=f"{kind} {shown}")
    return array.astype(kind)


def _checked_tables(node: OnnxNode, high: int, low: int) -> int:
    """The width of the decay, after a look at the tables that belong to it."""
    bits = int(node.attribute("exp_bits", 0))
    if not LEAST_EXP_BITS <= bits <= MOST_EXP_BITS:
        raise node.error(f"exp_bits of {bits}", expected=f"{LEAST_EXP_BITS} to {MOST_EXP_BITS}")
    for index, table in zip((high, low), decay_tables(bits), strict=True):
        if not np.array_equal(node.constant(index, INPUTS[index]), np.array(table)):
            raise node.error(f"{INPUTS[index]} is no table of exp of {bits} bits", advice=_ADVICE)
    return bits

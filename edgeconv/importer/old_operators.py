"""Operators of operator sets 9 and 10 in the form of set 11, so that handlers know only one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edgeconv.importer.node import OnnxNode
from edgeconv.importer.values import Constant, Known

_NEWEST_OLD = 10


def modernized(node: OnnxNode) -> OnnxNode:
    """The node as operator set 11 writes it; the same node where that is nothing else."""
    if node.opset > _NEWEST_OLD or node.proto.domain not in ("", "ai.onnx"):
        return node
    if node.op == "Clip":
        bounds = (node.attribute("min"), node.attribute("max"))
        return _with_inputs(node, [None if bound is None else np.float32(bound) for bound in bounds])
    if node.op == "Pad":
        value = np.float32(node.attribute("value", 0.0))
        return _with_inputs(node, [np.array(node.ints("pads") or (), np.int64), value])
    if node.op == "Slice" and node.ints("starts") is not None:
        lists = [node.ints(name) for name in ("starts", "ends", "axes")]
        return _with_inputs(node, [None if values is None else np.array(values, np.int64) for values in lists])
    if node.op in ("Resize", "Upsample"):
        # Both mean: output position j reads input position j / scale, rounded down where the mode is nearest.
        proto = onnx.NodeProto()
        proto.CopyFrom(node.proto)
        rules = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        proto.attribute.extend(helper.make_attribute(name, rule) for name, rule in rules.items())
        scales = node.inputs[1] if node.has(1) else None
        return replace(node, proto=proto, inputs=(node.inputs[0], None, scales))
    return node


def _with_inputs(node: OnnxNode, arrays: list[NDArray[np.generic] | np.generic | None]) -> OnnxNode:
    """The node with constants behind its first input."""
    added: list[Known | None] = [
        None if array is None else Constant(f"{node.output}.{number}", np.asarray(array))
        for number, array in enumerate(arrays)
    ]
    return replace(node, inputs=(node.inputs[0], *added))

"""A small interpreter of quantized graphs in float64, to compare what the importer made with what the file meant.

Where scales are powers of two and values are small integers nothing is rounded, and results are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.importer import Node, QuantizedGraph, Quantizer, Scale
from edgeconv.ir import Rounding

Array = NDArray[Any]

_UNARY: dict[str, Callable[..., Array]] = {
    "Relu": lambda x: np.maximum(x, 0),
    "LeakyRelu": lambda x, alpha: np.where(x < 0, alpha * x, x),
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "Tanh": np.tanh,
    "Exp": np.exp,
    "Log": np.log,
    "Sqrt": np.sqrt,
    "Erf": np.vectorize(erf),
    "Abs": np.abs,
    "Neg": np.negative,
    "Reciprocal": lambda x: 1 / x,
    "Sin": np.sin,
    "Cos": np.cos,
    "Tan": np.tan,
    "Asin": np.arcsin,
    "Acos": np.arccos,
    "Atan": np.arctan,
    "Sinh": np.sinh,
    "Cosh": np.cosh,
    "Asinh": np.arcsinh,
    "Acosh": np.arccosh,
    "Atanh": np.arctanh,
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.rint,
    "Sign": np.sign,
    "Softplus": lambda x: np.log1p(np.exp(x)),
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "HardSwish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "Mish": lambda x: x * np.tanh(np.log1p(np.exp(x))),
    "HardSigmoid": lambda x, alpha, beta: np.clip(alpha * x + beta, 0, 1),
    "Elu": lambda x, alpha: np.where(x < 0, alpha * np.expm1(x), x),
    "Celu": lambda x, alpha: np.maximum(x, 0) + np.minimum(0, alpha * np.expm1(x / alpha)),
    "Selu": lambda x, alpha, gamma: gamma * np.where(x < 0, alpha * np.expm1(x), x),
    "ThresholdedRelu": lambda x, alpha: np.where(x > alpha, x, 0),
    "Swish": lambda x, alpha: x / (1 + np.exp(-alpha * x)),
    "Clip": lambda x, **bounds: np.clip(x, bounds["min"], bounds["max"]),
    "Bipolar": lambda x: np.where(x >= 0, 1, -1),
    "Cast": lambda x, dtype: x.astype(dtype.container),
    "Reshape": lambda x, shape: x.reshape(shape),
    "Transpose": lambda x, permutation: x.transpose(permutation),
    "ReduceSum": lambda x, axes: x.sum(axes, keepdims=True),
    "ReduceMean": lambda x, axes: x.mean(axes, keepdims=True),
    "ReduceMax": lambda x, axes: x.max(axes, keepdims=True),
    "ReduceMin": lambda x, axes: x.min(axes, keepdims=True),
    "ArgMax": lambda x, **attributes: _argmax(x, **attributes),
}
_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "MatMul": np.matmul,
}


def _argmax(x: Array, axis: int, largest: bool, last: bool) -> Array:
    """The position of an extreme, found by comparing every element with it."""
    extreme = (x.max if largest else x.min)(axis, keepdims=True)
    places = np.arange(x.shape[axis]).reshape([-1 if i == axis else 1 for i in range(x.ndim)])
    found = np.where(x == extreme, places, -1 if last else x.shape[axis])
    return (found.max if last else found.min)(axis, keepdims=True).astype(np.int64)


def evaluate(graph: QuantizedGraph, feeds: Mapping[str, Array]) -> list[Array]:
    """Outputs of a graph; every shape is checked against what the importer announced."""
    values: dict[str, Array] = {}
    for graph_input in graph.inputs:
        values[graph_input.name] = np.asarray(feeds[graph_input.name])
    for name, array in graph.constants.items():
        values[name] = array.astype(np.float64) if array.dtype.kind == "f" else array
    for node in graph.nodes:
        assert node.output not in values, f"{node.output} is made twice"
        result = np.asarray(_node(node, [values[name] for name in node.inputs]))
        assert result.shape == graph.shapes[node.output], (node, result.shape)
        values[node.output] = result
    return [values[name] for name in graph.outputs]


def _node(node: Node, inputs: list[Array]) -> Array:
    if node.op in _UNARY:
        return _UNARY[node.op](inputs[0], **node.attributes)
    if node.op in _BINARY:
        return _BINARY[node.op](*inputs)
    return _OTHERS[node.op](node, *inputs)


def _along(values: tuple[Any, ...], axis: int, rank: int) -> Array:
    array = np.asarray(values, np.float64)
    return array.reshape(()) if array.size == 1 else array.reshape([-1 if i == axis else 1 for i in range(rank)])


def _quantize(node: Node, x: Array) -> Array:
    q = node.attributes["quantizer"]
    assert isinstance(q, Quantizer)
    ratio = x.astype(np.float64) / _along(q.scale, q.axis, x.ndim)
    if q.zero_point_inside:
        ratio = np.clip(ratio + q.zero_point, q.lo, q.hi)
    rounded = np.rint(ratio) if q.rounding is Rounding.HALF_EVEN else np.trunc(ratio + np.copysign(0.5, ratio))
    return np.clip(rounded + (0 if q.zero_point_inside else q.zero_point), q.lo, q.hi).astype(q.dtype.container)


def _dequantize(node: Node, x: Array) -> Array:
    s = node.attributes["scale"]
    assert isinstance(s, Scale)
    return (x.astype(np.float64) - _along(s.zero_point, s.axis, x.ndim)) * _along(s.scale, s.axis, x.ndim)


def _windows(x: Array, node: Node, kernel: tuple[int, ...], fill: float) -> Array:
    """Shape (N, C, out…, taps): every window of the padded input."""
    pads, strides, dilations = (_ints(node, name) for name in ("pads", "strides", "dilations"))
    rank = len(kernel)
    border = [(0, 0), (0, 0)] + [(pads[i], pads[rank + i]) for i in range(rank)]
    padded = np.pad(x.astype(np.float64), border, constant_values=fill)
    reach = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    views = np.lib.stride_tricks.sliding_window_view(padded, reach, axis=tuple(range(2, 2 + rank)))
    picks = (
        slice(None),
        slice(None),
        *(slice(None, None, s) for s in strides),
        *(slice(None, None, d) for d in dilations),
    )
    views = views[picks]
    return views.reshape(*views.shape[: 2 + rank], -1)


def _ints(node: Node, name: str) -> tuple[int, ...]:
    value = node.attributes[name]
    assert isinstance(value, tuple)
    return value


def _conv(node: Node, x: Array, w: Array, bias: Array | None = None) -> Array:
    groups = node.attributes["groups"]
    assert isinstance(groups, int)
    windows = _windows(x, node, w.shape[2:], 0.0)
    outputs = []
    for g in range(groups):
        mine = w.reshape(groups, w.shape[0] // groups, w.shape[1], -1)[g]
        outputs.append(np.einsum("nc...t,oct->no...", windows[:, g * w.shape[1] : (g + 1) * w.shape[1]], mine))
    y = np.concatenate(outputs, 1)
    return y if bias is None else y + _along(tuple(bias), 1, y.ndim)


def _conv_transpose(node: Node, x: Array, w: Array, bias: Array | None = None) -> Array:
    strides, dilations, pads, longer = (_ints(node, n) for n in ("strides", "dilations", "pads", "output_padding"))
    groups, rank = node.attributes["groups"], x.ndim - 2
    assert isinstance(groups, int)
    extents = [
        (x.shape[2 + i] - 1) * strides[i] + (w.shape[2 + i] - 1) * dilations[i] + 1 + longer[i] for i in range(rank)
    ]
    full = np.zeros((x.shape[0], w.shape[1] * groups, *extents))
    for c, place in np.ndindex(x.shape[1], x[0, 0].size):
        at = np.unravel_index(place, x.shape[2:])
        reached = tuple(
            slice(at[i] * strides[i], at[i] * strides[i] + (w.shape[2 + i] - 1) * dilations[i] + 1, dilations[i])
            for i in range(rank)
        )
        group = c // (x.shape[1] // groups)
        outputs = slice(group * w.shape[1], (group + 1) * w.shape[1])
        full[(slice(None), outputs, *reached)] += np.multiply.outer(x[(slice(None), c, *at)], w[c])
    kept = tuple(slice(pads[i], extents[i] - pads[rank + i]) for i in range(rank))
    y = full[(slice(None), slice(None), *kept)]
    return y if bias is None else y + _along(tuple(bias), 1, y.ndim)


def _average_pool(node: Node, x: Array) -> Array:
    pads, counted, kernel = (_ints(node, name) for name in ("pads", "counted_pads", "kernel"))
    rank = len(kernel)
    counts = np.ones((1, 1))
    for axis, extent in enumerate(x.shape[2:]):
        places = np.arange(-pads[axis], extent + pads[rank + axis])
        inside = (places >= -counted[axis]) & (places < extent + counted[rank + axis])
        counts = np.multiply.outer(counts, inside)
    unpadded = Node("", "", (), "", {**node.attributes, "pads": (0,) * len(pads)})
    return _windows(x, node, kernel, 0.0).sum(-1) / _windows(counts, unpadded, kernel, 0.0).sum(-1)


def _gelu(node: Node, x: Array) -> Array:
    if node.attributes["approximate"] == "tanh":
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return 0.5 * x * (1 + np.vectorize(erf)(x / np.sqrt(2)))


def _batch_normalization(node: Node, x: Array, *parameters: Array) -> Array:
    scale, bias, mean, variance = (_along(tuple(p), 1, x.ndim) for p in parameters)
    return (x - mean) / np.sqrt(variance + node.attributes["epsilon"]) * scale + bias


def _softmax(node: Node, x: Array) -> Array:
    axis = node.attributes["axis"]
    assert isinstance(axis, int)
    powers = np.exp(x - x.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def _normalization(node: Node, x: Array) -> Array:
    axes, groups = _ints(node, "axes"), node.attributes["groups"]
    assert isinstance(groups, int)
    rows = x.astype(np.float64).reshape(
        *x.shape[: axes[0]], groups, x.shape[axes[0]] // groups, *x.shape[axes[0] + 1 :]
    )
    inside = tuple(axis + 1 for axis in axes)
    if node.attributes["centered"]:
        rows = rows - rows.mean(inside, keepdims=True)
    return (rows / np.sqrt((rows * rows).mean(inside, keepdims=True) + node.attributes["epsilon"])).reshape(x.shape)


def _slice(node: Node, x: Array) -> Array:
    starts, sizes, steps = (_ints(node, name) for name in ("starts", "sizes", "steps"))
    axes = [s + step * np.arange(size) for s, size, step in zip(starts, sizes, steps, strict=True)]
    return x[np.ix_(*axes)]


def _pad(node: Node, x: Array) -> Array:
    pads = _ints(node, "pads")
    border = [(pads[i], pads[x.ndim + i]) for i in range(x.ndim)]
    mode = node.attributes["mode"]
    return np.pad(x, border, mode, **({"constant_values": node.attributes["value"]} if mode == "constant" else {}))


def _resize(node: Node, x: Array) -> Array:
    indices = node.attributes["indices"]
    assert isinstance(indices, tuple)
    return x[np.ix_(range(x.shape[0]), range(x.shape[1]), *indices)]


def _resize_linear(node: Node, x: Array) -> Array:
    for axis, denominator in enumerate(_ints(node, "denominators")):
        indices, left, right = (np.array(node.attributes[key][axis]) for key in ("indices", "left", "right"))  # type: ignore[index]
        shape = (-1, *(1,) * (x.ndim - 3 - axis))
        after = np.minimum(indices + 1, x.shape[2 + axis] - 1)
        first, second = (np.take(x, at, 2 + axis) for at in (indices, after))
        x = (first * left.reshape(shape) + second * right.reshape(shape)) / denominator
    return x


_OTHERS: dict[str, Callable[..., Array]] = {
    "Quantize": _quantize,
    "Dequantize": _dequantize,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "BatchNormalization": _batch_normalization,
    "Softmax": _softmax,
    "Normalization": _normalization,
    "Gelu": _gelu,
    "PRelu": lambda node, x: np.where(x < 0, x * _along(node.attributes["slope"], node.attributes["axis"], x.ndim), x),
    "MaxPool": lambda node, x: _windows(x, node, _ints(node, "kernel"), -np.inf).max(-1),
    "AveragePool": _average_pool,
    "Concat": lambda node, *xs: np.concatenate(xs, node.attributes["axis"]),
    "Slice": _slice,
    "Pad": _pad,
    "Resize": _resize,
    "ResizeLinear": _resize_linear,
}

"""A quantized graph evaluated in exact fractions, element by element: slow, and independent of the lowering.

Functions that are not rational are taken to 400 bits; a test that would sit on a tie at such a value does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from edgeconv.importer.graph import Node, QuantizedGraph, Quantizer, Scale
from edgeconv.ir import Rounding
from edgeconv.ir.exact import fraction_to_float32

Array = NDArray[Any]
PRECISION = 400


def evaluate(graph: QuantizedGraph, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs for one sample: int64 where integer, float32 (rounded once from the exact value) where real."""
    values: dict[str, Array] = {}
    for name, array in {**graph.constants, **inputs}.items():
        values[name] = _exact(array)
    real = {source.name for source in graph.inputs if source.dtype.is_float}
    real |= {name for name, array in graph.constants.items() if array.dtype.kind == "f"}
    for node in graph.nodes:
        operands = [values[name] for name in node.inputs if name]
        if node.op == "Quantize" and node.inputs[0] in {source.name for source in graph.inputs}:
            # At the float end the division is float32's.
            values[node.output] = _quantize_float(inputs[node.inputs[0]], node.attributes["quantizer"])  # type: ignore[arg-type]
        else:
            values[node.output] = _OPERATORS[node.op](node, *operands)
        if node.op == "Dequantize" or (node.op not in _INTEGER_RESULT and any(name in real for name in node.inputs)):
            real.add(node.output)
    return {
        name: _float32(values[value]) if value in real else values[value].astype(np.int64)
        for name, value in zip(graph.output_names, graph.outputs, strict=True)
    }


_INTEGER_RESULT = {"Quantize", "Bipolar", "Cast", "ArgMax"}


def _exact(array: Array) -> Array:
    result = np.empty(array.shape, object)
    for index in np.ndindex(array.shape):
        value = array[index]
        result[index] = Fraction(float(value)) if array.dtype.kind == "f" else Fraction(int(value))
    return result


def _float32(array: Array) -> Array:
    return np.array([fraction_to_float32(value) for value in array.ravel()], np.float32).reshape(array.shape)


def _map(function: Callable[..., Fraction], *arrays: Array) -> Array:
    wide = np.broadcast_arrays(*arrays)
    result = np.empty(wide[0].shape, object)
    for index in np.ndindex(result.shape):
        result[index] = function(*(array[index] for array in wide))
    return result


def _round(value: Fraction, rounding: Rounding) -> int:
    if rounding is Rounding.HALF_EVEN:
        return round(value)
    magnitude = int(abs(value) + Fraction(1, 2))
    return magnitude if value >= 0 else -magnitude


def _along(values: tuple[Any, ...], axis: int, rank: int) -> Array:
    array = np.array([Fraction(value) for value in values], object)
    if len(values) == 1:
        return array.reshape(())
    return array.reshape([-1 if i == axis else 1 for i in range(rank)])


def _quantize(node: Node, x: Array) -> Array:
    quantizer = node.attributes["quantizer"]
    assert isinstance(quantizer, Quantizer)
    return _levels(_map(lambda v, s: v / s, x, _along(quantizer.scale, quantizer.axis, x.ndim)), quantizer)


def _quantize_float(x: Array, quantizer: Quantizer) -> Array:
    scale = np.array(quantizer.scale, np.float32)
    if len(scale) > 1:
        scale = scale.reshape([-1 if i == quantizer.axis else 1 for i in range(x.ndim)])
    quotient = (x / scale).astype(np.float32)
    return _levels(_exact(quotient), quantizer)


def _levels(scaled: Array, quantizer: Quantizer) -> Array:
    def level(value: Fraction) -> Fraction:
        if quantizer.zero_point_inside:
            rounded = _round(value + quantizer.zero_point, quantizer.rounding)
        else:
            rounded = _round(value, quantizer.rounding) + quantizer.zero_point
        return Fraction(min(max(rounded, quantizer.lo), quantizer.hi))

    return _map(level, scaled)


def _dequantize(node: Node, q: Array) -> Array:
    scale = node.attributes["scale"]
    assert isinstance(scale, Scale)
    s, z = _along(scale.scale, scale.axis, q.ndim), _along(scale.zero_point, scale.axis, q.ndim)
    return _map(lambda v, a, b: a * (v - b), q, s, z)


def _windows(node: Node, x: Array, kernel: tuple[int, ...], fill: Fraction | None) -> tuple[Array, tuple[int, ...]]:
    """Positions of every window and the padded array; fill None marks padding as None."""
    a: dict[str, tuple[int, ...]] = node.attributes  # type: ignore[assignment]
    rank = len(kernel)
    pads = [(0, 0), (0, 0)] + [(a["pads"][i], a["pads"][rank + i]) for i in range(rank)]
    padded = np.full([e + p[0] + p[1] for e, p in zip(x.shape, pads, strict=True)], fill, object)
    padded[tuple(slice(p[0], p[0] + e) for e, p in zip(x.shape, pads, strict=True))] = x
    extents = tuple(
        (padded.shape[2 + i] - (kernel[i] - 1) * a["dilations"][i] - 1) // a["strides"][i] + 1 for i in range(rank)
    )
    return padded, extents


def _taps(
    node: Node, position: tuple[int, ...], kernel: tuple[int, ...]
) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    a: dict[str, tuple[int, ...]] = node.attributes  # type: ignore[assignment]
    return [
        (tap, tuple(p * s + t * d for p, s, t, d in zip(position, a["strides"], tap, a["dilations"], strict=True)))
        for tap in product(*map(range, kernel))
    ]


def _conv(node: Node, x: Array, w: Array, bias: Array | None = None) -> Array:
    kernel = w.shape[2:]
    padded, extents = _windows(node, x, kernel, Fraction(0))
    groups = int(node.attributes["groups"])  # type: ignore[call-overload]
    inner, per_group = w.shape[1], w.shape[0] // groups
    result = np.empty((x.shape[0], w.shape[0], *extents), object)
    for index in np.ndindex(result.shape):
        first = index[1] // per_group * inner
        total = Fraction(0) if bias is None else bias[index[1]]
        for tap, place in _taps(node, index[2:], kernel):
            for i in range(inner):
                total += w[(index[1], i, *tap)] * padded[(index[0], first + i, *place)]
        result[index] = total
    return result


def _conv_transpose(node: Node, x: Array, w: Array, bias: Array | None = None) -> Array:
    a: dict[str, tuple[int, ...]] = node.attributes  # type: ignore[assignment]
    groups, rank = int(node.attributes["groups"]), x.ndim - 2  # type: ignore[call-overload]
    inner, per_group = x.shape[1] // groups, w.shape[1]
    extents = [
        (x.shape[2 + i] - 1) * a["strides"][i] + (w.shape[2 + i] - 1) * a["dilations"][i] + 1 + a["output_padding"][i]
        - a["pads"][i] - a["pads"][rank + i]
        for i in range(rank)
    ]  # fmt: skip
    result = np.full((x.shape[0], groups * per_group, *extents), Fraction(0), object)
    if bias is not None:
        result += bias.reshape(-1, *(1,) * rank)
    for index in np.ndindex(x.shape):
        for o, *tap in np.ndindex(*w.shape[1:]):
            place = [
                p * s + t * d - b
                for p, s, t, d, b in zip(index[2:], a["strides"], tap, a["dilations"], a["pads"], strict=False)
            ]
            if all(0 <= p < extent for p, extent in zip(place, extents, strict=True)):
                target = (index[0], index[1] // inner * per_group + o, *place)
                result[target] += x[index] * w[(index[1], o, *tap)]
    return result


def _pool(node: Node, x: Array) -> Array:
    a: dict[str, tuple[int, ...]] = node.attributes  # type: ignore[assignment]
    kernel, rank = a["kernel"], len(a["kernel"])
    padded, extents = _windows(node, x, kernel, None)
    result = np.empty((*x.shape[:2], *extents), object)
    for index in np.ndindex(result.shape):
        places = [place for _, place in _taps(node, index[2:], kernel)]
        found = [value for place in places if (value := padded[(*index[:2], *place)]) is not None]
        if node.op == "MaxPool":
            result[index] = max(found)
            continue
        counted = a["counted_pads"]
        count = sum(
            all(
                a["pads"][i] - counted[i] <= place[i] < a["pads"][i] + x.shape[2 + i] + counted[rank + i]
                for i in range(rank)
            )
            for place in places
        )
        result[index] = sum(found, Fraction(0)) / count
    return result


def _precise(function: Callable[[Any], Any]) -> Callable[[Fraction], Fraction]:
    def evaluate_one(x: Fraction) -> Fraction:
        with mpmath.workprec(PRECISION):
            value = function(mpmath.mpf(x.numerator) / x.denominator)
            sign, mantissa, exponent, _ = value._mpf_
        return (-1) ** sign * Fraction(int(mantissa)) * Fraction(2) ** int(exponent)

    return evaluate_one


def _saturating(rest: Callable[[Any], Any]) -> Callable[[Fraction], Fraction]:
    """1 - rest(x), the difference exact: near saturation no fixed precision tells it from 1."""
    return lambda x: 1 - _precise(rest)(x)


def _gelu_argument(x: Any) -> Any:
    return mpmath.sqrt(2 / mpmath.pi) * (x + x**3 * mpmath.mpf(44715) / 1000000)


_sigmoid = _saturating(lambda x: 1 / (1 + mpmath.exp(x)))
_GELU = {
    "none": _saturating(lambda x: mpmath.erfc(x / mpmath.sqrt(2)) / 2),
    "tanh": _saturating(lambda x: 1 / (1 + mpmath.exp(2 * _gelu_argument(x)))),
}


def _function(node: Node) -> Callable[[Fraction], Fraction]:
    a: dict[str, Any] = dict(node.attributes)
    zero, one = Fraction(0), Fraction(1)
    alpha = Fraction(a["alpha"]) if "alpha" in a else one

    def elu(x: Fraction, factor: Fraction, inner: Fraction) -> Fraction:
        return (
            x
            if x > 0
            else factor * (_precise(lambda v: mpmath.exp(v * mpmath.mpf(inner.numerator) / inner.denominator))(x) - 1)
        )

    gamma = Fraction(a["gamma"]) if "gamma" in a else one
    beta = Fraction(a["beta"]) if "beta" in a else zero
    lo, hi = a.get("min"), a.get("max")
    exact: dict[str, Callable[[Fraction], Fraction]] = {
        "Relu": lambda x: max(x, zero),
        "Clip": lambda x: min(
            max(x, Fraction(lo) if lo is not None else x), Fraction(hi) if hi is not None else max(x, Fraction(lo or 0))
        ),
        "LeakyRelu": lambda x: x if x >= 0 else alpha * x,
        "HardSigmoid": lambda x: max(zero, min(one, alpha * x + beta)),
        "HardSwish": lambda x: x * max(zero, min(one, x / 6 + Fraction(1, 2))),
        "Abs": abs,
        "Neg": lambda x: -x,
        "Reciprocal": lambda x: 1 / x,
        "Floor": lambda x: Fraction(x.numerator // x.denominator),
        "Ceil": lambda x: Fraction(-(-x.numerator // x.denominator)),
        "Round": lambda x: Fraction(round(x)),
        "Sign": lambda x: Fraction((x > 0) - (x < 0)),
        "Softsign": lambda x: x / (1 + abs(x)),
        "ThresholdedRelu": lambda x: x if x > alpha else zero,
        "Elu": lambda x: elu(x, alpha, one),
        "Celu": lambda x: elu(x, alpha, 1 / alpha),
        "Selu": lambda x: gamma * elu(x, alpha, one),
        "Sigmoid": lambda x: _sigmoid(x) if x > 0 else 1 - _sigmoid(-x),
        "Tanh": lambda x: 2 * _sigmoid(2 * x) - 1 if x > 0 else 1 - 2 * _sigmoid(-2 * x),
        "Erf": lambda x: (1 if x > 0 else -1) * _saturating(mpmath.erfc)(abs(x)),
        "Softplus": lambda x: max(x, zero) + _precise(lambda v: mpmath.log1p(mpmath.exp(-abs(v))))(x),
        "Mish": lambda x: x * _saturating(lambda v: 2 / ((1 + mpmath.exp(v)) ** 2 + 1))(x),
        "Swish": lambda x: x * _sigmoid(alpha * x),
        "Gelu": lambda x: x * _GELU[a["approximate"]](x),
        "Bipolar": lambda x: one if x >= 0 else -one,
        "Cast": lambda x: x,
    }
    if node.op in exact:
        return exact[node.op]
    return _precise(getattr(mpmath, node.op.lower()))


def _elementwise(node: Node, x: Array) -> Array:
    return _map(_function(node), x)


def _batch_normalization(node: Node, x: Array, *columns: Array) -> Array:
    gamma, beta, mean, variance = (c.reshape([-1] + [1] * (x.ndim - 2)) for c in columns)
    root = _precise(mpmath.sqrt)
    epsilon = Fraction(node.attributes["epsilon"])  # type: ignore[arg-type]
    return _map(lambda v, g, b, m, d: g * (v - m) / root(d + epsilon) + b, x, gamma, beta, mean, variance)


def _prelu(node: Node, x: Array) -> Array:
    slope = _along(node.attributes["slope"], int(node.attributes["axis"]), x.ndim)  # type: ignore[call-overload,arg-type]
    return _map(lambda v, s: v if v >= 0 else s * v, x, slope)


def _resize_linear(node: Node, x: Array) -> Array:
    a: dict[str, Any] = dict(node.attributes)
    for axis, denominator in enumerate(a["denominators"]):
        columns = []
        for index, left, right in zip(a["indices"][axis], a["left"][axis], a["right"][axis], strict=True):
            column = x.take(index, 2 + axis) * Fraction(left, denominator)
            columns.append(column + x.take(index + 1, 2 + axis) * Fraction(right, denominator) if right else column)
        x = np.stack(columns, 2 + axis)
    return x


def _pad(node: Node, x: Array) -> Array:
    a: dict[str, Any] = dict(node.attributes)
    rank = x.ndim
    pads = [(a["pads"][i], a["pads"][rank + i]) for i in range(rank)]
    if a["mode"] == "constant":
        return np.pad(x, pads, constant_values=Fraction(a["value"]))
    return np.pad(x, pads, a["mode"])


def _slice(node: Node, x: Array) -> Array:
    a: dict[str, Any] = dict(node.attributes)
    axes = zip(a["starts"], a["sizes"], a["steps"], strict=True)
    return x[np.ix_(*(start + np.arange(size) * step for start, size, step in axes))]


def _resize(node: Node, x: Array) -> Array:
    indices: Any = node.attributes["indices"]
    return x[np.ix_(range(x.shape[0]), range(x.shape[1]), *indices)]


def _terms(node: Node, x: Array) -> int:
    axes: Any = node.attributes["axes"]
    return int(np.prod([x.shape[axis] for axis in axes]))


def _argmax(x: Array, axis: int, largest: bool, last: bool) -> Array:
    result = np.empty((*x.shape[:axis], 1, *x.shape[axis + 1 :]), object)
    for index in np.ndindex(result.shape):
        row = list(x[(*index[:axis], slice(None), *index[axis + 1 :])])
        best = max(row) if largest else min(row)
        result[index] = Fraction(len(row) - 1 - row[::-1].index(best) if last else row.index(best))
    return result


def _power(node: Node, x: Array, p: Array) -> Array:
    return _map(lambda v, e: v ** int(e) if e.denominator == 1 else _precise(lambda u: u ** float(e))(v), x, p)


_OPERATORS: dict[str, Callable[..., Array]] = {
    "Quantize": _quantize,
    "Dequantize": _dequantize,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MatMul": lambda node, a, b: np.matmul(a, b),
    "Add": lambda node, a, b: a + b,
    "Sub": lambda node, a, b: a - b,
    "Mul": lambda node, a, b: a * b,
    "Div": lambda node, a, b: a / b,
    "Pow": _power,
    "BatchNormalization": _batch_normalization,
    "PRelu": _prelu,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "Reshape": lambda node, x: x.reshape(node.attributes["shape"]),
    "Transpose": lambda node, x: x.transpose(node.attributes["permutation"]),
    "ReduceSum": lambda node, x: x.sum(node.attributes["axes"], keepdims=True),
    "ReduceMean": lambda node, x: x.sum(node.attributes["axes"], keepdims=True) / _terms(node, x),
    "ReduceMax": lambda node, x: x.max(node.attributes["axes"], keepdims=True),
    "ReduceMin": lambda node, x: x.min(node.attributes["axes"], keepdims=True),
    "ArgMax": lambda node, x: _argmax(x, **node.attributes),
    "Concat": lambda node, *xs: np.concatenate(xs, int(node.attributes["axis"])),  # type: ignore[call-overload]
    "Slice": _slice,
    "Pad": _pad,
    "Resize": _resize,
    "ResizeLinear": _resize_linear,
}
for _name in (
    "Relu Clip LeakyRelu HardSigmoid HardSwish Abs Neg Reciprocal Floor Ceil Round Sign Softsign ThresholdedRelu Elu "
    "Celu Selu Bipolar Cast Sigmoid Softplus Mish Swish Gelu Tanh Exp Log Sqrt Erf Sin Cos Tan Asin Acos Atan Sinh "
    "Cosh Asinh Acosh Atanh"
).split():
    _OPERATORS[_name] = _elementwise

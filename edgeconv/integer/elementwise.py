"""Handlers that build real expressions: sums, products with constants, batch normalization, clips, functions, pools."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from edgeconv.importer.graph import Node
from edgeconv.integer import algebra
from edgeconv.integer.algebra import add, divide, maximum, minimum, multiply, number, subtract
from edgeconv.integer.products import attach_bias, multiply_tensors
from edgeconv.integer.state import (
    Handler,
    State,
    as_expression,
    constant_number,
    exact_attribute,
    on_grid,
    real_operand,
    unsupported,
)
from edgeconv.integer.values import (
    Affine,
    Call,
    Expression,
    Integers,
    Joined,
    Moved,
    Number,
    Real,
    Value,
    sources,
)
from edgeconv.ir import operators as ops

Function = Callable[[Expression], Expression]
HALF = Fraction(1, 2)


def apply(state: State, value: Value, function: Function, node: Node, *, rises: bool) -> Real:
    """An elementwise function of one value; postponed movements stay outside where the two change places.

    Args:
        rises: the function is non-decreasing and the same everywhere, so that it may go inside a max_pool.
    """
    if isinstance(value, Joined) and rises:
        return replace(value, parts=tuple(apply(state, part, function, node, rises=rises) for part in value.parts))
    fills = isinstance(value, Moved) and isinstance(value.movement, ops.Pad) and value.movement.fills
    if isinstance(value, Moved) and not fills and rises:
        inner = apply(state, value.inner, function, node, rises=rises)
        return replace(value, inner=inner)  # type: ignore[arg-type]
    return function(as_expression(state, value, node))


def binary(node_function: Callable[[State, Node, Value, Value], Value]) -> Handler:
    """A handler of two operands, constants as exact numbers."""

    def handle(state: State, node: Node) -> Value:
        return node_function(state, node, real_operand(state, node, 0), real_operand(state, node, 1))

    return handle


def _constant(state: State, node: Node, value: Value) -> Number | None:
    return constant_number(state, value, len(state.graph.shapes[node.output]))


def _sum(sign: int) -> Callable[[State, Node, Value, Value], Value]:
    def handle(state: State, node: Node, a: Value, b: Value) -> Value:
        left, right = _constant(state, node, a), _constant(state, node, b)
        if sign > 0 and (left is None) != (right is None):
            value, bias = (b, a) if right is None else (a, b)
            biased = attach_bias(state, node, value, bias) if isinstance(value, Affine) else None
            if biased is not None:
                return biased
        if right is not None:
            shift = multiply(right, number(sign))
            return apply(state, a, lambda x: add(x, shift), node, rises=_is_scalar(shift))
        if left is not None:
            scaled = apply(state, b, lambda x: multiply(x, number(sign)), node, rises=sign > 0)
            return apply(state, scaled, lambda x: add(x, left), node, rises=_is_scalar(left))
        x, y = as_expression(state, a, node), as_expression(state, b, node)
        if set(sources(x)) != set(sources(y)):
            x, y = on_grid(state, x, node), on_grid(state, y, node)
        return add(x, multiply(y, number(sign)))

    return handle


def _is_scalar(value: Expression) -> bool:
    return isinstance(value, Number) and len(value.values) == 1


def _product(state: State, node: Node, a: Value, b: Value) -> Value:
    for value, other in ((a, b), (b, a)):
        factor = _constant(state, node, other)
        if factor is not None:
            rises = _is_scalar(factor) and factor.values[0] > 0
            return apply(state, value, lambda x, factor=factor: multiply(x, factor), node, rises=rises)  # type: ignore[misc]
    x, y = as_expression(state, a, node), as_expression(state, b, node)
    if set(sources(x)) == set(sources(y)) and len(sources(x)) == 1:
        return multiply(x, y)
    return multiply_tensors(state, node, x, y)


def _quotient(state: State, node: Node, a: Value, b: Value) -> Value:
    divisor = _constant(state, node, b)
    if divisor is not None:
        if 0 in divisor.values:
            raise unsupported("divides by a constant zero", "a divisor that is not zero")
        rises = _is_scalar(divisor) and divisor.values[0] > 0
        return apply(state, a, lambda x: divide(x, divisor), node, rises=rises)
    y = as_expression(state, b, node)
    x = _constant(state, node, a) or as_expression(state, a, node)
    if len(set(sources(x)) | set(sources(y))) > 1:
        advice = "a product with its quantized Reciprocal; a normalization exported as one node (operator set 17)"
        raise unsupported("divides one activation by another", advice)
    return divide(x, y)


def power(state: State, node: Node) -> Value:
    """Pow with a constant exponent."""
    exponent = _constant(state, node, real_operand(state, node, 1))
    if exponent is None or len(exponent.values) != 1:
        raise unsupported("has an exponent that is no constant scalar", "a constant exponent")
    (p,) = exponent.values
    return apply(state, state.values[node.inputs[0]], lambda x: _power(x, p), node, rises=False)


def _power(x: Expression, p: Fraction) -> Expression:
    if p.denominator in (2, 4, 8):
        return _power(Call("sqrt", (x,)), 2 * p)
    if p.denominator != 1 or abs(p) > 16:
        return Call("exp", (multiply(Call("log", (x,)), number(p)),))
    result: Expression = number(1)
    for _ in range(abs(p.numerator)):
        result = multiply(result, x)
    return result if p >= 0 else divide(number(1), result)


def batch_normalization(state: State, node: Node) -> Value:
    """BatchNormalization with constant statistics, as the real numbers it means."""
    rank = len(state.graph.shapes[node.output])
    columns = []
    for name in node.inputs[1:5]:
        array = constant_number(state, state.values[name], 1)
        if array is None:
            raise unsupported(f"has statistics {name!r} that are no constants", "inference mode, constant statistics")
        columns.append(Number(array.values, 1, rank))
    gamma, beta, mean, variance = columns
    variance = replace(variance, values=tuple(v + exact_attribute(node, "epsilon") for v in variance.values))
    if min(variance.values) <= 0:
        raise unsupported("has a variance that is not positive", "variance + epsilon > 0 in every channel")
    return apply(
        state, state.values[node.inputs[0]],
        lambda x: algebra.batch_normalize(x, gamma, beta, mean, variance), node, rises=False,
    )  # fmt: skip


def clip(state: State, node: Node) -> Value:
    """Clip of reals, or of integers."""
    value = state.values[node.inputs[0]]
    lo, hi = node.attributes["min"], node.attributes["max"]
    if isinstance(value, Integers):
        own = state.builder.bounds[value.tensor]
        bounds = (own[0] if lo is None else int(lo), own[1] if hi is None else int(hi))  # type: ignore[call-overload]
        return Integers(state.builder.clip(value.tensor, bounds, node.output))

    def function(x: Expression) -> Expression:
        x = x if lo is None else maximum(x, number(lo))  # type: ignore[arg-type]
        return x if hi is None else minimum(x, number(hi))  # type: ignore[arg-type]

    return apply(state, value, function, node, rises=True)


def _call(name: str) -> Callable[[Node], Function]:
    return lambda node: lambda x: Call(name, (x,))


def _relu(x: Expression) -> Expression:
    return maximum(x, number(0))


def _leaky(x: Expression, slope: Expression) -> Expression:
    return add(maximum(x, number(0)), multiply(minimum(x, number(0)), slope))


def _sigmoid(x: Expression) -> Expression:
    return Call("sigmoid", (x,))


def _hard_sigmoid(x: Expression, alpha: Fraction, beta: Fraction) -> Expression:
    return minimum(maximum(add(multiply(x, number(alpha)), number(beta)), number(0)), number(1))


def _exponential_part(x: Expression, inner: Fraction) -> Expression:
    """exp(min(x, 0)·inner) - 1: zero on the positive side."""
    return add(Call("exp", (multiply(minimum(x, number(0)), number(inner)),)), number(-1))


def _elu(x: Expression, alpha: Fraction, inner: Fraction = Fraction(1)) -> Expression:
    return add(maximum(x, number(0)), multiply(_exponential_part(x, inner), number(alpha)))


def _gelu(node: Node) -> Function:
    if node.attributes["approximate"] == "tanh":
        return _gelu_tanh
    return lambda x: multiply(multiply(x, number(HALF)), add(Call("erf", (divide_by_root_two(x),)), number(1)))


def divide_by_root_two(x: Expression) -> Expression:
    """x / sqrt(2), the argument of the Erf form of GELU."""
    return Call("div", (x, Call("sqrt", (number(2),))))


def _gelu_tanh(x: Expression) -> Expression:
    # 0.5·x·(1 + tanh(sqrt(2/pi)·(x + 0.044715·x³))), sqrt(2/pi) = sqrt(2)/sqrt(pi), pi = 4·atan(1).
    cubic = add(x, multiply(multiply(x, multiply(x, x)), number(Fraction("0.044715"))))
    pi = multiply(Call("atan", (number(1),)), number(4))
    inner = Call("mul", (cubic, Call("sqrt", (Call("div", (number(2), pi)),))))
    return multiply(multiply(x, number(HALF)), add(Call("tanh", (inner,)), number(1)))


def _thresholded(x: Expression, alpha: Fraction) -> Expression:
    # x > alpha, as 1 - (1 + sign_or_one(alpha - x)) / 2.
    below = Call("reaches_zero", (subtract(number(alpha), x),))
    return multiply(x, multiply(subtract(number(1), below), number(HALF)))


def _attributes(function: Callable[..., Expression], *names: str) -> Callable[[Node], Function]:
    return lambda node: lambda x: function(x, *(exact_attribute(node, name) for name in names))


def _plain(function: Function) -> Callable[[Node], Function]:
    return lambda node: function


FUNCTIONS: dict[str, Callable[[Node], Function]] = {
    **{name: _call(name.lower()) for name in (
        "Tanh", "Exp", "Log", "Sqrt", "Erf", "Sin", "Cos", "Asin", "Acos", "Atan", "Sinh", "Asinh", "Acosh", "Atanh",
        "Floor", "Ceil", "Round", "Sign", "Sigmoid", "Softplus",
    )},
    "Relu": _plain(_relu),
    "LeakyRelu": _attributes(lambda x, alpha: _leaky(x, number(alpha)), "alpha"),
    "Abs": _plain(lambda x: maximum(x, algebra.negate(x))),
    "Neg": _plain(algebra.negate),
    "Reciprocal": _plain(lambda x: divide(number(1), x)),
    "Tan": _plain(lambda x: divide(Call("sin", (x,)), Call("cos", (x,)))),
    "Cosh": _plain(lambda x: multiply(add(Call("exp", (x,)), Call("exp", (algebra.negate(x),))), number(HALF))),
    "Softsign": _plain(lambda x: divide(x, add(maximum(x, algebra.negate(x)), number(1)))),
    "HardSwish": _plain(lambda x: multiply(x, _hard_sigmoid(x, Fraction(1, 6), HALF))),
    "Mish": _plain(lambda x: multiply(x, Call("tanh", (Call("softplus", (x,)),)))),
    "HardSigmoid": _attributes(_hard_sigmoid, "alpha", "beta"),
    "Elu": _attributes(_elu, "alpha"),
    "Celu": _attributes(lambda x, alpha: _elu(x, alpha, 1 / alpha), "alpha"),
    "Selu": _attributes(lambda x, alpha, gamma: multiply(_elu(x, alpha), number(gamma)), "alpha", "gamma"),
    "ThresholdedRelu": _attributes(_thresholded, "alpha"),
    "Swish": _attributes(lambda x, alpha: multiply(x, _sigmoid(multiply(x, number(alpha)))), "alpha"),
    "Gelu": _gelu,
}  # fmt: skip
RISING = {"Relu", "Sigmoid", "Tanh", "Exp", "Erf", "Atan", "Sinh", "Asinh", "Softplus", "Floor", "Ceil", "Round"}
"""Functions that may go inside a max_pool; the others make it settle first."""


def function_of_one(state: State, node: Node) -> Value:
    """Any function of `FUNCTIONS`."""
    return apply(state, state.values[node.inputs[0]], FUNCTIONS[node.op](node), node, rises=node.op in RISING)


def prelu(state: State, node: Node) -> Value:
    """PRelu: a slope for negative values, one or one per channel."""
    slopes, axis = node.attributes["slope"], node.attributes["axis"]
    assert isinstance(slopes, tuple)
    assert isinstance(axis, int)
    slope = Number(tuple(map(Fraction, slopes)), axis, len(state.graph.shapes[node.output]))
    return apply(state, state.values[node.inputs[0]], lambda x: _leaky(x, slope), node, rises=False)


HANDLERS: dict[str, Handler] = {
    "Add": binary(_sum(1)),
    "Sub": binary(_sum(-1)),
    "Mul": binary(_product),
    "Div": binary(_quotient),
    "Pow": power,
    "BatchNormalization": batch_normalization,
    "Clip": clip,
    "PRelu": prelu,
    **dict.fromkeys(FUNCTIONS, function_of_one),
}

"""The table of patterns: what may become a composite. Whether it does, the array's compiler decides.

Grammar, where `c` is a constant and `x` anything:

    value  = dequantize(x, c, c) | c, through at most three of reshape, squeeze, expand_dims, permute_dims, max_pool
    term   = linear(value, value) | add(linear(value, value), value)
    layer  = term | add(term or value, term or value) | pool(value) | function(value) | concat(value, …) | value
    result = function(layer) | layer, then quantize, then bounds of its integers or none; without quantize, too, where
             layer is a term or the sum of two
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from edgeconv.codegen.tir import tvm
from edgeconv.hw.relax.judge import accepts
from edgeconv.hw.relax.prepare import MOVES

__all__ = ["NAME", "register", "registered"]

NAME = "edgeconv_fpga"
"""Prefix of the patterns, name of the code generator and of its options."""

LINEAR = ("nn.conv1d", "nn.conv2d", "nn.conv1d_transpose", "nn.conv2d_transpose", "matmul")
POOLS = ("nn.max_pool1d", "nn.max_pool2d", "nn.avg_pool1d", "nn.avg_pool2d", "mean", "max")
FUNCTIONS = (
    *("nn.relu", "nn.leakyrelu", "sigmoid", "tanh", "erf", "exp", "abs", "negative"),
    *("nn.silu", "nn.gelu", "nn.gelu_tanh"),
)
_MOST_JOINED = 4
_MOST_MOVES = 3

Pattern = Any


def _op(*names: str) -> Pattern:
    found = tvm.relax.dpl.is_op(f"relax.{names[0]}")
    for name in names[1:]:
        found = found | tvm.relax.dpl.is_op(f"relax.{name}")
    return found


def _value() -> Pattern:
    """A dequantized tensor or a constant. Each call gives a pattern of its own, since a pattern matches one thing."""
    dpl = tvm.relax.dpl
    found = _op("dequantize")(dpl.wildcard(), dpl.is_const(), dpl.is_const()) | dpl.is_const()
    for _ in range(_MOST_MOVES):
        shaped = _op("reshape")(found, dpl.wildcard())
        moved = _op(*(name.removeprefix("relax.") for name in MOVES if name != "relax.reshape"))(found)
        found = shaped | moved | found
    return found


def _term(*linear: str) -> Pattern:
    product = _op(*linear)(_value(), _value())
    return _op("add")(product, _value()) | product


def _clipped(x: Pattern) -> Pattern:
    dpl = tvm.relax.dpl
    return _op("clip")(x, dpl.wildcard(), dpl.wildcard())


def _bounded(x: Pattern) -> Pattern:
    """The larger or smaller of something and a constant, or both, as a Clip of ONNX comes."""
    dpl = tvm.relax.dpl
    once = _op("maximum", "minimum")(x, dpl.is_const())
    return _op("maximum", "minimum")(once, dpl.is_const()) | once


def _maybe_function(x: Pattern) -> Pattern:
    return _op(*FUNCTIONS)(x) | _clipped(x) | _bounded(x) | x


def _layers() -> Iterator[tuple[str, Callable[[], Pattern]]]:
    """Name and pattern of every kind of layer that a quantizer may follow, in order of priority."""
    yield from _products()
    yield "sum", _sum
    yield "pool", lambda: _op(*POOLS)(_value())
    for count in range(_MOST_JOINED, 1, -1):
        yield f"concat{count}", partial(_concat, count)
    yield "function", lambda: _op(*FUNCTIONS)(_value()) | _clipped(_value()) | _bounded(_value())
    yield "requantize", _value


def _products() -> Iterator[tuple[str, Callable[[], Pattern]]]:
    for name in LINEAR:
        yield name.removeprefix("nn."), partial(_term, name)


def _sum() -> Pattern:
    return _op("add")(_term(*LINEAR) | _value(), _term(*LINEAR) | _value())


def _two_terms() -> Pattern:
    return _op("add")(_term(*LINEAR), _term(*LINEAR))


def _concat(count: int) -> Pattern:
    return _op("concat")(tvm.relax.dpl.is_tuple([_value() for _ in range(count)]))


def _quantized(x: Pattern) -> Pattern:
    dpl = tvm.relax.dpl
    return _op("quantize")(x, dpl.is_const(), dpl.is_const())


def register() -> None:
    """Put the table into TVM's registry of patterns, where the later ones have priority."""
    if registered():
        return
    quantized = [(name, _quantized(_maybe_function(layer()))) for name, layer in _layers()]
    # A Clip of the integers belongs to the quantizer before it, so it is looked for first.
    entries = [(f"{name}_clipped", _bounded(pattern)) for name, pattern in quantized] + quantized
    # What no quantizer follows comes last, and of that a sum comes before what it is made of.
    entries += [(f"{name}_real", _maybe_function(layer())) for name, layer in (("sum", _two_terms), *_products())]
    tvm.relax.backend.pattern_registry.register_patterns(
        [(f"{NAME}.{name}", pattern, {}, accepts) for name, pattern in reversed(entries)]
    )


def registered() -> list[Any]:
    """The table in TVM's registry, first in priority first."""
    return list(tvm.relax.backend.pattern_registry.get_patterns_with_prefix(f"{NAME}."))

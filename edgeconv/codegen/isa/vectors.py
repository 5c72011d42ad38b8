"""TIR shared by the vector instruction sets."""

from __future__ import annotations

from collections.abc import Sequence

from edgeconv.codegen.builder import Memory, View, bind
from edgeconv.codegen.tir import Expr, tirx

__all__ = ["broadcast_group", "join_halves", "load_weights", "shuffle"]


def shuffle(vectors: Sequence[Expr], order: Sequence[int]) -> Expr:
    """Elements of the concatenated vectors in the given order."""
    return tirx.Shuffle(list(vectors), [tirx.const(index, "int32") for index in order])


def broadcast_group(view: View, offset: Expr, group: int, lanes: int, vector: str) -> Expr:
    """`group` stored elements (32 bits together) in each of `lanes` lanes, as the type `vector`."""
    packed = tirx.reinterpret("int32", view.vload(offset, group))
    return bind(tirx.reinterpret(vector, tirx.Broadcast(packed, lanes)))


def load_weights(memory: Memory, element: str, offset: Expr, count: int) -> Expr:
    """`count` weights as int16, whatever they are stored as."""
    weights = memory.load(element, offset, count)
    return bind(weights if element == "int16" else weights.astype(f"int16x{count}"))


def join_halves(low: Expr, high: Expr, lanes: int, vector: str) -> Expr:
    """The lower 32-bit lanes of `low` and the upper ones of `high`, both of type `vector`; binds it."""
    half = lanes // 2
    order = [*range(half), *range(lanes + half, 2 * lanes)]
    words = [tirx.reinterpret(f"int32x{lanes}", value) for value in (low, high)]
    return bind(tirx.reinterpret(vector, shuffle(words, order)))

"""TIR shared by the vector instruction sets."""

from __future__ import annotations

from collections.abc import Sequence

from edgeconv.codegen.builder import Memory, View, bind
from edgeconv.codegen.tir import Expr, tirx

__all__ = [
    "broadcast_group",
    "gathered",
    "interleaved",
    "interleaved_order",
    "interleaved_pairs",
    "join_halves",
    "lane_sums",
    "load_weights",
    "packed_order",
    "shuffle",
]

_QUARTER = 16  # bytes inside which cheap shuffles work: a whole register of NEON, a quarter of one of AVX-512


def shuffle(vectors: Sequence[Expr], order: Sequence[int]) -> Expr:
    """Elements of the concatenated vectors in the given order."""
    return tirx.Shuffle(list(vectors), [tirx.const(index, "int32") for index in order])


def gathered(vectors: Sequence[Expr], order: Sequence[int], width: int) -> Expr:
    """A vector of `width` elements of many such, numbered through; a shuffle takes two, each more is shuffled in."""
    order = [*order, *[order[0]] * (width - len(order))]
    used = sorted({index // width for index in order})
    first = used[:2]
    inside = [index if index // width in first else first[0] * width for index in order]
    gathered = shuffle(
        [vectors[number] for number in first], [first.index(i // width) * width + i % width for i in inside]
    )
    for number in used[2:]:
        places = [width + i % width if i // width == number else place for place, i in enumerate(order)]
        gathered = shuffle([bind(gathered), vectors[number]], places)
    return gathered


def broadcast_group(view: View, offset: Expr, group: int, lanes: int, vector: str) -> Expr:
    """`group` stored elements (32 bits together) in each of `lanes` lanes, as the type `vector`."""
    packed = tirx.reinterpret("int32", view.vload(offset, group))
    return bind(tirx.reinterpret(vector, tirx.Broadcast(packed, lanes)))


def load_weights(memory: Memory, element: str, offset: Expr, count: int) -> Expr:
    """`count` weights as int16, whatever they are stored as."""
    weights = memory.load(element, offset, count)
    return bind(weights if element == "int16" else weights.astype(f"int16x{count}"))


def join_halves(low: Expr, high: Expr, upper: Expr, lanes: int, vector: str) -> Expr:
    """The lower 32-bit lanes of `low` and the upper ones of `high`, both of type `vector`; binds it.

    Args:
        upper: int32 vector, all bits set in the upper lanes, none in the lower ones, of which LLVM knows nothing. Of a
            shuffle of two broadcasts it makes a permutation with a table, which takes the ports of other shuffles.
    """
    first, second = (tirx.reinterpret(f"int32x{lanes}", value) for value in (low, high))
    joined = tirx.bitwise_or(tirx.bitwise_and(first, tirx.bitwise_not(upper)), tirx.bitwise_and(second, upper))
    return bind(tirx.reinterpret(vector, joined))


def interleaved(vectors: Sequence[Expr], lanes: int) -> list[Expr]:
    """Four vectors of bytes: element i of all four side by side, four vectors in the order of `interleaved_order`."""
    pairs = [_unpacked(vectors[2 * k], vectors[2 * k + 1], half, 1, lanes) for k in range(2) for half in range(2)]
    return [_unpacked(pairs[j // 2], pairs[2 + j // 2], j % 2, 2, lanes) for j in range(4)]


def interleaved_pairs(a: Expr, b: Expr, lanes: int) -> list[Expr]:
    """Two vectors of bytes: pair i of both side by side, two vectors."""
    return [_unpacked(a, b, half, 2, lanes) for half in range(2)]


def interleaved_order(lanes: int, members: int = 1) -> list[list[int]]:
    """The element whose sum each 32-bit lane of four vectors is to hold.

    Args:
        members: neighbouring elements that lie side by side in a lane: 1 (`interleaved`), 2 (`interleaved_pairs`) or 4
            (a vector as it is). Each such vector of inputs serves as many vectors of sums, one for each member.
    """
    inputs = 4 // members
    return [
        [members * (_QUARTER // members * (lane // 4) + 4 * j + lane % 4) + member for lane in range(lanes)]
        for j in range(inputs)
        for member in range(members)
    ]


def packed_order(lanes: int, members: int = 1) -> list[int]:
    """Where each byte of a vector in element order stands after `pack_bytes` of vectors in `interleaved_order`."""
    flat = [element for vector in interleaved_order(lanes, members) for element in vector]
    return [flat.index(element) for element in range(4 * lanes)]


def _unpacked(a: Expr, b: Expr, half: int, size: int, lanes: int) -> Expr:
    """Elements of `size` bytes of a and b in turn, from the lower or upper half of each quarter."""
    element, count = ("uint8", "uint16")[size - 1], 4 * lanes // size
    per_quarter = _QUARTER // size
    order = []
    for index in range(count // 2):
        quarter, inside = divmod(index, per_quarter // 2)
        source = quarter * per_quarter + half * per_quarter // 2 + inside
        order += [source, count + source]
    vector = f"{element}x{count}"
    mixed = shuffle([tirx.reinterpret(vector, a), tirx.reinterpret(vector, b)], order)
    return bind(tirx.reinterpret(f"uint8x{4 * lanes}", mixed))


def lane_sums(vectors: Sequence[Expr], lanes: int, *, levels: int | None = None, done: int = 0) -> list[Expr]:
    """Add up the lanes of each int32 vector; the sums of `lanes` vectors are the lanes of one.

    Args:
        levels: how many of the log2(lanes) halvings to do; all when not given.
        done: how many were done by a call before, on vectors whose results are given here in order.
    """
    vectors = list(vectors)
    most = lanes.bit_length() - 1
    for level in range(done, most if levels is None else done + levels):
        orders = _halving(level, lanes)
        vectors = [
            bind(shuffle([a, b], orders[0]) + shuffle([a, b], orders[1]))
            for a, b in zip(vectors[::2], vectors[1::2], strict=True)
        ]
    return vectors


def _halving(level: int, lanes: int) -> tuple[list[int], list[int]]:
    """The lanes of two vectors whose sums make one vector: first inside quarters, then whole quarters."""
    if level < 2:
        inside = ((0, lanes, 1, lanes + 1), (0, 1, lanes, lanes + 1))[level]
        first = [quarter + lane for quarter in range(0, lanes, 4) for lane in inside]
        return first, [lane + 2 for lane in first]
    pieces = lanes // 4 >> (level - 2)  # quarters that are parts of the same four sums
    kept = [set_ + piece for set_ in range(0, lanes // 2, pieces) for piece in range(pieces // 2)]
    first = [4 * quarter + lane for quarter in kept for lane in range(4)]
    return first, [lane + 2 * pieces for lane in first]

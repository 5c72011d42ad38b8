"""Planes of one channel each become channels-last: elements of several channels are put side by side by shuffles."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from math import prod

from edgeconv.codegen.builder import Builder, View, bind, const, reinterpret
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.isa.vectors import shuffle
from edgeconv.codegen.tir import Expr, tirx

__all__ = ["interleave", "positions_together"]

_MOST_SHUFFLED_CHANNELS = 16
_WORD, _WIDEST = 32, 64  # bits of a lane into which channels are gathered first, and of the widest lane
_BITS = {"uint8": 8, "int16": 16}
_TOP_BIT = {"uint8": 128, "int16": -32768}


def interleave(build: Builder, planes: View, y: View, *, flip: bool = False) -> None:
    """Copy planes, row-major (N, C, …), to channels-last y.

    Args:
        planes: of elements as wide as those that y stores, signed or not.
        flip: change the top bit of each element, as adding the storage bias does.
    """
    samples, channels, *spatial = y.layout.shape
    *outer, width = spatial
    area = prod(spatial)
    together = positions_together(build.isa, y.layout.storage.element, channels)
    tiles = width // together if together else 0
    loops = build.sharing([samples, *outer, max(1, tiles)])
    with ExitStack() as frames:
        extents = (samples, *outer)
        sample, *row = [frames.enter_context(loop(extent)) for loop, extent in zip(loops, extents, strict=False)]
        before: Expr = 0
        for index, extent in zip(row, outer, strict=True):
            before = before * extent + index
        source = bind(sample * (channels * area) + before * width)
        target = bind(y.layout.offset([sample, 0, *row, 0]) + 0)
        groups = _groups(y.layout.storage.element, channels, together) if tiles else []
        for first, group, count in groups:
            with build.nest([count] if count > 1 else []) as number, loops[-1](tiles) as tile:
                begin = number[0] * group + first if number else first
                starts = [source + (begin + channel) * area + tile * together for channel in range(group)]
                vectors = [_stored(planes, y, start, together, flip=flip) for start in starts]
                _store_tile(y, vectors, target + tile * (together * channels) + begin, together, channels)
        moved = sum(group * count for _, group, count in groups)
        if tiles and moved < channels:
            with loops[-1](tiles) as tile, build.nest([together, channels - moved]) as (position, left):
                value = _stored(planes, y, source + (left + moved) * area + tile * together + position, 1, flip=flip)
                y.vstore(target + (tile * together + position) * channels + left + moved, value, 1)
        done = tiles * together
        if done < width:
            with loops[-1](1), build.nest([width - done, channels]) as (position, channel):
                value = _stored(planes, y, source + channel * area + position + done, 1, flip=flip)
                y.vstore(target + (position + done) * channels + channel, value, 1)


def positions_together(isa: Isa, element: str, channels: int) -> int:
    """Positions that shuffles interleave at a time; 0 where elements are moved one by one."""
    if element not in _BITS:
        return 0
    if channels > _MOST_SHUFFLED_CHANNELS:
        return isa.lanes
    if channels % (_WORD // _BITS[element]) == 0:
        return isa.lanes
    return 2 * isa.lanes if element == "uint8" and channels in (2, 3) else 0


def _groups(element: str, channels: int, together: int) -> list[tuple[int, int, int]]:
    """Neighbouring channels that are shuffled together: the first one, how many in a group, how many such groups.

    Up to sixteen channels come as one group. Of more, a group has whole words, and a vector holds whole positions of
    it; channels that no group takes are moved one by one.
    """
    if channels <= _MOST_SHUFFLED_CHANNELS:
        return [(0, channels, 1)]
    groups, first = [], 0
    for size in (16, 8, 4, 2):
        words = size * _BITS[element] // _WORD
        count = (channels - first) // size if 0 < words <= together else 0
        if count:
            groups.append((first, size, count))
            first += count * size
    return groups


def _stored(planes: View, y: View, offset: Expr, lanes: int, *, flip: bool) -> Expr:
    """Numbers as y stores them."""
    element = y.layout.storage.element
    loaded = planes.vload(offset, lanes)
    same = loaded if planes.layout.storage.element == element else reinterpret(_of(element, lanes), loaded)
    return bind(tirx.bitwise_xor(same, const(_TOP_BIT[element], element, lanes)) if flip else same)


def _of(element: str, lanes: int) -> str:
    return element if lanes == 1 else f"{element}x{lanes}"


def _store_tile(y: View, planes: Sequence[Expr], target: Expr, positions: int, channels: int) -> None:
    """Interleave one vector of each plane: elements, or words of several channels where these come so.

    Args:
        planes: of neighbouring channels.
        channels: of y: from one position to the next.
    """
    element, vectors, group = y.layout.storage.element, list(planes), len(planes)
    bits, members = _BITS[element], _WORD // _BITS[element]
    if group % members == 0:
        firsts = range(0, group, members)
        vectors = [_words(vectors[first : first + members], bits, positions) for first in firsts]
        bits = _WORD
    at: Expr = target
    for mixed in _mixed(vectors, bits, positions):
        size = positions * group // len(vectors)
        stored = bind(reinterpret(_of(element, size), mixed))
        if group == channels:
            y.vstore(at, stored, size)
            at = at + size
            continue
        for first in range(0, size, group):
            y.vstore(at, shuffle([stored], range(first, first + group)), group)
            at = at + channels


def _words(vectors: Sequence[Expr], bits: int, lanes: int) -> Expr:
    """Narrow vectors as one int32 vector, the first in the low bits."""
    word: Expr = None
    for index, vector in enumerate(vectors):
        part = reinterpret(f"uint{bits}x{lanes}", vector).astype(f"int32x{lanes}")
        part = tirx.shift_left(part, const(bits * index, "int32", lanes)) if index else part
        word = part if word is None else tirx.bitwise_or(word, part)
    return bind(word)


def _mixed(vectors: Sequence[Expr], bits: int, lanes: int) -> list[Expr]:
    """Lane 0 of every vector, then lane 1 of every vector, and so on, in as many vectors."""
    count = len(vectors)
    if count == 1:
        return list(vectors)
    if count % 2 == 0 and bits == _WORD and lanes > 1:
        # Pairs become lanes of twice the width, of the lower and of the upper half of the positions.
        halves = [[index + side * lanes for index in half for side in (0, 1)] for half in _halves(lanes)]
        wide = f"int64x{lanes // 2}"
        return [
            mixed
            for half in halves
            for mixed in _mixed(
                [
                    reinterpret(wide, bind(shuffle([a, b], half)))
                    for a, b in zip(vectors[::2], vectors[1::2], strict=True)
                ],
                _WIDEST,
                lanes // 2,
            )
        ]
    flat = [range(part * lanes, (part + 1) * lanes) for part in range(count)]
    return [shuffle(vectors, [index % count * lanes + index // count for index in part]) for part in flat]


def _halves(lanes: int) -> tuple[range, range]:
    return range(lanes // 2), range(lanes // 2, lanes)

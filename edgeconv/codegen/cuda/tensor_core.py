"""The matrix product of a warp, m16n8k32 of PTX: which lane holds what, and the same product by loops.

c (16×8, int32) += a (16×32, unsigned bytes) · b (32×8, signed bytes). With group = lane / 4 and t = lane mod 4 (PTX
ISA, "Matrix Fragments for mma.m16n8k32"):

    a, 4 words of 4 bytes:  word 0: row group, columns 4t…4t+3    word 1: row group + 8, the same columns
                            words 2 and 3: the same rows, columns 16 further
    b, 2 words of 4 bytes:  word 0: column group, rows 4t…4t+3    word 1: rows 16 further
    c, 4 words:             words 0 and 1: row group, columns 2t and 2t+1;  words 2 and 3: row group + 8
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeconv.codegen.builder import bind, const
from edgeconv.codegen.tir import T, tirx

if TYPE_CHECKING:
    from edgeconv.codegen.cuda.team import Fragment

__all__ = ["COLUMNS", "DEPTH", "FRAGMENT_WORDS", "ROWS", "multiply_all_lanes"]

ROWS, COLUMNS, DEPTH = 16, 8, 32
FRAGMENT_WORDS = {"a": 4, "b": 2, "c": 4}


def multiply_all_lanes(c: Fragment, first: int, a: Fragment, b: Fragment) -> None:
    """Emit the product for fragments that hold the values of all lanes."""
    with T.serial(0, ROWS) as row, T.serial(0, COLUMNS) as column:
        lane = bind((row & 7) * 4 + (column >> 1))
        word = bind((row >> 3) * 2 + (column & 1) + first)
        with T.serial(0, DEPTH) as k:
            quarter = bind((k & 15) >> 2)
            a_word = a.load((row & 7) * 4 + quarter, (row >> 3) + 2 * (k >> 4))
            b_word = b.load(column * 4 + quarter, k >> 4)
            shift = bind((k & 3) * 8)
            activation = tirx.bitwise_and(tirx.shift_right(a_word, shift), const(0xFF))
            weight = tirx.shift_right(tirx.shift_left(b_word, const(24) - shift), const(24))
            c.store(lane, word, c.load(lane, word) + activation * weight)

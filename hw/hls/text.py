"""Pieces of C++: integer types by the values they must hold, constant arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UnsupportedModelError

__all__ = ["array", "bits_of", "columns", "type_of"]

_WIDTH = 116
_MOST_BITS = 64


def bits_of(lo: int, hi: int) -> tuple[int, bool]:
    """Width and signedness of the narrowest type that holds [lo, hi]."""
    if lo >= 0:
        return max(1, hi.bit_length()), False
    return 1 + max(max(hi, 0).bit_length(), (-lo - 1).bit_length()), True


def type_of(lo: int, hi: int) -> str:
    """The narrowest C++ type that holds [lo, hi].

    Raises:
        UnsupportedModelError: none of 64 bits does.
    """
    bits, signed = bits_of(lo, hi)
    if bits > (_MOST_BITS if signed else _MOST_BITS - 1):
        raise UnsupportedModelError(f"a stage needs integers of {bits} bits", expected=f"at most {_MOST_BITS}")
    return f"ap_{'' if signed else 'u'}int<{bits}>"


def columns(values: Iterable[object], indent: str = "    ") -> str:
    """Values in lines of limited width."""
    lines, line = [], indent
    for value in values:
        text = f"{value}, "
        if len(line) + len(text) > _WIDTH:
            lines.append(line.rstrip())
            line = indent
        line += text
    lines.append(line.rstrip().rstrip(","))
    return "\n".join(lines)


def array(name: str, values: Sequence[int] | NDArray[np.generic], indent: str = "", kind: str = "") -> str:
    """A constant array of one or two axes, of a C++ type or of the narrowest one."""
    data = np.asarray(values)
    kind = kind or type_of(int(data.min()), int(data.max()))
    extents = "".join(f"[{extent}]" for extent in data.shape)
    head = f"{indent}static const {kind} {name}{extents} = {{"
    if data.ndim == 1:
        short = f"{head}{', '.join(_literal(value) for value in data)}}};"
        if len(short) <= _WIDTH:
            return short
        return f"{head}\n{columns(map(_literal, data), indent + '    ')}\n{indent}}};"
    rows = [f"{indent}    {{\n{columns(map(_literal, row), indent + '        ')}\n{indent}    }}" for row in data]
    if data.shape[1] <= 16:
        rows = [f"{indent}    {{{', '.join(map(_literal, row))}}}" for row in data]
    return f"{head}\n" + ",\n".join(rows) + f"\n{indent}}};"


def _literal(value: object) -> str:
    number = int(value)  # type: ignore[call-overload]
    if number == -(1 << 63):
        return "(-9223372036854775807LL - 1)"
    return f"{number}LL" if not -(1 << 31) < number < 1 << 31 else str(number)

"""Runs of elements that are spaced evenly or backwards in their source: flips and slices with steps, by vectors."""

from __future__ import annotations

from edgeconv.codegen.builder import Builder, View, bind
from edgeconv.codegen.isa.vectors import shuffle
from edgeconv.codegen.tir import Expr

__all__ = ["copy_strided"]

_VECTOR_BYTES = 16  # shuffles of bytes across wider vectors are slow or missing
_LARGEST_STEP = 4


def copy_strided(build: Builder, x: View, source: Expr, y: View, target: Expr, count: int, step: int) -> None:
    """y[target + i] = x[source + i·step] for i below `count`; steps of at most 4 either way by vectors.

    What lies between the taken elements is read too, what lies outside of them is not.
    """
    lanes, spread = _VECTOR_BYTES // y.layout.storage.bytes, abs(step)
    # Loads end at the element before the next one that is taken, so the last vector is left to single elements.
    whole = (count - 1) // lanes if spread <= _LARGEST_STEP else 0
    source, target = bind(source + 0), bind(target + 0)
    with build.loop(whole) if whole else build.nest([]) as index:
        if whole:
            first = source + index * (lanes * step) - (spread * lanes - 1 if step < 0 else 0)
            loaded = [bind(x.vload(first + part * lanes, lanes)) for part in range(spread)]
            order = [i * spread for i in range(lanes)] if step > 0 else [spread * (lanes - i) - 1 for i in range(lanes)]
            y.vstore(target + index * lanes, shuffle(loaded, order), lanes)
    with build.loop(count - whole * lanes) as rest:
        at = rest + whole * lanes
        y.vstore(target + at, x.vload(source + at * step, 1), 1)

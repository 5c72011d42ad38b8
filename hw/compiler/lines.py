"""The lines of convolutions, transposed convolutions and pools."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from edgeconv.hw.compiler.windows import Line
from edgeconv.ir.geometry import TransposedWindow, Window

__all__ = ["as_plane", "as_rows", "conv_lines", "row_lines", "transposed_lines"]

Ints = NDArray[np.int64]


def as_plane(index: Ints) -> Ints:
    """A tensor (1, C), (1, C, L) or (1, C, H, W) as (C, H, W)."""
    return index.reshape(index.shape[1], *(1,) * (4 - index.ndim), *index.shape[2:])


def as_rows(index: Ints) -> Ints:
    """A tensor (…, K) as K channels of one row whose columns are all its vectors: (K, 1, rows)."""
    return np.ascontiguousarray(index.reshape(-1, index.shape[-1]).T)[:, None, :]


def row_lines(out: Ints) -> Iterator[Line]:
    """Lines of a window of one element over equal shapes; `out` holds the places of the results (C, H, W)."""
    yield from conv_lines(Window.of((1, 1)), out.shape[1:], out)


def conv_lines(window: Window, spatial: tuple[int, ...], out: Ints, weights: Ints | None = None) -> Iterator[Line]:
    """A line for each output row, or for each part of it with equal weights.

    Args:
        window: over two axes.
        spatial: extents of the input.
        out: places of the results (C, H, W).
        weights: factor of the weights of each output (H, W), 1 everywhere when None.
    """
    (_, kernel), (stride_y, stride_x), (dilation_y, dilation_x) = window.kernel, window.strides, window.dilations
    taps = tuple((tap, tap * dilation_x - window.begin(1)) for tap in range(kernel))
    for y in range(out.shape[1]):
        top = y * stride_y - window.begin(0)
        rows = [top + tap * dilation_y for tap in range(window.kernel[0])]
        valid = [tap for tap, row in enumerate(rows) if 0 <= row < spatial[0]]
        factors = np.ones(out.shape[2], np.int64) if weights is None else weights[y]
        for first, stop in _equal_parts(factors):
            moved = tuple((tap, column + first * stride_x) for tap, column in taps)
            yield _line(
                tuple(range(len(rows))),
                valid,
                rows,
                dilation_y,
                moved,
                stop - first,
                stride_x,
                out[:, y, first:stop],
                int(factors[first]),
            )


def transposed_lines(window: TransposedWindow, spatial: tuple[int, ...], out: Ints) -> Iterator[Line]:
    """A line for each output row and each phase along it; `window` is over two axes."""
    columns = window.phases(1, out.shape[2])
    rows_of = {phase.first: phase for phase in window.phases(0, out.shape[1])}
    for y in range(out.shape[1]):
        vertical = rows_of[y % window.strides[0]]
        rows = [y // window.strides[0] + offset for offset in vertical.offsets]
        valid = [k for k, row in enumerate(rows) if 0 <= row < spatial[0]]
        step = rows[1] - rows[0] if len(rows) > 1 else 0
        for phase in columns:
            taps = tuple(zip(phase.taps, phase.offsets, strict=True))
            places = out[:, y, phase.first :: window.strides[1]]
            yield _line(vertical.taps, valid, rows, step, taps, phase.count, 1, places, 1)


def _line(
    row_taps: tuple[int, ...],
    valid: list[int],
    rows: list[int],
    row_step: int,
    taps: tuple[tuple[int, int], ...],
    positions: int,
    step: int,
    places: Ints,
    weight: int,
) -> Line:
    base = int(places[0, 0])
    stride = int(places[0, 1] - places[0, 0]) if positions > 1 else 0
    if not valid or not taps:
        # Outputs that no tap reaches hold the bias: one tap of weight zero.
        return Line((0,), 0, 1, 0, 0, ((0, 0),), positions, 0, base, stride, 0)
    return Line(row_taps, valid[0], len(valid), rows[valid[0]], row_step, taps, positions, step, base, stride, weight)


def _equal_parts(factors: Ints) -> Iterator[tuple[int, int]]:
    cuts = [0, *(np.flatnonzero(np.diff(factors)) + 1).tolist(), len(factors)]
    yield from itertools.pairwise(cuts)

"""Filling memory with one stored number, and the halo around tensors with the padding."""

from __future__ import annotations

from edgeconv.codegen.builder import Builder, View, const
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.tir import Expr

__all__ = ["fill", "fill_halo", "halo_runs"]


def fill_halo(build: Builder, view: View) -> None:
    """Write the halo around a tensor: the first row's left part up to the last row's right part, run by run."""
    layout = view.layout
    if layout.halo is None or not any(layout.halo.pads):
        return
    stored = layout.halo.value + layout.storage.bias
    samples = layout.shape[0]
    per_sample = layout.size // samples
    with build.loop(samples) as sample:
        start = sample * per_sample
        for offset, repeats, stride, count in halo_runs(layout, per_sample):
            with build.parallel(repeats) as row:
                fill(build, view, start + offset + row * stride, count, stored)


def halo_runs(layout: Layout, per_sample: int) -> list[tuple[int, int, int, int]]:
    """(offset, repeats, stride, count) of the runs of halo elements of one sample."""
    channels = layout.shape[1]
    width = layout.shape[-1] * channels
    if len(layout.shape) == 3:
        return [(0, 1, 0, layout.base), (layout.base + width, 1, 0, per_sample - layout.base - width)]
    height, stride = layout.shape[2], layout.stride(2)
    last = layout.base + (height - 1) * stride + width
    runs = [(0, 1, 0, layout.base)]
    if height > 1:
        runs.append((layout.base + width, height - 1, stride, stride - width))
    runs.append((last, 1, 0, per_sample - last))
    return runs


def fill(build: Builder, view: View, offset: Expr, count: int, stored: int) -> None:
    """Write `count` equal stored elements from `offset` on, and nothing else."""
    element = view.layout.storage.element
    if build.isa.plain:
        with build.loop(count) as index:
            view.vstore(offset + index, const(stored, element), 1)
        return
    lanes = 4 * max(4, build.isa.lanes) // view.layout.storage.bytes
    whole, rest = divmod(count, lanes)
    if whole:
        with build.loop(whole) as index:
            view.vstore(offset + index * lanes, const(stored, element, lanes), lanes)
    done = whole * lanes
    while rest:
        lanes = 1 << (rest.bit_length() - 1)
        view.vstore(offset + done, const(stored, element, lanes), lanes)
        done, rest = done + lanes, rest - lanes

"""Copies between the user's arrays and the arena: integer inputs and outputs."""

from __future__ import annotations

from edgeconv.codegen.builder import Builder, View, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.interleave import interleave, positions_together
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.plan import Load, Step, Store

__all__ = ["copy_scalar"]


def copy_scalar(build: Builder, source: View, target: View) -> None:
    """Copy a tensor element by element, in the order of the target's memory, from one layout and storage to another."""
    shape = target.layout.shape
    order = sorted(range(len(shape)), key=lambda axis: -_outermost_stride(target.layout, axis))
    exact = "float32" if target.layout.storage.element == "float32" else "int64"
    with build.parallel_nest([shape[axis] for axis in order]) as ordered:
        indices = [ordered[order.index(axis)] for axis in range(len(shape))]
        target.store(indices, source.load(indices, exact))


def _outermost_stride(layout: Layout, axis: int) -> int:
    return max((stride for extent, stride in layout.axes[axis] if extent > 1), default=0)


def _is_plain_load(isa: Isa, step: Step) -> bool:
    """Whether the input lies in the arena in the user's order, row by row."""
    layout = step.layout(step.output)
    in_order = layout.order == "row_major" or layout.shape[1] == 1
    return isa.lanes > 1 and in_order and layout.rows is not None and layout.storage.element != "int64"


@kernel(Load, "load.rows", can_handle=_is_plain_load, priority=10, parallel=True)
def _load_rows(build: Builder, step: Step) -> str:
    source, target = build.user_view("input", step.output), build.view(step.output)
    rows = target.layout.rows
    assert rows is not None
    number, length, stride = rows
    bias = target.layout.storage.bias
    each_row, each_part = build.sharing([number, length // (2 * build.isa.lanes)])
    with each_row(number) as row:
        for start, repeats, lanes in _chunks(length, 2 * build.isa.lanes):
            with each_part(repeats) as index:
                at = start + index * lanes
                wide = source.vload(row * length + at, lanes).astype(_of("int32", lanes))
                value = wide + const(bias, "int32", lanes) if bias else wide
                stored = value.astype(_of(target.layout.storage.element, lanes))
                target.vstore(target.layout.base + row * stride + at, stored, lanes)
    return f"{2 * build.isa.lanes} elements at a time"


def _of(element: str, lanes: int) -> str:
    return element if lanes == 1 else f"{element}x{lanes}"


def _chunks(length: int, lanes: int) -> list[tuple[int, int, int]]:
    """(start, repeats, lanes): whole vectors, then powers of two, so that nothing beyond the row is read."""
    whole, rest = divmod(length, lanes)
    chunks = [(0, whole, lanes)] if whole else []
    start = whole * lanes
    while rest:
        size = 1 << (rest.bit_length() - 1)
        chunks.append((start, 1, size))
        start, rest = start + size, rest - size
    return chunks


def _interleaves(isa: Isa, step: Step) -> bool:
    """Whether shuffles put the channels of the input side by side."""
    layout = step.layout(step.output)
    if isa.lanes == 1 or layout.order != "channels_last":
        return False
    together = positions_together(isa, layout.storage.element, layout.shape[1])
    return 0 < together <= layout.shape[-1]


@kernel(Load, "load.interleaved", can_handle=_interleaves, priority=5, parallel=True)
def _load_interleaved(build: Builder, step: Step) -> str:
    y = build.view(step.output)
    storage, channels = y.layout.storage, y.layout.shape[1]
    interleave(build, build.user_view("input", step.output), y, flip=storage.bias != 0)
    return f"{channels} channels of {positions_together(build.isa, storage.element, channels)} positions at a time"


@kernel(Load, "load.scalar", parallel=True)
def _load(build: Builder, step: Step) -> str:
    copy_scalar(build, build.user_view("input", step.output), build.view(step.output))
    return "element by element"


@kernel(Store, "store.scalar", parallel=True)
def _store(build: Builder, step: Step) -> str:
    copy_scalar(build, build.view(step.output), build.user_view("output", step.output))
    return "element by element"

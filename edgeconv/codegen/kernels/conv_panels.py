"""Convolution by panels of output channels over channels-last rows (instruction sets with vectors)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, Loop, View, bind
from edgeconv.codegen.isa.base import Dot, Isa
from edgeconv.codegen.kernels.conv import conv_constants
from edgeconv.codegen.kernels.conv_grouped import (
    choose_merge,
    group_panels,
    merged_weights,
    usable_merges,
    vectors_together,
)
from edgeconv.codegen.kernels.dense_blocking import choose_panel, choose_tile
from edgeconv.codegen.kernels.long_products import made_signed, split_panels
from edgeconv.codegen.kernels.panels import Bucket, Panel, cut_panels, make_buckets
from edgeconv.codegen.kernels.product import (
    Product,
    Runs,
    choose_dot,
    may_split,
    product_fits,
    widened,
)
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.starts import started_bias
from edgeconv.codegen.kernels.swept_product import SweptProduct
from edgeconv.codegen.kernels.tiles import pairs_rows, rank_rows, sequel_pays
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.plan import Step
from edgeconv.codegen.sequels import in_place_over
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

__all__ = ["Geometry", "conv_geometry", "stored_bias", "stored_range"]

_FEWEST_DENSE_CHANNELS = 8


@dataclass(frozen=True)
class Geometry:
    """A convolution as rows of equally spaced windows.

    Attributes:
        rows, row_length: output rows, and positions along one.
        x_row, x_position: stored elements between windows of successive rows, and positions.
        y_row: stored elements between output rows.
        x_first: offset of the first window, in elements from the start of x's memory.
    """

    rows: int
    row_length: int
    x_row: int
    x_position: int
    y_row: int
    x_first: int
    runs: Runs


def stored_bias(step: Step, operator: ops.Conv) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Weights (O, I, kernel…), and the bias that turns sums of stored activations into accumulators."""
    w, bias = conv_constants(step)
    shift = operator.x_zero_point + step.layout(operator.x).storage.bias
    return w, bias - shift * w.reshape(len(w), -1).sum(1)


def stored_range(step: Step, name: str) -> tuple[int, int]:
    """Smallest and largest stored number of a tensor."""
    type_, bias = step.type(name).dtype, step.layout(name).storage.bias
    return type_.lo + bias, type_.hi + bias


def _dot(isa: Isa, stored: str, w: NDArray[np.int64]) -> Dot | None:
    """The dot product; for a few output channels alone it would not pay to widen the activations."""
    return choose_dot(isa, stored, w, dense=len(w) >= _FEWEST_DENSE_CHANNELS)


def _bucketed(
    step: Step, panels: list[Panel], dot: Dot, lanes: int, positions: int
) -> Iterator[tuple[Bucket, tuple[Panel, ...]]]:
    """Buckets of the panels that a tile covers, and the panels that their weights are packed as."""

    def shape(panel: Panel) -> tuple[int, bool]:
        return panel.blocks, dot.joins and pairs_rows(panel.count, lanes, positions)

    for blocks, paired in sorted({shape(panel) for panel in panels}, reverse=True):
        packs = tuple(panel for panel in panels if shape(panel) == (blocks, paired))
        covered = list(packs)
        if dot.tile_blocks:
            together = -(-blocks // -(-blocks // dot.tile_blocks))
            covered = [panel for pack in packs for panel in cut_panels(pack.first, pack.count, lanes, together)]
        for bucket in make_buckets(step, covered, lanes):
            halves = paired and pairs_rows(bucket.panels[0].count, lanes, positions)
            yield replace(bucket, paired=halves), bucket.panels if dot.swept_rows else packs


def _can_handle(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if isa.lanes == 1 or not isinstance(operator, ops.Conv) or str(operator.dtype) != "i32":
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    if x.order != "channels_last" or y.order != "channels_last" or x.shape[0] != 1:
        return False
    if any(operator.pads) and (x.halo is None or not x.halo.covers(operator.pads, operator.x_zero_point)):
        return False
    w, bias = stored_bias(step, operator)
    dot = _dot(isa, x.storage.element, w)
    if dot is None or not product_fits(dot, w, bias, stored_range(step, operator.x)):
        return False
    axis_fits = step.requant is None or step.requant.linear.channels == 1 or step.requant.linear.axis == 1
    return axis_fits and bool(usable_merges(isa, step, operator.groups, len(w)))


def _goes_on(isa: Isa, step: Step) -> bool:
    """Whether the step's sequel pays at the end of its tiles; that of accumulators does: they stay in registers."""
    if step.requant is None:
        return True
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    dot = _dot(isa, step.layout(operator.x).storage.element, conv_constants(step)[0])
    assert dot is not None
    w = step.type(operator.w).shape
    x, y = step.layout(operator.x), step.layout(step.output)
    geometry = conv_geometry(step, operator, x, y, w[1])
    blocks = vectors_together(w[0] // operator.groups, isa)
    window = geometry.runs.number * geometry.runs.groups(dot.group)
    rows = rank_rows(isa, dot, dot.tile_blocks or blocks, False, window, geometry.row_length)[0]
    return sequel_pays(rows, geometry.row_length)


def _in_place(isa: Isa, step: Step) -> tuple[str, ...]:
    """Tiles must not overlap then, so the last one of a row is shorter; a vector for two positions needs both."""
    channels, positions = step.type(step.output).shape[1], step.type(step.output).shape[-1]
    assert isinstance(step.operator, ops.Conv)
    whole = channels // step.operator.groups % isa.lanes == 0
    return in_place_over(isa, step) if whole or positions % 2 == 0 else ()


def conv_geometry(step: Step, operator: ops.Conv, x: Layout, y: Layout, channels: int) -> Geometry:
    """The rows of windows of a convolution that reads `channels` neighbouring channels at a time."""
    window = operator.window(step.type(operator.w))
    strides = [x.stride(2 + axis) for axis in range(window.rank)]
    first = x.base - sum(window.begin(axis) * strides[axis] for axis in range(window.rank))
    whole_pixels = channels == x.shape[1]
    if window.dilations[-1] == 1 and whole_pixels:
        last = Runs((), (), window.kernel[-1] * channels)
    else:
        last = Runs((window.kernel[-1],), (window.dilations[-1] * strides[-1],), channels)
    counts, run_strides = last.counts, last.strides
    if window.rank == 2:
        counts = (window.kernel[0], *counts)
        run_strides = (window.dilations[0] * strides[0], *run_strides)
    runs = Runs(counts, run_strides, last.length)
    position = window.strides[-1] * strides[-1]
    if window.rank == 1:
        return Geometry(1, y.shape[2], 0, position, 0, first, runs)
    height, width = y.shape[2:]
    pointwise = set(window.kernel + window.strides) == {1} and not any(window.pads)
    others = [step.layout(name) for name in step.others]
    if pointwise and all(layout.rows is not None and layout.rows[0] == 1 for layout in (x, y, *others)):
        return Geometry(1, height * width, 0, position, 0, first, Runs((), (), last.length))
    return Geometry(height, width, window.strides[0] * strides[0], position, y.stride(2), first, runs)


@kernel(
    *(ops.Conv, "conv.panels"),
    can_handle=_can_handle,
    priority=10,
    fuses=True,
    goes_on=_goes_on,
    in_place=_in_place,
    parallel=True,
    by_rows=True,
)
def _emit(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Conv)
    isa, y = build.isa, step.layout(step.output)
    w, bias = stored_bias(step, operator)
    x = build.view(operator.x)
    dot = _dot(isa, x.layout.storage.element, w)
    assert dot is not None
    if dot.activation != x.layout.storage.element:
        x = widened(build, x)
    merge = _choose_merge(build, step, operator, dot, x.layout, w)
    groups, w = operator.groups // merge, merged_weights(w, operator.groups, merge)
    geometry = conv_geometry(step, operator, x.layout, y, w.shape[1])
    # (O, run, element of the run): taps outermost first, channels innermost.
    rows = np.moveaxis(w, 1, -1).reshape(len(w), geometry.runs.number, -1)
    stored, per_group = stored_range(step, operator.x), len(w) // groups
    window, together = geometry.runs.number * geometry.runs.groups(dot.group), vectors_together(per_group, isa)
    together = choose_panel(build, step, "conv.panels", dot, per_group, together, window, geometry.row_length)
    panels = group_panels(isa, groups, per_group, together)
    split = split_panels(isa, dot, panels, rows, stored, geometry.row_length)
    signed = made_signed(build, x) if any(part.activation == "int8" for part, _ in split) else x
    targets: list[_Target] = []
    for dot, panels in split:
        source = x if dot.activation == x.layout.storage.element else signed
        begin, started = started_bias(step, dot, w, bias, stored)
        length, splits = geometry.runs.groups(dot.group), may_split(dot, w, begin, stored)
        for bucket, packs in _bucketed(step, panels, dot, isa.lanes, geometry.row_length):
            label, counts = f".{len(targets)}", (length, length * geometry.runs.number)
            height, chains = choose_tile(
                *(build, step, f"conv.panels{label}", dot, bucket.blocks, bucket.paired, counts, geometry.row_length),
                splits=splits,
            )
            product = (SweptProduct if dot.swept_rows else Product)(
                build, step, bucket, dot, geometry.runs, source, rows, begin, label, packs, started=started
            )
            targets.append(_Target(build, step, bucket, product, groups, geometry, y, w.shape[1], height, chains))
    tiles = {target.rows for target in targets}
    each_row, each_tile = build.sharing([geometry.rows, geometry.row_length // max(tiles)])
    once = step.works_in_place
    with each_row(geometry.rows) as row:
        for height in sorted(tiles, reverse=True):
            members = [target for target in targets if target.rows == height]
            _emit_row(each_tile, geometry, row, height, members, once=once)
    tile = ", ".join(sorted({target.tile for target in targets}))
    names = "; ".join(f"{dot.name} ({geometry.runs.groups(dot.group)} groups)" for dot, _ in split)
    merged = f", {merge} groups together" if merge > 1 else ""
    return f"{names}, tile {tile}, {geometry.runs.number} runs{merged}"


def _choose_merge(build: Builder, step: Step, operator: ops.Conv, dot: Dot, x: Layout, w: NDArray[np.int64]) -> int:
    """How many groups are computed as one."""
    if operator.groups == 1:
        return 1
    y = step.layout(step.output)

    def window(merge: int) -> int:
        runs = conv_geometry(step, operator, x, y, merge * w.shape[1]).runs
        return runs.number * runs.groups(dot.group)

    row_length = conv_geometry(step, operator, x, y, w.shape[1]).row_length
    return choose_merge(build, step, dot, operator.groups, len(w), window, row_length)


def _emit_row(
    each_tile: Loop, geometry: Geometry, row: Expr, height: int, targets: list[_Target], *, once: bool
) -> None:
    whole, rest = divmod(geometry.row_length, height)
    if once and rest:
        with each_tile(whole) as tile:
            for target in targets:
                target.emit(row, tile * height)
        with each_tile(1):
            for target in targets:
                replace(target, rows=rest).emit(row, whole * height)
        return
    # The last tile is moved back inside the row: computing a few positions twice is cheaper than a second tile.
    last = geometry.row_length - height
    with each_tile(-(-geometry.row_length // height)) as tile:
        if geometry.row_length % height == 0 or isinstance(tile, int):
            start = tile * height
        else:
            start = bind(tirx.min(tile * height, last))
        for target in targets:
            target.emit(row, start)


@dataclass(frozen=True)
class _Target:
    """One bucket of a convolution: where its panels read and write; `rows` output positions are a tile."""

    build: Builder
    step: Step
    bucket: Bucket
    product: Product
    groups: int
    geometry: Geometry
    y: Layout
    group_channels: int
    rows: int
    chains: int

    @property
    def tile(self) -> str:
        """Output positions × vectors of channels, for reports."""
        whole = self.bucket.blocks - self.bucket.paired
        return f"{self.rows}×{whole or ''}{'½' if self.bucket.paired else ''}"

    def emit(self, row: Expr, start: Expr) -> None:
        """All panels of the bucket at output positions start … start + rows - 1 of a row."""
        geometry, height = self.geometry, self.rows
        channels = self.y.shape[1]
        with self.build.loop(len(self.bucket.panels)) as panel:
            x_channel, y_channel = self._channels(panel)
            x_start = geometry.x_first + row * geometry.x_row + start * geometry.x_position + x_channel
            first = start * channels + y_channel
            y_start = bind(self.y.base + row * geometry.y_row + first)
            others = [_offsets(bind(place + first), channels) for place in self._others(row)]
            windows = [x_start + index * geometry.x_position for index in range(height)]
            dense = self.bucket.panels[0].count == channels
            self.product.tile(panel, windows, _offsets(y_start, channels), self.chains, dense, others)

    def _others(self, row: Expr) -> list[Expr]:
        """Where a row begins in the tensors that the sequel adds."""
        layouts = [self.step.layout(name) for name in self.step.others]
        flat = self.geometry.y_row == 0
        return [layout.base + (0 if flat else row * layout.stride(2)) for layout in layouts]

    def _channels(self, panel: Expr) -> tuple[Expr, Expr]:
        """First input channel and first output channel of a panel: affine where they are, else from a table."""
        first = np.array([p.first for p in self.bucket.panels])
        per_group = self.y.shape[1] // self.groups
        source = first // per_group * self.group_channels
        return self._looked_up(panel, source, "x"), self._looked_up(panel, first, "y")

    def _looked_up(self, panel: Expr, values: NDArray[np.int64], label: str) -> Expr:
        steps = np.unique(np.diff(values))
        if len(values) == 1:
            return int(values[0])
        if len(steps) == 1:
            return int(values[0]) + panel * int(steps[0])
        table: View = self.build.constant(f"{self.step.output}/channels.{label}", values.astype(np.int32))
        return bind(table.load([panel]))


def _offsets(first: Expr, stride: int) -> Callable[[int], Expr]:
    return lambda row: first + row * stride

"""Which steps are fused by rows, and a step as it stands in one band: types, layouts and memory of a few rows.

A chain is worth it where it keeps large activations from existing whole; its rolling buffers should stay in the cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from edgeconv.codegen.bands import Chain, Part, Window, banded_operator, make_chain, reads_by_rows
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels import registry
from edgeconv.codegen.layout import Halo, Layout, channels_last
from edgeconv.codegen.plan import Plan, Step
from edgeconv.ir import TensorType
from edgeconv.ir import operators as ops

__all__ = ["BandStep", "band_step", "buffer_layout", "choose_chains", "first_row"]

_ROWS = 2


@dataclass(frozen=True)
class Limits:
    """What makes a chain worth it.

    Attributes:
        heights: rows of a band of the last step, in the order in which they are tried.
        steps: the most of a chain.
        stretches: the most; each is code of its own.
        bands: the fewest.
        rows: of a convolution in a band; with fewer its tiles share no input rows.
        cache_bytes: of all rolling buffers: they share the second-level cache with weights, inputs and outputs.
        large_bytes: of a tensor that is better not whole: two of them and weights leave the second-level cache.
        part_bytes: of large tensors that must be saved for each kernel emitted: its code takes memory and cache, too.
    """

    heights: tuple[int, ...] = (16, 8, 4)
    steps: int = 10
    stretches: int = 4
    bands: int = 3
    rows: int = 2
    cache_bytes: int = 320 << 10
    large_bytes: int = 128 << 10
    part_bytes: int = 8 << 10


LIMITS = Limits()


@dataclass(frozen=True)
class BandStep(Step):
    """A step of a chain in one band: it sees only the rows of that band."""

    shapes: Mapping[str, TensorType]
    layouts: Mapping[str, Layout]

    def type(self, name: str) -> TensorType:
        """Logical type of the rows of a tensor."""
        return self.shapes.get(name) or super().type(name)

    def layout(self, name: str) -> Layout:
        """Layout of the rows of a tensor."""
        return self.layouts.get(name) or super().layout(name)


def band_step(chain: Chain, part: Part) -> BandStep | None:
    """The step of a part; None where a window is so small that it lies in the padding on both sides."""
    step = chain.steps[part.step]
    layouts = {part.made.name: _rows_of(step, part.made)}
    for window in part.read:
        pads = (0, 0)
        if isinstance(step.operator, ops.Conv) and window.name == step.operator.x:
            geometry = step.operator.window(step.type(step.operator.w))
            pads = geometry.begin(0), geometry.end(0)
        if window.count - sum(pads) < 1:
            return None
        layouts[window.name] = _rows_of(step, window, pads)
    shapes = {name: replace(step.type(name), shape=layout.shape) for name, layout in layouts.items()}
    operator = banded_operator(step.operator, part)
    return BandStep(operator, step.requant, step.output, step.forms, step.plan, shapes, layouts, sequel=step.sequel)


def _rows_of(step: Step, window: Window, pads: tuple[int, int] = (0, 0)) -> Layout:
    """The layout of the rows of a window, of which pads[0] at its begin and pads[1] at its end are padding."""
    whole, height = step.plan.layouts[window.name], window.count - sum(pads)
    if whole.order != "channels_last":
        axes = (*whole.axes[:_ROWS], ((height, whole.stride(_ROWS)),), *whole.axes[_ROWS + 1 :])
        return Layout(whole.storage, axes, whole.base, whole.size, "view")
    return _image(whole, height, pads)


def _image(whole: Layout, height: int, pads: tuple[int, int]) -> Layout:
    """`height` rows of a channels-last tensor with its columns of padding, and pads[0] and pads[1] rows of it."""
    samples, channels, _, width = whole.shape
    halo = whole.halo or Halo((0,) * 4, 0)
    around = pads[0], halo.pads[1], pads[1], halo.pads[3]
    return channels_last((samples, channels, height, width), whole.storage, Halo(around, halo.value))


def buffer_layout(whole: Layout, rows: int) -> Layout:
    """The layout of a rolling buffer of `rows` rows, rows of padding among them."""
    return _image(whole, rows, (0, 0))


def first_row(whole: Layout) -> int:
    """The row of memory at which row 0 of an image lies (for a rolling buffer, row 0 of the buffer)."""
    return whole.halo.pads[0] if whole.halo is not None and whole.order == "channels_last" else 0


def choose_chains(plan: Plan, isa: Isa) -> list[Chain]:
    """The chains that together save most, in order; no step is in two."""
    if isa.lanes == 1:
        return []
    best: list[tuple[int, tuple[Chain, ...]]] = [(0, ())]  # of the first steps of the plan
    for end in range(1, len(plan.steps) + 1):
        best.append(best[-1])
        for chain, value in _ending_at(plan, isa, end - 1, best):
            before = best[chain.first]
            best[end] = max(best[end], (before[0] + value, (*before[1], chain)), key=lambda choice: choice[0])
    return list(best[-1][1])


def _ending_at(
    plan: Plan, isa: Isa, last: int, best: list[tuple[int, tuple[Chain, ...]]]
) -> Iterator[tuple[Chain, int]]:
    """Chains that end with a step, with what they save; those that cannot become the best choice are left out."""
    total = plan.program.types[plan.steps[last].output].shape[_ROWS] if reads_by_rows(plan.steps[last], plan) else 0
    heights = [height for height in LIMITS.heights if height * LIMITS.bands <= total]
    most = best[last + 1][0]
    for first in range(last - 1, max(-1, last - LIMITS.steps), -1):
        if not heights or not reads_by_rows(plan.steps[first], plan):
            return
        for height in heights:
            chain = make_chain(plan, first, last, height)
            value = 0 if chain is None else _saved(plan, chain)
            if chain is not None and value > 0 and best[first][0] + value > most and _has_kernels(isa, chain):
                most = best[first][0] + value
                yield chain, value
                break


def _saved(plan: Plan, chain: Chain) -> int:
    """Bytes of large tensors that need not exist, less what the code of the bands costs; 0 beyond the limits."""
    buffers = {name: buffer_layout(plan.layouts[name], rows).bytes for name, rows in chain.buffers.items()}
    usual = max(chain.stretches, key=lambda stretch: stretch.count).band
    convolutions = [part for part in usual.parts if isinstance(chain.steps[part.step].operator, ops.Conv)]
    if sum(buffers.values()) > LIMITS.cache_bytes or len(chain.stretches) > LIMITS.stretches:
        return 0
    if any(part.made.count < LIMITS.rows for part in convolutions):
        return 0
    whole = {name: plan.layouts[name].bytes for name in buffers}
    saved = sum(whole[name] - buffers[name] for name in buffers if whole[name] >= LIMITS.large_bytes)
    parts = sum(len(stretch.band.parts) for stretch in chain.stretches)
    return max(0, saved - parts * LIMITS.part_bytes)


def _has_kernels(isa: Isa, chain: Chain) -> bool:
    """Whether kernels that never ask where the image ends handle every part."""
    for stretch in chain.stretches:
        for part in stretch.band.parts:
            step = band_step(chain, part)
            if step is None or not registry.select(isa, step).by_rows:
                return False
    return True

"""The code of a chain of steps that is computed band by band (edgeconv.codegen.bands says what a band is)."""

from __future__ import annotations

from edgeconv.codegen.bands import Band, Chain, Window
from edgeconv.codegen.builder import Builder, bind
from edgeconv.codegen.fusion import band_step, first_row
from edgeconv.codegen.halo import fill, fill_halo
from edgeconv.codegen.kernels.boxes import copy_run
from edgeconv.codegen.kernels.registry import select
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.report import KernelReport, Reporter
from edgeconv.codegen.tir import Expr

__all__ = ["emit_chain"]

_ROWS = 2


def emit_chain(build: Builder, chain: Chain) -> list[KernelReport]:
    """Emit all bands; the padding around whole outputs and beside rolling buffers is written first."""
    reporter = Reporter(build.blob)
    reports: dict[int, KernelReport] = {}
    for step in chain.steps:
        fill_halo(build, build.view(step.output))
    # The reports are those of the most frequent band.
    usual = max(chain.stretches, key=lambda stretch: stretch.count)
    for stretch in chain.stretches:
        with build.loop(stretch.count) as index:
            _move_rows(build, stretch.band)
            for part in stretch.band.parts:
                banded = band_step(chain, part)
                assert banded is not None
                starts = {window.name: _start(build, window, index) for window in (part.made, *part.read)}
                chosen = select(build.isa, banded)
                with build.rows(banded.layouts, starts), reporter.constants_of(banded):
                    detail = chosen.emit(build, banded)
                build.end_step()
                if stretch is usual or part.step not in reports:
                    note = f"{detail}, in bands of {part.made.count} rows"
                    reports[part.step] = reporter.report(chain.steps[part.step], chosen.name, note)
    return [reports[number] for number in range(len(chain.steps))]


def _row_stride(layout: Layout) -> int:
    return layout.stride(_ROWS)


def _start(build: Builder, window: Window, index: Expr) -> Expr:
    """Elements from the start of a tensor's memory to the first row of a window."""
    layout = build.plan.layouts[window.name]
    row = window.row + first_row(layout) + index * window.advance
    return (
        bind(row * _row_stride(layout)) if window.advance and not isinstance(index, int) else row * _row_stride(layout)
    )


def _move_rows(build: Builder, band: Band) -> None:
    """Bring the rows that are still needed to the front of their buffers, and write rows of padding."""
    for move in band.moves:
        view = build.view(move.name)
        stride = _row_stride(view.layout)
        copy_run(build, view, move.source * stride, view, move.target * stride, move.count * stride)
    for window in band.fills:
        view = build.view(window.name)
        layout = view.layout
        assert layout.halo is not None
        stride = _row_stride(layout)
        fill(build, view, window.row * stride, window.count * stride, layout.halo.value + layout.storage.bias)

"""The whole program as one TIR function with a raw C signature."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgeconv.codegen.blob import Blob
from edgeconv.codegen.builder import Builder, View, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.registry import select
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.phases import Phases
from edgeconv.codegen.plan import Plan, Step, Store
from edgeconv.codegen.tir import Expr, IRBuilder, T

__all__ = ["Emitted", "KernelReport", "emit_function", "emit_step"]

_RAW_C_FUNCTION = 2  # TVM's calling convention "device kernel launch": plain arguments, no packed-function ABI


@dataclass(frozen=True)
class KernelReport:
    """What was generated for one step: the tensor written, operators, kernel, tiling, and bytes of its constants."""

    output: str
    operators: tuple[str, ...]
    kernel: str
    detail: str
    constant_bytes: int


@dataclass(frozen=True)
class Emitted:
    """A TIR function, the scratch it needs, and the number of its phases (0: it is not shared)."""

    function: object
    scratch_bytes: int
    phases: int
    report: tuple[KernelReport, ...]


def emit_function(
    plan: Plan, blob: Blob, isa: Isa, symbol: str, only: Step | None = None, *, shared: bool = False
) -> Emitted:
    """void symbol(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch, int64_t n).

    Args:
        only: the one step that the function is to hold, run n times on the first sample, for measurements.
        shared: several threads can run it together; the last parameter is `const edge_part *` (edge_model.h) then.
    """
    report: list[KernelReport] = []
    with IRBuilder() as ir, T.prim_func(s_tir=False):
        T.func_name(symbol)
        T.func_attr({"global_symbol": symbol, "calling_conv": _RAW_C_FUNCTION})
        parameters = [T.arg(name, T.ptr("int64")) for name in ("in", "out")]
        parameters += [T.arg(name, T.ptr("uint8")) for name in ("weights", "scratch")]
        last = T.arg("part", T.ptr("int64")) if shared else T.arg("n", T.int64())
        phases = Phases(last) if shared else None
        build = Builder(isa, plan, blob, parameters, const(0, "int64"), phases)
        with _samples(phases, last) as sample:
            build.set_sample(const(0, "int64") if only else sample)
            report += [emit_step(build, step) for step in ([only] if only else plan.steps)]
    scratch_bytes = plan.arena_bytes + build.temporary_bytes
    return Emitted(ir.get(), scratch_bytes, phases.count if phases else 0, tuple(report))


@contextmanager
def _samples(phases: Phases | None, last: Expr) -> Iterator[Expr]:
    if phases is None:
        with T.serial(0, last) as sample:
            yield sample
        return
    with T.serial(0, phases.end_sample - phases.first_sample) as index:
        yield T.Bind(phases.first_sample + index)


def emit_step(build: Builder, step: Step) -> KernelReport:
    """Emit the kernel of a step and the halo around what it writes."""
    chosen = select(build.isa, step)
    build.open_phase(parallel=chosen.parallel)
    before = set(build.blob.sections)
    detail = chosen.emit(build, step)
    if not isinstance(step.operator, Store):
        fill_halo(build, build.view(step.output))
    build.end_step()
    added = [build.blob.sections[name][1] for name in build.blob.sections if name not in before]
    keyword = getattr(step.operator, "keyword", type(step.operator).__name__.lower())
    operators = (keyword, "requant") if step.requant else (keyword,)
    return KernelReport(step.output, operators, chosen.name, detail, sum(added))


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
        for offset, repeats, stride, count in _halo_runs(layout, per_sample):
            with build.parallel(repeats) as row:
                fill(build, view, start + offset + row * stride, count, stored)


def _halo_runs(layout: Layout, per_sample: int) -> list[tuple[int, int, int, int]]:
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

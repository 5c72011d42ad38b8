"""The whole program as one TIR function with a raw C signature."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edgeconv.codegen.bands import Chain
from edgeconv.codegen.blob import Blob
from edgeconv.codegen.builder import Builder, const
from edgeconv.codegen.choices import Choices
from edgeconv.codegen.emit_bands import emit_chain
from edgeconv.codegen.halo import fill_halo
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.registry import select
from edgeconv.codegen.phases import Phases
from edgeconv.codegen.plan import Plan, Step, Store
from edgeconv.codegen.report import KernelReport, Reporter
from edgeconv.codegen.tir import Expr, IRBuilder, T, tirx

__all__ = ["Emitted", "KernelReport", "emit_function", "emit_step"]

_RAW_C_FUNCTION = 2  # TVM's calling convention "device kernel launch": plain arguments, no packed-function ABI


@dataclass(frozen=True)
class Emitted:
    """A TIR function, the scratch it needs, and the number of its phases (0: it is not shared)."""

    function: object
    scratch_bytes: int
    phases: int
    report: tuple[KernelReport, ...]


def emit_function(
    plan: Plan,
    blob: Blob,
    isa: Isa,
    symbol: str,
    only: Step | Chain | None = None,
    *,
    shared: bool = False,
    choices: Choices | None = None,
) -> Emitted:
    """void symbol(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch, int64_t n).

    Args:
        only: the one step, or chain of steps, that the function is to hold, run n times on the first sample, for
            measurements.
        shared: several threads can run it together; the last parameter is `const edge_part *` (edge_model.h) then.
        choices: answers the kernels' questions; the cycle models' picks when None.
    """
    report: list[KernelReport] = []
    with IRBuilder() as ir, T.prim_func(s_tir=False):
        T.func_name(symbol)
        T.func_attr({"global_symbol": symbol, "calling_conv": _RAW_C_FUNCTION})
        parameters = [T.arg(name, T.ptr("int64")) for name in ("in", "out")]
        parameters += [T.arg(name, T.ptr("uint8")) for name in ("weights", "scratch")]
        last = T.arg("part", T.ptr("int64")) if shared else T.arg("n", T.int64())
        phases = Phases(last) if shared else None
        build = Builder(isa, plan, blob, parameters, const(0, "int64"), phases, choices)
        with _samples(phases, last) as sample:
            build.set_sample(const(0, "int64") if only else sample)
            for unit in [only] if only else plan.units:
                report += _emit_unit(build, unit)
    scratch_bytes = plan.arena_bytes + build.temporary_bytes
    function = _with_functions(ir.get(), build.llvm_functions)
    return Emitted(function, scratch_bytes, phases.count if phases else 0, tuple(report))


def _with_functions(function: Any, texts: Mapping[str, str]) -> object:
    """The function, with functions in LLVM's text that it calls beside it."""
    if not texts:
        return function
    text = "\n".join(texts.values())
    return function.with_body(tirx.AttrStmt(tirx.const(0), "pragma_import_llvm", text, function.body))


@contextmanager
def _samples(phases: Phases | None, last: Expr) -> Iterator[Expr]:
    if phases is None:
        with T.serial(0, last) as sample:
            yield sample
        return
    with T.serial(0, phases.end_sample - phases.first_sample) as index:
        yield T.Bind(phases.first_sample + index)


def _emit_unit(build: Builder, unit: Step | Chain) -> list[KernelReport]:
    """A step, or a chain of them by bands."""
    return emit_chain(build, unit) if isinstance(unit, Chain) else [emit_step(build, unit)]


def emit_step(build: Builder, step: Step) -> KernelReport:
    """Emit the kernel of a step and the halo around what it writes."""
    chosen, reporter = select(build.isa, step), Reporter(build.blob)
    build.open_phase(parallel=chosen.parallel)
    with reporter.constants_of(step):
        detail = chosen.emit(build, step)
    if not isinstance(step.operator, Store):
        fill_halo(build, build.view(step.output))
    build.end_step()
    return reporter.report(step, chosen.name, detail)

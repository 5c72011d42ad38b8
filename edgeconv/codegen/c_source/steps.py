"""The steps of a plan as C functions."""

from __future__ import annotations

import re

from edgeconv.codegen.c_source import MEMBERS, SourceStep
from edgeconv.codegen.c_source.builder import CBuilder
from edgeconv.codegen.c_source.lower import function_body
from edgeconv.codegen.emit import KernelReport, emit_step
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import IRBuilder, T, tirx

__all__ = ["emit_steps"]

_C_FUNCTION = {"calling_conv": 2}  # TVM's "device kernel launch": plain arguments, no packed-function ABI


def emit_steps(build: CBuilder) -> tuple[list[SourceStep], list[KernelReport]]:
    """Functions and kernel reports, in execution order."""
    printed, reports = [], []
    for number, step in enumerate(build.plan.steps, 1):
        body, report = _emit(build, number, step)
        printed.append(body)
        reports.append(report)
    names = {constant.variable: name for constant, name in build.named_constants()}
    names |= {f"edge_scratch_{member}": f"scratch->{member}" for member in MEMBERS.values()}
    steps = []
    for number, (step, body, report) in enumerate(zip(build.plan.steps, printed, reports, strict=True), 1):
        steps.append(
            SourceStep(
                name=step_name(number, report.operators),
                comment=_comment(step, report),
                body=re.sub(r"\bedge_(?:constant|scratch)_\w+", lambda match: names[match[0]], body),
                inputs=_indices(body, "input"),
                outputs=_indices(body, "output"),
                uses_scratch="edge_scratch_" in body,
            )
        )
    return steps, reports


def step_name(number: int, operators: tuple[str, ...]) -> str:
    """The name of a step's function."""
    return "_".join([f"step_{number:02d}", *operators])


def _emit(build: CBuilder, number: int, step: Step) -> tuple[str, KernelReport]:
    symbol = f"step_{number}"
    with IRBuilder() as ir, T.prim_func(s_tir=False):
        T.func_name(symbol)
        T.func_attr({"global_symbol": symbol, **_C_FUNCTION})
        build.begin_step(number)
        report = emit_step(build, step)
    body = ir.get().body
    function = tirx.PrimFunc(list(tirx.analysis.undefined_vars(body)), body)
    for key, value in {"global_symbol": symbol, **_C_FUNCTION}.items():
        function = function.with_attr(key, value)
    return function_body(function, symbol), report


def _comment(step: Step, report: KernelReport) -> str:
    type_ = step.type(step.output)
    shape = ",".join(map(str, type_.shape))
    operators = (step.operator, step.requant, *(later.operator for later in step.sequel))
    origins = dict.fromkeys(o.origin for o in operators if o is not None and o.origin)
    made = f"; ONNX: {', '.join(origins)}" if origins else ""
    return f"{step.output}: {type_.dtype}[{shape}], {report.kernel}, {report.detail}{made}"


def _indices(body: str, kind: str) -> tuple[int, ...]:
    return tuple(sorted({int(index) for index in re.findall(rf"\bedge_{kind}_(\d+)\b", body)}))

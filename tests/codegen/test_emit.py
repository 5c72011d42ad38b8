"""Functions for single steps, by which scripts/profile_steps.py measures them."""

from __future__ import annotations

from edgeconv.codegen.blob import Blob
from edgeconv.codegen.emit import emit_function
from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels import load_all
from edgeconv.codegen.plan import make_plan

from .test_plan import residual


def test_each_step_alone_in_the_memory_of_the_whole() -> None:
    load_all()
    parts = residual()
    plan = make_plan(parts.program(), parts.forms, ISAS["avx2"], fuse=True)
    alone = [emit_function(plan, Blob(), ISAS["avx2"], "alone", only=step) for step in plan.steps]
    whole = emit_function(plan, Blob(), ISAS["avx2"], "whole")
    assert [report for emitted in alone for report in emitted.report] == list(whole.report)
    assert max(emitted.scratch_bytes for emitted in alone) == whole.scratch_bytes

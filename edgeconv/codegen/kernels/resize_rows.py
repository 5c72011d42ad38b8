"""Nearest-neighbour resampling of channels-last tensors: one run of channels per output position."""

from __future__ import annotations

import numpy as np

from edgeconv.codegen.builder import Builder, bind
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.boxes import copy_run
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr
from edgeconv.ir import operators as ops


def _can_resize(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.Resize) or isa.lanes == 1:
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    return x.order == y.order == "channels_last" and x.storage == y.storage


@kernel(ops.Resize, "resize.rows", priority=10, can_handle=_can_resize, parallel=True, by_rows=True)
def _resize(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Resize)
    x, y = build.view(operator.x), build.view(step.output)
    samples, channels, *spatial = y.layout.shape
    # Element offsets of the source positions along each axis, so that the loops multiply nothing.
    tables = [
        build.constant(f"{step.output}/offsets{axis}", np.array(indices, np.int32) * x.layout.stride(2 + axis))
        for axis, indices in enumerate(operator.indices)
    ]
    with build.parallel_nest([samples, *spatial]) as (sample, *position):
        source: Expr = x.layout.offset([sample, *(0,) * (len(spatial) + 1)])
        for table, index in zip(tables, position, strict=True):
            source = source + bind(table.load([index]))
        copy_run(build, x, source, y, y.layout.offset([sample, 0, *position]), channels)
    return f"runs of {channels} channels"

"""Operators on single elements and rows: float32 division at the input, softmax with a thread for each row."""

from __future__ import annotations

import numpy as np

from edgeconv.codegen.builder import Builder, bind
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.loops import each_element
from edgeconv.codegen.kernels.quantize_rows import LARGEST, quantized
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.rows_scalar import softmax_rows
from edgeconv.codegen.plan import Step
from edgeconv.ir import operators as ops


def _can_quantize(isa: Isa, step: Step) -> bool:
    operator = step.operator
    assert isinstance(operator, ops.Quantize)
    grid = operator.grid
    return isa.gpu and max(abs(grid.lo - grid.zero_point), abs(grid.hi - grid.zero_point)) < LARGEST


@kernel(ops.Quantize, "quantize.float", can_handle=_can_quantize, priority=30, parallel=True)
def _quantize(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Quantize)
    x, y = build.view(operator.x), build.view(step.output)
    scales = build.constant(f"{step.output}/scale", np.array(operator.scale, np.float32))
    with each_element(build, y.layout) as indices:
        scale = bind(scales.load([indices[operator.axis] if len(operator.scale) > 1 else 0], "float32"))
        value = quantized(operator, x.load(indices, "float32"), scale, 1, operator.grid.zero_point)
        y.store(indices, bind(value))
    return "float32 division"


@kernel(ops.Softmax, "softmax.threads", can_handle=lambda isa, step: isa.gpu, priority=30, parallel=True)
def _softmax(build: Builder, step: Step) -> str:
    return softmax_rows(build, step, keeps_row=False)

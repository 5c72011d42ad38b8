"""Program to pipeline: one stage per operator, requantizations inside the stages before them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.hls import elementwise, movement, pooling, products
from edgeconv.hw.hls.order import usual_order
from edgeconv.hw.hls.pipeline import Pipeline, Stream
from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import ProvedForms
from edgeconv.ir.program import describe

__all__ = ["STAGES", "build_pipeline", "require_stages"]

Adder = Callable[[Pipeline, Any], None]
STAGES: dict[type[ops.Operator], Adder] = {
    ops.Add: elementwise.add_sum,
    ops.AvgPool: pooling.add_pool,
    ops.Cast: elementwise.add_map,
    ops.Concat: movement.add_concat,
    ops.Conv: products.add_conv,
    ops.ConvTranspose: products.add_conv,
    ops.MatMul: products.add_matmul,
    ops.MaxPool: pooling.add_pool,
    ops.Mul: elementwise.add_mul,
    ops.Pad: movement.add_box,
    ops.ReduceMax: pooling.add_reduce,
    ops.ReduceMin: pooling.add_reduce,
    ops.ReduceSum: pooling.add_reduce,
    ops.Requant: elementwise.add_map,
    ops.Reshape: movement.add_renamed,
    ops.Resize: movement.add_box,
    ops.ResizeLinear: movement.add_resample,
    ops.Slice: movement.add_box,
    ops.Table: elementwise.add_map,
    ops.Threshold: elementwise.add_map,
    ops.Transpose: movement.add_renamed,
}
"""What makes the stages of each operator."""


def require_stages(core: Program) -> None:
    """Check a program of integers before anything is proved about it.

    Raises:
        UnsupportedModelError: operators that no stage exists for, all of them.
    """
    lacking = [describe(op) for op in core.operators if type(op) not in STAGES]
    if lacking:
        raise UnsupportedModelError(
            f"no stage exists for {'; '.join(lacking)}",
            expected=f"operators of: {', '.join(sorted(kind.keyword for kind in STAGES))}",
            advice="compile for a CPU (--target cpu or c), which run every operator",
        )


def build_pipeline(
    core: Program, forms: Mapping[str, ProvedForms], ranges: Mapping[str, tuple[int, int]], multipliers: int
) -> tuple[Pipeline, tuple[Stream, ...], tuple[Stream, ...]]:
    """Make stages of all operators.

    Args:
        core: a program of integers.
        ranges: reachable [lo, hi] by tensor.
        multipliers: how many may stand side by side; a stage takes fewer cycles the more it has.

    Returns:
        the pipeline, and the streams of its inputs and outputs in the program's order.

    Raises:
        UnsupportedModelError: operators that no stage exists for, all of them, or one with attributes that none has.
    """
    require_stages(core)
    pipeline = Pipeline(core, forms, ranges, _interval(core, multipliers))
    inputs = []
    for name, type_ in core.inputs.items():
        stream = pipeline.stream(name, usual_order(type_.shape))
        inputs.append(stream)
        pipeline.offer(name, stream)
    done: set[str] = set()
    for operator in core.operators:
        # What a stage before has taken along is done.
        if operator.output in done:
            continue
        before = len(pipeline.stages)
        STAGES[type(operator)](pipeline, operator)
        done.update(name for stage in pipeline.stages[before:] for name in stage.outputs)
        done.add(operator.output)
    outputs = tuple(pipeline.take(name) for name in core.outputs)
    return pipeline, tuple(inputs), outputs


def _interval(core: Program, multipliers: int) -> int:
    """The fewest cycles a sample in which all products fit a number of multipliers."""
    layers = [layer for op in core.operators if (layer := _work(core, op))]
    low = max(_words(core, name) for name in core.types)
    high = max([low, *(prod(layer) for layer in layers)])
    while low < high:
        middle = (low + high) // 2
        needed = 0
        for steps, outputs, taps in layers:
            wide, deep = products.unroll(steps, outputs, taps, middle)
            needed += wide * deep
        low, high = (low, middle) if needed <= multipliers else (middle + 1, high)
    return low


def _work(core: Program, operator: ops.Operator) -> tuple[int, int, int] | None:
    """Positions, outputs of a position, and taps of an output."""
    match operator:
        case ops.Conv() | ops.ConvTranspose():
            weights, result = core.types[operator.w].shape, core.types[operator.output].shape
            return prod(result[2:]), weights[0], prod(weights[1:])
        case ops.MatMul():
            rows, (inputs, outputs) = core.types[operator.x].shape[:-1], core.types[operator.w].shape[-2:]
            return prod(rows), outputs, inputs
    return None


def _words(core: Program, name: str) -> int:
    if name in core.constants:
        return 1
    return usual_order(core.types[name].shape).words

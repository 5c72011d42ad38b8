"""Runs a program operator by operator; every array has the sample axis in front of the program's own axes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import numpy as np

from edgeconv.errors import InputError
from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.reference import accumulate, ends, movement, reduce, rows, scaling, scan
from edgeconv.reference.context import Array, Context

_EVALUATE: dict[type[ops.Operator], Callable[..., Array]] = {
    ops.Add: scaling.add,
    ops.ArgMax: reduce.argmax,
    ops.AvgPool: accumulate.avg_pool,
    ops.Cast: movement.cast,
    ops.Concat: movement.concat,
    ops.Conv: accumulate.conv,
    ops.ConvTranspose: accumulate.conv_transpose,
    ops.Dequantize: ends.dequantize,
    ops.MatMul: accumulate.matmul,
    ops.MaxPool: movement.max_pool,
    ops.Mul: accumulate.mul,
    ops.Normalize: rows.normalize,
    ops.Pad: movement.pad,
    ops.Quantize: ends.quantize,
    ops.ReduceMax: reduce.reduce_max,
    ops.ReduceMin: reduce.reduce_min,
    ops.ReduceSum: reduce.reduce_sum,
    ops.Requant: scaling.requant,
    ops.Reshape: movement.reshape,
    ops.Resize: movement.resize,
    ops.ResizeLinear: accumulate.resize_linear,
    ops.SelectiveScan: scan.selective_scan,
    ops.Slice: movement.slice_,
    ops.Softmax: rows.softmax,
    ops.Table: scaling.table,
    ops.Threshold: scaling.threshold,
    ops.Transpose: movement.transpose,
}


def run(program: Program, inputs: Mapping[str, Array], *, keep: Collection[str] = ()) -> dict[str, Array]:
    """Apply a program to n samples.

    Args:
        inputs: one array per input, shape (n, *input shape), in the container of its type.
        keep: further tensors to return beside the outputs.

    Returns:
        The outputs, and the tensors of `keep`, by name: shape (n, *shape), each in the container of its type.

    Raises:
        InputError: a name, shape or dtype does not fit, or integers lie outside their type.
    """
    samples = _check(program, inputs)
    context = Context(program, samples)
    for name, array in inputs.items():
        context.arrays[name] = array
    wanted = {*program.outputs, *keep}
    last_use = {name: index for index, operator in enumerate(program.operators) for name in operator.operands}
    for index, operator in enumerate(program.operators):
        type_ = program.types[operator.output]
        result = _EVALUATE[type(operator)](context, operator)
        if result.shape != (samples, *type_.shape):
            result = np.broadcast_to(result, (samples, *type_.shape))
        context.arrays[operator.output] = np.ascontiguousarray(result, type_.dtype.container)
        for name in operator.operands:
            if last_use[name] == index and name not in wanted:
                context.arrays.pop(name, None)
    return {name: context[name] for name in (*program.outputs, *keep)}


def _check(program: Program, inputs: Mapping[str, Array]) -> int:
    if set(inputs) != set(program.inputs):
        raise InputError(f"inputs named {sorted(inputs)}", expected=f"{sorted(program.inputs)}")
    samples = {len(array) if array.ndim else -1 for array in inputs.values()}
    if len(samples) > 1:
        raise InputError(f"inputs hold different numbers of samples: {sorted(samples)}")
    for name, type_ in program.inputs.items():
        array = inputs[name]
        if array.shape[1:] != type_.shape or array.dtype != type_.dtype.container:
            raise InputError(
                f"input {name!r} has shape {array.shape} and dtype {array.dtype}",
                expected=f"(n, {', '.join(map(str, type_.shape))}) of {type_.dtype.container}",
            )
        outside = not type_.dtype.is_float and array.size and not type_.dtype.holds(int(array.min()), int(array.max()))
        if outside:
            raise InputError(f"input {name!r} holds {array.min()}…{array.max()}", expected=f"values of {type_.dtype}")
    return samples.pop() if samples else 1

"""A table whose values are dequantized next becomes a table of the floats: one pass instead of two, the same bits.

Where vectors look up bytes in a few instructions and dequantize rows, two such passes are faster than single elements
in one.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeconv.codegen.isa.base import Isa
from edgeconv.ir import Constant, Program, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.exact import nearest_float32

__all__ = ["fold_dequantized_tables"]

_MOST_STEPS_A_BYTE = 0.5  # with 36 for 32 bytes, two passes take as long as one that looks up floats one by one
_MOST_BITS = 8  # a larger table of floats would push activations out of the cache


def fold_dequantized_tables(program: Program, isa: Isa) -> Program:
    """The program with such tables of at most 8 bits folded; other readers of a table keep it beside the folded one."""
    quick = isa.lookup_steps <= _MOST_STEPS_A_BYTE * 4 * isa.lanes
    operators, constants = list(program.operators), dict(program.constants)
    for index, operator in enumerate(operators):
        table = _table_before(program, operator)
        if table is None or not isinstance(operator, ops.Dequantize):
            continue
        if quick and _by_vectors(program, table, operator):
            continue
        values, linear = program.constants[table.values].array, operator.linear.channel(0)
        floats = {int(v): nearest_float32(linear, [int(v)], operator.lo, operator.hi) for v in np.unique(values)}
        name = f"{operator.output}.values"
        while name in program.types or name in constants:
            name += "_"
        array = np.array([floats[int(v)] for v in values.reshape(-1)], np.float32).reshape(values.shape)
        constants[name] = Constant(dtype("f32"), array)
        operators[index] = replace(table, output=operator.output, values=name)
    return Program(program.inputs, program.outputs, tuple(operators), constants)


def _by_vectors(program: Program, table: ops.Table, dequantize: ops.Dequantize) -> bool:
    """Whether one table of bytes serves all, and one float32 product each row of the user's array."""
    from edgeconv.codegen.kernels.dequantize_float import exact_product  # which needs TVM

    values, shape = program.types[table.values], program.types[table.output].shape
    product = exact_product(dequantize, values.dtype.lo, values.dtype.hi)
    bytes_ = len(values.shape) == 1 and values.dtype.bits <= _MOST_BITS
    in_rows = len(shape) == 2 or (len(shape) in (3, 4) and shape[:2] == (1, 1))
    return bytes_ and in_rows and product is not None and product.single


def _table_before(program: Program, operator: ops.Operator) -> ops.Table | None:
    """The table that alone gives what a dequantize of one factor reads, or None."""
    if not isinstance(operator, ops.Dequantize) or len(operator.inputs) != 1 or operator.linear.channels > 1:
        return None
    table = program.producers.get(operator.inputs[0])
    narrow = isinstance(table, ops.Table) and program.types[table.x].dtype.bits <= _MOST_BITS
    return table if narrow and isinstance(table, ops.Table) else None

"""Seeded bugs in what follows a requantization inside one kernel, and in tables of bytes."""

from __future__ import annotations

from tests.mutation.bugs import VNNI, Bug

_VECTORS = "codegen.kernels.sequel_vectors"


def _bug(about: str, module: str, name: str, old: str, new: str, isa: str = VNNI, first: str = "residual") -> Bug:
    return Bug(about, module, name, old, new, first, isa)


SEQUEL_BUGS = (
    _bug(
        "a rounded vector that is not clipped before it is added",
        _VECTORS,
        "VectorSequel",
        "self._clipped(value, grid.lo + zero, grid.hi + zero)",
        "value",
    ),
    _bug(
        "an added tensor read without its storage bias",
        _VECTORS,
        "VectorSequel",
        "wide - const(bias, 'int32', lanes)".replace("'", '"'),
        "wide",
    ),
    _bug(
        "an added tensor read at the place of the output",
        "codegen.kernels.conv_panels",
        "_Target",
        "layout.base + (0 if flat else row * layout.stride(2))",
        "self.y.base + (0 if flat else row * self.y.stride(2))",
    ),
    _bug(
        "accumulators added with the factors of the first block",
        _VECTORS,
        "_Sum",
        "self.blocks[block]",
        "self.blocks[0]",
        first="unrounded_residual",
    ),
    _bug(
        "a vector of sums that leaves the offset out",
        "codegen.kernels.sum_vectors",
        "VectorSum",
        'total = fma(element, lanes, value, constant(f"factor{index}"), total)',
        'total = fma(element, lanes, value, constant(f"factor{index}"), total if index < 1 else value * 0)',
        first="unrounded_residual",
    ),
    _bug(
        "rows of sums whose runs all begin at the first channel",
        "codegen.kernels.elementwise_rows",
        "_sum_constants",
        "bind(tirx.truncmod(before, const(len(forms))))",
        "0",
        first="unrounded_residual",
    ),
    _bug(
        "a scalar sum whose operands change places",
        "codegen.kernels.accumulator",
        "_continuation",
        "return function(values, channel)",
        "return function(values[::-1], channel)",
        "generic",
    ),
    _bug(
        "a table of bytes that begins at the first stored number",
        "codegen.kernels.table_rows",
        "_stored_table",
        "first = x.lo + storage_of(x).bias",
        "first = 0",
        first="table",
    ),
)

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

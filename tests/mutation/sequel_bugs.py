"""Seeded bugs in what follows a requantization inside one kernel, and in the memory that it shares."""

from __future__ import annotations

from tests.mutation.bugs import VNNI, Bug

_VECTORS = "codegen.kernels.sequel_vectors"


def _bug(about: str, module: str, name: str, old: str, new: str, isa: str = VNNI) -> Bug:
    return Bug(about, module, name, old, new, "residual", isa)


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
        "a scalar sum that rounds one operand twice",
        "codegen.kernels.accumulator",
        "_continuation",
        "known[name].astype",
        "next(iter(known.values())).astype",
        "generic",
    ),
)

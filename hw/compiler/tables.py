"""Tables of one value, which the array looks up behind its requantization."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.compiler.memory import code_offset
from edgeconv.hw.compiler.passes import Channels
from edgeconv.ir import Program, describe
from edgeconv.ir import operators as ops

__all__ = ["check_table", "following_table", "with_table"]

_SIZE = 256


def following_table(program: Program, name: str) -> ops.Table | None:
    """The table that alone reads a tensor, if it can be looked up where that tensor is made."""
    readers = program.consumers[name]
    if len(readers) != 1 or name in program.outputs or not isinstance(readers[0], ops.Table):
        return None
    table = readers[0]
    return table if _fits(program, table) else None


def check_table(program: Program, table: ops.Table) -> None:
    """Check that the array can look a table up.

    Raises:
        UnsupportedModelError: it is too large, or one for each channel.
    """
    if not _fits(program, table):
        raise UnsupportedModelError(
            f"{describe(table)}: a table of shape {program.types[table.values].shape}",
            expected="one table of at most 8 bits for all channels on the accelerator",
            advice="an activation that does not depend on the channel, over 8 bits",
        )


def with_table(program: Program, channels: Channels, table: ops.Table) -> Channels:
    """The requantization with the table behind it, from bytes to bytes."""
    values = program.constants[table.values].array.astype(np.int64)
    whole = np.zeros(_SIZE, np.uint8)
    whole[: len(values)] = values + code_offset(program.types[table.output].dtype.lo)
    return replace(channels, table=whole)


def _fits(program: Program, table: ops.Table) -> bool:
    types = program.types
    return len(types[table.values].shape) == 1 and types[table.x].dtype.bits <= 8

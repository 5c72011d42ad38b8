"""A zone of interest: a rectangle of pixels whose border's history another simulation takes as its boundary condition.

The use is that of arXiv 2304.04964: a network forecasts what comes in through the border of a small zone, so that only
the zone is simulated finely.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError

__all__ = ["BoundaryHistory", "Zone"]


@dataclass(frozen=True)
class BoundaryHistory:
    """What happened on the border of a zone.

    Attributes:
        values: float32 (time, ring), the field.
        normal: float32 (time, ring), its derivative along the outward normal, per metre.
    """

    values: NDArray[np.float32]
    normal: NDArray[np.float32]


@dataclass(frozen=True)
class Zone:
    """Pixels row … row + height - 1 and column … column + width - 1; its ring are the outermost of them."""

    row: int
    column: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if min(self.height, self.width) < 2 or min(self.row, self.column) < 1:
            raise UsageError(f"{self}", expected="2x2 pixels at least, and a pixel between it and the border")

    def ring(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows and columns of the ring: from (row, column) along that row, and on around."""
        last_row, last_column = self.height - 1, self.width - 1
        along, up = np.arange(last_column), np.arange(last_row)
        rows = np.concatenate([0 * along, up, 0 * along + last_row, last_row - up])
        columns = np.concatenate([along, 0 * up + last_column, last_column - along, 0 * up])
        return self.row + rows, self.column + columns

    def check(self, mask: NDArray[np.bool_]) -> None:
        """Raises UsageError where the zone or the pixel around it leaves the domain."""
        around = mask[self.row - 1 : self.row + self.height + 1, self.column - 1 : self.column + self.width + 1]
        if around.shape != (self.height + 2, self.width + 2) or not around.all():
            raise UsageError(
                f"{self} leaves the domain", expected="all its pixels and those around it inside", advice="move it"
            )

    def history(self, fields: NDArray[np.float32], pixel_m: float) -> BoundaryHistory:
        """Of fields (time, height, width): values on the ring, and central differences across it.

        A corner's normal is the diagonal.
        """
        rows, columns = self.ring()
        down = (rows == self.row + self.height - 1).astype(int) - (rows == self.row)
        right = (columns == self.column + self.width - 1).astype(int) - (columns == self.column)
        by_row = fields[:, rows + 1, columns] - fields[:, rows - 1, columns]
        by_column = fields[:, rows, columns + 1] - fields[:, rows, columns - 1]
        normal = (down * by_row + right * by_column) / (2 * pixel_m * np.hypot(down, right))
        return BoundaryHistory(fields[:, rows, columns], normal.astype(np.float32))

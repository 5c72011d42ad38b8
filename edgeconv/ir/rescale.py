"""The last step of softmax and normalizations: a fixed-point number onto a grid (docs/arithmetic.md, "Whole rows")."""

from __future__ import annotations

from dataclasses import dataclass

ROW_BITS = 31
"""A fixed-point number before its rescale is at most 2^ROW_BITS in magnitude."""
MULTIPLIER_BITS, ADDEND_BITS, MOST_SHIFT = 30, 61, 61
"""With these bounds value·multiplier + addend and half a unit more stay inside int64: 2⁶¹ + 2⁶¹ + 2⁶⁰ < 2⁶³."""


@dataclass(frozen=True)
class Rescale:
    """value ↦ round((value·multipliers[k] + addends[k]) / 2^shift), before zero point and clip.

    k is the index along `axis` of the output; a tuple of length 1 serves every k.
    """

    multipliers: tuple[int, ...]
    addends: tuple[int, ...]
    shift: int
    axis: int = 1

    @property
    def channels(self) -> int:
        """Length of the longer tuple."""
        return max(len(self.multipliers), len(self.addends))

    def problem(self, shape: tuple[int, ...]) -> str | None:
        """What is wrong with it for an output of `shape`, or None."""
        if not 1 <= self.shift <= MOST_SHIFT:
            return f"a shift of {self.shift}, expected 1 to {MOST_SHIFT}"
        for name, values, bits in (
            ("a multiplier", self.multipliers, MULTIPLIER_BITS),
            ("an addend", self.addends, ADDEND_BITS),
        ):
            if not values or max(map(abs, values)) > 1 << bits:
                return f"{name} of more than {bits} bits"
            if len(values) > 1 and not (0 <= self.axis < len(shape) and shape[self.axis] == len(values)):
                return f"{len(values)} {name.split()[1]}s for axis {self.axis} of shape {shape}"
        return None

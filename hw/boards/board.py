"""Boards: which device, which pins, which clock, and the sizes of the array that fits."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from edgeconv.errors import UsageError
from edgeconv.hw.export import FOLDER
from edgeconv.hw.spec import SMALL, ArrayConfig

__all__ = ["BOARDS", "Board", "Clock", "find_board"]

_CPU_MHZ = 50.0
"""The processor's clock is the highest that is not above this one."""
_VCO_MHZ = (400.0, 800.0)
"""What the oscillator of an ECP5's PLL can do (Lattice FPGA-DS-02012, sysCLOCK PLL timing)."""


@dataclass(frozen=True)
class Clock:
    """Divisors of an ECP5's PLL with feedback from its first output.

    Attributes:
        mhz: what comes out.
        reference: the board's oscillator is divided by this.
        feedback: and multiplied by this.
        output: divisor of the PLL's own oscillator.
        cpu: the same for the processor's clock.
    """

    mhz: float
    reference: int
    feedback: int
    output: int
    cpu: int

    @property
    def cpu_hz(self) -> int:
        """The processor's clock."""
        return round(self.mhz * self.output / self.cpu * 1e6)


@dataclass(frozen=True)
class Board:
    """A board that bitstreams are made for.

    Attributes:
        name: of the board and of its target; of a trial of the array, without a target.
        top: what is on it: `soc_board` or `array_board`, the array alone.
        device: nextpnr's options for device, package and speed grade.
        constraints: pins, below hw/boards/constraints.
        oscillator_mhz: the clock that the board has.
        clock_mhz: the array's clock, made by the PLL.
        aim_mhz: the clock that placing and routing aim for; more than `clock_mhz`.
        loader: the board's name for openFPGALoader.
        seed: the placer's seed that did best in a sweep.
        config: sizes of the array.
    """

    name: str
    top: str
    device: tuple[str, ...]
    constraints: str
    oscillator_mhz: float
    clock_mhz: float
    aim_mhz: float
    loader: str
    seed: int
    config: ArrayConfig = field(default_factory=ArrayConfig)

    @property
    def constraints_path(self) -> Path:
        """The file of pins."""
        return FOLDER / "boards" / "constraints" / self.constraints

    @property
    def clock(self) -> Clock:
        """The PLL's divisors, the smallest that make the clock exactly.

        Raises:
            UsageError: no divisors make it.
        """
        for reference in range(1, 6):
            feedback = self.clock_mhz * reference / self.oscillator_mhz
            output = int(_VCO_MHZ[1] // self.clock_mhz)
            if feedback == int(feedback) and output * self.clock_mhz >= _VCO_MHZ[0]:
                cpu = math.ceil(self.clock_mhz * output / _CPU_MHZ)
                return Clock(self.clock_mhz, reference, int(feedback), output, cpu)
        raise UsageError(
            f"board {self.name}: {self.clock_mhz:g} MHz cannot be made of {self.oscillator_mhz:g} MHz",
            expected=f"a multiple of a half, third, quarter or fifth of {self.oscillator_mhz:g} MHz, at most 400 MHz",
            advice="choose another clock_mhz",
        )


_PACKAGE = ("--package", "CABGA381", "--speed", "6")
_ECP5_85F, _ECP5_25F = ("--85k", *_PACKAGE), ("--25k", *_PACKAGE)
BOARDS = {
    board.name: board
    for board in (
        Board(
            name="ulx3s-85f",
            top="soc_board",
            device=_ECP5_85F,
            constraints="ulx3s.lpf",
            oscillator_mhz=25.0,
            clock_mhz=115.0,
            aim_mhz=130.0,
            loader="ulx3s",
            seed=2,
        ),
        Board(
            name="ulx3s-85f-array",
            top="array_board",
            device=_ECP5_85F,
            constraints="ulx3s-array.lpf",
            oscillator_mhz=25.0,
            clock_mhz=115.0,
            aim_mhz=130.0,
            loader="ulx3s",
            seed=1,
        ),
        Board(
            name="ecp5-25f",
            top="soc_board",
            device=_ECP5_25F,
            constraints="ulx3s.lpf",
            oscillator_mhz=25.0,
            clock_mhz=125.0,
            aim_mhz=140.0,
            loader="ulx3s",
            seed=1,
            config=SMALL,
        ),
    )
}
"""By name."""


def find_board(name: str) -> Board:
    """A board by name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in BOARDS:
        raise UsageError(
            f"no board {name!r}", expected=f"one of {', '.join(BOARDS)}", advice="add it to hw/boards/board.py"
        )
    return BOARDS[name]

"""Cycles of the accelerator, counted by itself, and what a serial line to it lets through."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

from edgeconv.artifact import read
from edgeconv.artifact.array_target.write import image_of
from edgeconv.errors import DeviceError
from edgeconv.runtime.board import BoardRunner
from edgeconv.runtime.ways import SERIAL, SIMULATION, open_runner
from edgeconv.verify.inputs import random_inputs

__all__ = ["ArrayBench", "bench_array"]

_SAMPLES = 16
_BITS_PER_BYTE = 10  # start bit and stop bit included
_BAUD_RATES = (115_200, 1_000_000, 3_000_000)


@dataclass(frozen=True)
class ArrayBench:
    """A network on an accelerator.

    Attributes:
        device: that it ran on, for `samples` random samples.
        cycles: of every sample, from its start to the last result, as the array counts them.
        use: useful multiply-accumulates over what the array could do in these cycles.
        clock_mhz: of the target; `samples_per_second` at that clock.
        bytes_sent, bytes_received: on the serial line for a sample; 0 where there is none.
        serial_samples_per_second: by baud rate, what these bytes allow.
        measured_samples_per_second: over the line of a board; None for a simulation, whose time says nothing.
    """

    artifact: str
    device: str
    samples: int
    cycles: int
    macs: int
    multipliers: int
    use: float
    clock_mhz: float
    samples_per_second: float
    bytes_sent: float
    bytes_received: float
    serial_samples_per_second: dict[int, float] = field(default_factory=dict)
    measured_samples_per_second: float | None = None


def bench_array(artifact: str | Path, device: str | None = None, seed: int = 0) -> ArrayBench:
    """Run random samples and read the array's counter.

    Raises:
        DeviceError: there is no way to the device, or the cycles are not those that the compiler predicts.
        ToolError: what the simulation needs is missing.
    """
    opened = read(artifact)
    image = image_of(opened)
    runner = open_runner(opened, device=device)
    inputs = random_inputs(opened.program(), _SAMPLES, seed)
    board = runner.board if isinstance(runner, BoardRunner) else None
    before = (board.sent, board.received) if board else (0, 0)
    start = perf_counter()
    runner.run(inputs)
    seconds = perf_counter() - start
    cycles = sorted({int(count) for count in runner.cycles})  # type: ignore[attr-defined]
    if cycles != [image.cycles]:
        raise DeviceError(
            f"the array took {', '.join(map(str, cycles))} cycles",
            expected=f"{image.cycles}, which the compiler predicts",
        )
    sent, received = ((board.sent - before[0]) / _SAMPLES, (board.received - before[1]) / _SAMPLES) if board else (0, 0)
    clock, macs = float(opened.manifest.settings["clock_mhz"]), opened.manifest.macs
    return ArrayBench(
        artifact=str(artifact),
        device=device or SIMULATION,
        samples=_SAMPLES,
        cycles=image.cycles,
        macs=macs,
        multipliers=image.config.multipliers,
        use=macs / (image.cycles * image.config.multipliers),
        clock_mhz=clock,
        samples_per_second=clock * 1e6 / image.cycles,
        bytes_sent=sent,
        bytes_received=received,
        serial_samples_per_second={rate: rate / _BITS_PER_BYTE / (sent + received) for rate in _BAUD_RATES if board},
        measured_samples_per_second=_SAMPLES / seconds if device and device.startswith(SERIAL) else None,
    )

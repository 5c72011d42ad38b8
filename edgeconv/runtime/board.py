"""Running an artifact on a board with the accelerator, or on the simulated system, through the host protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.artifact import Artifact
from edgeconv.artifact.array_target.write import image_of
from edgeconv.errors import DeviceError, UsageError
from edgeconv.hw.host import Board, Transport
from edgeconv.hw.spec import ArrayConfig
from edgeconv.runtime.array_runner import ArrayRunner
from edgeconv.runtime.ways import SERIAL, SIMULATED_SYSTEM

__all__ = ["BoardRunner", "open_transport"]


def open_transport(device: str, config: ArrayConfig | None = None) -> Transport:
    """The line of bytes to a device: `sim-soc`, or `serial:PORT` with `@BAUD` behind where it is not the usual rate.

    Args:
        config: of the simulated system; the default one where none is given.

    Raises:
        UsageError: the port's name or rate makes no sense.
        DeviceError: the port cannot be opened.
        ToolError: what the simulation needs is missing.
    """
    if device == SIMULATED_SYSTEM:
        from edgeconv.hw.soc.simulator import SimulatedSoc

        return SimulatedSoc(config)
    from edgeconv.hw.host.serial_port import DEFAULT_BAUD, SerialPort

    path, at, rate = device.removeprefix(SERIAL).partition("@")
    if not path or (at and not rate.isdigit()):
        raise UsageError(f"device '{device}'", expected=f"{SERIAL}/dev/ttyUSB0, or {SERIAL}/dev/ttyUSB0@{DEFAULT_BAUD}")
    return SerialPort(path, int(rate) if rate else DEFAULT_BAUD)


class BoardRunner(ArrayRunner):
    """A network on a board; used like any `Runner`.

    The network is loaded, unless the board has it, and the board runs a golden sample of the artifact and compares.

    Raises:
        DeviceError: the board does not answer, has another array, or computes something else than the reference.
    """

    def __init__(self, artifact: Artifact, device: str, isa: str | None = None, threads: int = 1) -> None:
        super().__init__(artifact, isa, threads)
        self.device = device
        image = image_of(artifact)
        self.board = Board(open_transport(device, image.config))
        self.board.load(image)
        self._self_test()

    def _execute(self, arrays: Mapping[str, NDArray[Any]]) -> tuple[Mapping[str, NDArray[Any]], NDArray[np.uint32]]:
        run = self.board.run(arrays)
        return run.outputs, run.cycles

    def _self_test(self) -> None:
        inputs, _ = self.artifact.golden()
        first = self._ends.integers({name: array[:1] for name, array in inputs.items()}, reference.run)
        different = self.board.self_test(first, reference.run(self._ends.core, first))
        if different:
            raise DeviceError(
                f"{self.device} failed its self-test: {different} results differ",
                advice="load the bitstream again; if it stays so, report it as a fault of edgeconv, with the model",
            )

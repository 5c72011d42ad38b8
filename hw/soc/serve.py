"""The simulated system behind a pseudo terminal, which any program takes for a board's serial port.

python -m edgeconv.hw.soc.serve [BOARD]      # prints the path for --device serial:PATH and runs until it is stopped
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
from types import TracebackType

from edgeconv.hw.boards.board import find_board
from edgeconv.hw.soc.simulator import SimulatedSoc

__all__ = ["ServedSoc"]

_SLICE = 0.005
"""Simulated seconds between two looks at the terminal."""
_AWAKE = 100
"""So many of these slices without a byte, and the system has nothing to do: it then runs slowly."""
_IDLE = 0.05
"""Real seconds from a slice to the next then."""


class ServedSoc:
    """A system that runs in a thread of its own; a context.

    Attributes:
        path: of the terminal's other end.
    """

    def __init__(self, soc: SimulatedSoc) -> None:
        self._soc = soc
        self._master, self._slave = os.openpty()
        self.path = os.ttyname(self._slave)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> ServedSoc:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()
        os.close(self._master)
        os.close(self._slave)

    def wait(self) -> None:
        """Until it is stopped."""
        self._thread.join()

    def _serve(self) -> None:
        silent = _AWAKE
        while not self._ended.is_set():
            if select.select([self._master], [], [], _IDLE if silent >= _AWAKE else 0.0)[0]:
                self._soc.write(os.read(self._master, 4096))
                silent = 0
            data = self._soc.read(_SLICE)
            silent = 0 if data or self._soc.sending else silent + 1
            while data:
                data = data[os.write(self._master, data) :]


def _main() -> None:
    config = find_board(sys.argv[1]).config if sys.argv[1:] else None
    with ServedSoc(SimulatedSoc(config)) as served, contextlib.suppress(KeyboardInterrupt):
        print(f"--device serial:{served.path}", flush=True)
        served.wait()


if __name__ == "__main__":
    _main()

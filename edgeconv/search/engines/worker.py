"""The program of a child process: `python -m edgeconv.search.engines.worker FD`, started by `Child`."""

from __future__ import annotations

import math
import os
import pickle
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

__all__ = ["main"]


def main(descriptor: int) -> None:
    """Serve evaluations until the other side is gone."""
    connection = Connection(descriptor)
    path, packed = connection.recv()
    sys.path[:] = path
    try:
        evaluator = pickle.loads(packed)
        evaluator.prepare()
    except BaseException as error:
        connection.send(_described(error))
        return
    connection.send(None)
    jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(connection, jobs), daemon=True).start()
    while True:
        values, seed = jobs.get()
        try:
            reply = _checked(evaluator(values, seed)), ""
        except (Exception, SystemExit) as error:
            reply = {}, _described(error)
        connection.send(reply)


def _listen(connection: Connection, jobs: queue.SimpleQueue[Any]) -> None:
    """Hand jobs on. When the other side is gone, end everything at once, the evaluation in flight as well."""
    try:
        while True:
            jobs.put(connection.recv())
    except (EOFError, OSError):
        # This process leads a group of its own, with the compilers and emulators that it started.
        os.killpg(os.getpgid(0), signal.SIGKILL)


def _checked(metrics: Mapping[str, Any]) -> dict[str, float]:
    found = {str(name): float(value) for name, value in metrics.items()}
    for name, value in found.items():
        if not math.isfinite(value):
            raise ValueError(f"metric '{name}' is {value}")
    return found


def _described(error: BaseException) -> str:
    """Type, message and the place of an exception, in one line."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"


if __name__ == "__main__":
    main(int(sys.argv[1]))

"""A child process that evaluates, supervised: a deadline, and its death as a result.

Process pools of libraries share pipes among their workers, so that a parent killed by force leaves some behind; a
pool is then of no use on a cluster either, where each worker needs one child of its own. Here every child has a socket
pair that nobody else inherits: whichever side dies, the other one reads the end of the stream. The child leads a
process group, so compilers and emulators that it started end with it.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from typing import IO, Any

from edgeconv.errors import EdgeconvError, UsageError
from edgeconv.search.engines.engine import Evaluator, Job, Outcome, Supervision

__all__ = ["Child", "pack"]

_LAST_WORDS = 400


def pack(evaluator: Evaluator) -> bytes:
    """The evaluator as bytes for `Child`.

    Raises:
        UsageError: it cannot be pickled, or only this process could read it.
    """
    if type(evaluator).__module__ == "__main__":
        raise UsageError(
            f"evaluator {type(evaluator).__qualname__} stands in the script that is running",
            advice="move its class into a module that the script imports: workers must be able to import it",
        )
    try:
        return pickle.dumps(evaluator)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise UsageError(f"an evaluator that cannot be sent to workers: {error}") from error


class Child:
    """One worker process, started when it is needed and again after it died."""

    def __init__(self, packed: bytes, supervision: Supervision) -> None:
        self._packed, self._supervision = packed, supervision
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None
        self._errors: IO[bytes] | None = None
        self._closed = False

    def run(self, job: Job) -> Outcome:
        """Evaluate.

        Raises:
            EdgeconvError: the evaluator cannot be loaded or prepared.
        """
        attempts, started = 0, time.time()
        reason = worker = ""
        while attempts <= self._supervision.retries and not self._closed:
            connection = self._started()
            attempts, started = attempts + 1, time.time()
            begin = time.monotonic()
            worker = f"{socket.gethostname()}:{self._process.pid if self._process else 0}"
            try:
                connection.send((job.values, job.seed))
                if not connection.poll(self._supervision.deadline):
                    self._kill()
                    reason = f"no result within {self._supervision.deadline:g} s"
                    return Outcome(job.position, {}, reason, attempts, worker, started, time.monotonic() - begin)
                metrics, reason = connection.recv()
                return Outcome(job.position, metrics, reason, attempts, worker, started, time.monotonic() - begin)
            except (EOFError, OSError):
                reason = self._epitaph()
        count = f" in {attempts} attempts" if attempts > 1 else ""
        return Outcome(job.position, {}, f"its worker{count} {reason}", attempts, worker, started, 0.0)

    def close(self) -> None:
        """End the process; a `run` in another thread returns."""
        self._closed = True
        self._kill()

    def _started(self) -> Connection:
        if self._connection is not None:
            return self._connection
        ours, theirs = socket.socketpair()
        # A file, not a pipe: nobody has to read it, and a child that writes much never waits.
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        environment = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"} | dict(os.environ)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "edgeconv.search.engines.worker", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            start_new_session=True,
            env=environment,
        )
        theirs.close()
        self._connection = Connection(ours.detach())
        try:
            self._connection.send((sys.path, self._packed))
            if not self._connection.poll(self._supervision.start):
                problem: Any = f"not ready within {self._supervision.start:g} s"
            else:
                problem = self._connection.recv()
        except (EOFError, OSError):
            problem = self._epitaph()
        if problem is not None and not self._closed:
            self._kill()
            raise EdgeconvError(
                f"a worker process could not prepare: {problem}", advice="call the evaluator in one process to see why"
            )
        if self._connection is None:
            raise EdgeconvError("the engine was closed while a worker started")
        return self._connection

    def _epitaph(self) -> str:
        """How the process ended, and the last it said; afterwards there is none."""
        process = self._process
        if process is None:
            return "was ended"
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
        code = process.returncode
        how = f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"was killed by {signal.Signals(-code).name}"
        words = self._last_words()
        self._kill()
        return f"{how}; it said: {words}" if words else how

    def _last_words(self) -> str:
        errors = self._errors
        if errors is None or errors.closed:
            return ""
        size = errors.seek(0, os.SEEK_END)
        errors.seek(max(0, size - _LAST_WORDS))
        return " ".join(errors.read().decode(errors="replace").split())

    def _kill(self) -> None:
        process, self._process = self._process, None
        connection, self._connection = self._connection, None
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if connection is not None and not self._closed:
            connection.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

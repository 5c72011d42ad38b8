"""Evaluations on a Dask cluster: each worker of it evaluates in a supervised child process.

A task that kills a Dask worker takes innocent neighbours down with it, and Dask cannot stop one that hangs. In a child
with a deadline both cost only that evaluation. Workers need this edgeconv installed, and files that the evaluator
names under the same path.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence

from distributed import Client, as_completed
from distributed.scheduler import KilledWorker

from edgeconv.errors import DeviceError, EdgeconvError
from edgeconv.search.engines.child import Child, pack
from edgeconv.search.engines.engine import Evaluator, Job, Outcome, Supervision

__all__ = ["ClusterEngine"]

_CONNECT_SECONDS = 20
_SENT_AGAIN = 5
"""How often a job is sent again after the machine that had it was lost: not the job's fault, its child would tell."""

# In a worker of the cluster: one child for each evaluator and thread.
_children: dict[tuple[str, int], Child] = {}


def _in_child(packed: bytes, supervision: Supervision, job: Job) -> Outcome:
    """What a worker of the cluster runs."""
    key = hashlib.sha256(packed).hexdigest(), threading.get_ident()
    if key not in _children:
        _children[key] = Child(packed, supervision)
    return _children[key].run(job)


def _end_children(packed: bytes) -> None:
    digest = hashlib.sha256(packed).hexdigest()
    for key in [key for key in _children if key[0] == digest]:
        _children.pop(key).close()


class ClusterEngine:
    """An `Engine` on the workers of a Dask scheduler.

    Raises:
        DeviceError: no scheduler answers.
    """

    def __init__(self, evaluator: Evaluator, scheduler: str, supervision: Supervision) -> None:
        self._packed, self._supervision, self._scheduler = pack(evaluator), supervision, scheduler
        try:
            self._client = Client(scheduler, timeout=_CONNECT_SECONDS, set_as_default=False)
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"no Dask scheduler at {scheduler}: {error}",
                advice="start one with `dask scheduler`, and `dask worker ADDRESS` on each machine",
            ) from error

    def run(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """As `Engine.run`."""
        waiting = as_completed([], loop=self._client.loop)
        submitted: dict[str, Job] = {}
        sent: Counter[int] = Counter()

        def submit(job: Job) -> None:
            # Dask takes equal keys for work done before, whoever submitted it.
            future = self._client.submit(
                _in_child, self._packed, self._supervision, job, key=f"edgeconv-{uuid.uuid4().hex}", pure=False
            )
            submitted[future.key] = job
            sent[job.position] += 1
            waiting.add(future)

        for job in jobs:
            submit(job)
        for future in waiting:
            job = submitted.pop(future.key)
            try:
                yield future.result()
            except KilledWorker as error:
                if sent[job.position] <= _SENT_AGAIN:
                    submit(job)
                else:
                    yield Outcome(job.position, {}, f"its machines were lost: {error}", sent[job.position])
            except EdgeconvError:
                raise
            except Exception as error:
                raise DeviceError(
                    f"the Dask cluster at {self._scheduler} failed: {type(error).__name__}: {error}"
                ) from error
            future.release()

    def close(self) -> None:
        """As `Engine.close`."""
        try:
            self._client.run(_end_children, self._packed)
        finally:
            self._client.close()

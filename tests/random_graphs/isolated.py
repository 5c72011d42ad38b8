"""Tasks in a child process: a crash or an endless loop is a result like any other."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from tests.random_graphs.memory import Guarded

T = TypeVar("T")
_SECONDS = 60


def run_isolated(prepare: Callable[[], T], tasks: Sequence[Callable[[T], None]]) -> dict[int, str]:
    """Run tasks in order in a forked process; how those failed that did not return, by index.

    A task that crashes or hangs fails alone: those after it run in another child. Tasks tell their results through
    memory shared with this process (`Guarded`).

    Args:
        prepare: called once in each child; its result is handed to every task.
    """
    failures: dict[int, str] = {}
    progress = Guarded(8)
    first = 0
    while first < len(tasks):
        status = _in_child(prepare, tasks, first, progress)
        reached = int(progress.bytes.view(np.int64)[0])
        if status == 0 and reached == len(tasks):
            break
        failures[reached] = _describe(status)
        first = reached + 1
    return failures


def _in_child(prepare: Callable[[], T], tasks: Sequence[Callable[[T], None]], first: int, progress: Guarded) -> int:
    """Run the tasks from `first` on; the wait status. `progress` counts the tasks done."""
    counter = progress.bytes.view(np.int64)
    counter[0] = first
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    status = 1
    try:
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        prepared = prepare()
        for index in range(first, len(tasks)):
            signal.alarm(_SECONDS)
            tasks[index](prepared)
            counter[0] = index + 1
        status = 0
    finally:
        os._exit(status)  # nothing of the parent's clean-up may run here


def _describe(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"the child process ended with status {os.waitstatus_to_exitcode(status)}"
    number = os.WTERMSIG(status)
    known = {
        signal.SIGSEGV: "access outside of its memory (SIGSEGV)",
        signal.SIGALRM: f"no end within {_SECONDS} s",
    }
    return known.get(signal.Signals(number), signal.Signals(number).name)

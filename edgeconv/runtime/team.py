"""Threads that help a loaded library: Python starts them, the library's team (edge.h) puts them to work."""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref

from edgeconv.errors import UsageError

__all__ = ["MOST_THREADS", "Team", "check_threads"]

MOST_THREADS = 64
"""EDGE_MOST_THREADS of edge.h."""
_TEAM_BYTES = 256  # sizeof(edge_team)

_teams: weakref.WeakSet[Team] = weakref.WeakSet()


def check_threads(threads: int) -> int:
    """The number, if it can be one of threads.

    Raises:
        UsageError: it cannot.
    """
    if not 1 <= threads <= MOST_THREADS:
        raise UsageError(f"{threads} threads", expected=f"1 to {MOST_THREADS}")
    return threads


class Team:
    """`threads` - 1 helpers, which wait in the library without holding the interpreter's lock.

    They look for work for some 10 µs after a call and then sleep. They end when the team is released, and are not
    there in a forked child, where calls run on one thread.

    Attributes:
        memory: the edge_team.
    """

    def __init__(self, handle: ctypes.CDLL, threads: int) -> None:
        self._handle = handle
        self.memory = ctypes.create_string_buffer(_TEAM_BYTES)
        handle.edge_team_init(self.memory)
        helpers = [
            threading.Thread(target=handle.edge_team_serve, args=(self.memory,), name="edgeconv", daemon=True)
            for _ in range(threads - 1)
        ]
        for helper in helpers:
            helper.start()
        while handle.edge_team_helpers(self.memory) < len(helpers):
            time.sleep(1e-4)
        weakref.finalize(self, _end, os.getpid(), handle, self.memory, helpers)
        _teams.add(self)

    @property
    def address(self) -> int:
        """Of the edge_team."""
        return ctypes.addressof(self.memory)

    def forget(self) -> None:
        """In a forked child: the helpers are gone."""
        self._handle.edge_team_init(self.memory)


def _end(
    process: int, handle: ctypes.CDLL, memory: ctypes.Array[ctypes.c_char], helpers: list[threading.Thread]
) -> None:
    if process != os.getpid():
        return
    handle.edge_team_stop(memory)
    for helper in helpers:
        helper.join()


def _forget_helpers() -> None:
    for team in _teams:
        team.forget()


os.register_at_fork(after_in_child=_forget_helpers)

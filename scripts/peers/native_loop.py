"""A C loop around a C function, so that no Python is inside what is timed."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

__all__ = ["native_turn"]

_SOURCE = """
#include <time.h>
typedef int (*function)(void *);
static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + 1e-9 * t.tv_nsec; }
int time_calls(function f, void *argument, int readings, int calls, double *seconds) {
    for (int i = 0; i < readings; i++) {
        double start = now();
        for (int k = 0; k < calls; k++) { int status = f(argument); if (status) return status; }
        seconds[i] = (now() - start) / calls;
    }
    return 0;
}
"""
_READING_SECONDS, _READINGS = 2e-4, 100
_TURN_SECONDS = 0.3


def native_turn(function: int, argument: ctypes.c_void_p) -> Callable[[], list[float]]:
    """A turn of `int function(void *argument)`, which returns 0.

    Args:
        function: its address.

    Raises:
        subprocess.CalledProcessError: gcc failed.
        RuntimeError: in the turn, where the function fails.
    """
    with tempfile.TemporaryDirectory() as name:
        source, library = Path(name) / "loop.c", Path(name) / "loop.so"
        source.write_text(_SOURCE)
        subprocess.run(["gcc", "-O2", "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
        loop = ctypes.CDLL(str(library)).time_calls
    loop.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)

    def run(readings: int, calls: int) -> list[float]:
        seconds = (ctypes.c_double * readings)()
        status = loop(function, argument, readings, calls, seconds)
        if status:
            raise RuntimeError(f"the native call returned {status}")
        return list(seconds)

    def turn() -> list[float]:
        begin = perf_counter()
        run(3, 1)
        once = (perf_counter() - begin) / 3
        calls = max(1, int(_READING_SECONDS / once))
        return run(max(3, min(_READINGS, int(_TURN_SECONDS / (calls * once)))), calls)

    return turn

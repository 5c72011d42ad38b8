"""Evaluators for tests; workers import this module."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeconv.search.space import Values


@dataclass
class Squares:
    """Two metrics of one choice "x"; the files in `folder` tell what was called, and `x` what goes wrong."""

    folder: Path
    unready: bool = False

    def prepare(self) -> None:
        if self.unready:
            raise ValueError("no such table")

    def __call__(self, values: Values, seed: int) -> Mapping[str, float]:
        x = values["x"]
        if x == "raise":
            raise ValueError("x is not a number")
        if x == "nan":
            return {"square": float("nan")}
        if x == "crash":
            print("about to crash", flush=True)
            os.kill(os.getpid(), signal.SIGSEGV)
        if x == "hang":
            # The worker waits for something that never ends, which is to end with it all the same.
            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
            (self.folder / "grandchild").write_text(str(child.pid))
            time.sleep(300)
        if x == "exit":
            sys.exit(3)
        if x == "once":
            first = self.folder / "once"
            if not first.exists():
                first.write_text("")
                os.kill(os.getpid(), signal.SIGKILL)
            return {"square": 1.0, "negative": -1.0}
        if seed == 99:
            time.sleep(0.2)
        value = float(x)
        return {"square": value * value + seed, "negative": -value}

"""Evaluators for tests; workers import this module."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeconv.search.problem import Metric
from edgeconv.search.space import Choice, Space, Values


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


TOY_SPACE = Space(
    "toy",
    (
        Choice("depth", (2, 3, 4)),
        *(
            Choice(f"layer{number}.{own}", values, ("depth", number) if number > 2 else None)
            for number in (1, 2, 3, 4)
            for own, values in (("width", (4, 8, 16, 32)), ("bits", (2, 3, 4, 6, 8)))
        ),
    ),
)
TOY_METRICS = {
    "error": Metric("error", "s", "falls with depth, width and bits, not evenly"),
    "cost": Metric("cost", "", "width times bits of all layers"),
}


@dataclass
class Toy:
    """A smooth error and a counted cost; some genomes fail, and evaluations may take a while.

    Attributes:
        seconds: that an evaluation sleeps, longer for some genomes than for others.
        failing: genomes whose first width is this fail.
        most: where the cost is more than that, nothing else is found out.
    """

    seconds: float = 0.0
    failing: int | None = None
    most: float = np.inf

    def prepare(self) -> None:
        """Nothing to load."""

    def __call__(self, values: Values, seed: int) -> Mapping[str, float]:
        if values["layer1.width"] == self.failing:
            raise ValueError("this width is not built")
        error, cost = 1.0 / (1 + int(values["depth"])), 0.0
        for number in range(1, int(values["depth"]) + 1):
            width, bits = int(values[f"layer{number}.width"]), int(values[f"layer{number}.bits"])
            error += 0.5**number * (1 / width + 2.0**-bits)
            cost += width * bits
        if cost > self.most:
            return {"cost": cost}
        noise = random.Random(f"{seed} {sorted(values.items())}").uniform(0.98, 1.02)
        time.sleep(self.seconds * (1 + cost % 3))
        return {"error": error * noise * 1e-9, "cost": cost}

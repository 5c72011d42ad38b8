"""A search that is killed at any moment ends with the front of one that was left alone."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgeconv.search.fronts import front_of
from edgeconv.search.loop import evaluated_rounds
from edgeconv.search.problem import Evaluated
from edgeconv.search.study import Study
from tests.search.killed_search import PROBLEM, run

ROOT = Path(__file__).parents[2]


def start(path: Path, evaluations: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.search.killed_search", str(path), str(evaluations)]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)})


def stored(path: Path) -> int:
    with Study(path, {"seed": 1}) as study:
        return len(study.records())


def kill_and_finish(path: Path, evaluations: int, kills: int, rng: random.Random) -> int:
    """Kill a search so many times, at random moments that have it working; returns how often it really died."""
    died = 0
    while died < kills and stored(path) < evaluations:
        begun = stored(path)
        process = start(path, evaluations)
        # Starting takes seconds of importing: a moment while it works is after it stored something, or soon will.
        while process.poll() is None and stored(path) == begun and rng.random() < 0.97:
            time.sleep(0.1)
        time.sleep(rng.uniform(0, 0.3))
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            died += 1
        process.wait()
    process = start(path, evaluations)
    assert process.wait() == 0
    return died


def everything(path: Path) -> list[Evaluated]:
    with Study(path) as study:
        return [e for batch in evaluated_rounds(PROBLEM, study, 1) for e in batch]


@pytest.mark.parametrize(
    ("evaluations", "kills"),
    [pytest.param(40, 3, marks=pytest.mark.slow), pytest.param(100, 20, marks=pytest.mark.accept)],
)
def test_a_search_that_is_killed_ends_as_one_that_was_not(tmp_path: Path, evaluations: int, kills: int) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    run(tmp_path / "whole", evaluations)
    died = kill_and_finish(tmp_path / "killed", evaluations, kills, random.Random(seed))
    print("died", died, "times")
    assert died >= kills // 2
    whole, killed = everything(tmp_path / "whole"), everything(tmp_path / "killed")
    assert len(whole) == evaluations
    assert killed == whole
    assert front_of(PROBLEM, killed) == front_of(PROBLEM, whole)

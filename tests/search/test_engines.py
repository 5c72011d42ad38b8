"""Engines: whatever an evaluation does to its process costs that evaluation and no other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeconv.errors import DeviceError, EdgeconvError, UsageError
from edgeconv.search.engines import Engine, Job, Outcome, Supervision, open_engine
from tests.search.evaluators import Squares

QUICK = Supervision(deadline=1.5, retries=2, start=60)


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real Dask scheduler and two workers, on loopback."""
    folder = tmp_path_factory.mktemp("dask")
    file = folder / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    common = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": environment}
    options = ["--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)]
    processes = [subprocess.Popen([*dask, "scheduler", *options], **common)]
    worker = ["worker", "--scheduler-file", str(file), "--nworkers", "2", "--nthreads", "1", "--no-dashboard"]
    processes.append(
        subprocess.Popen([*dask, *worker, "--host", "127.0.0.1", "--local-directory", str(folder)], **common)
    )
    deadline = time.monotonic() + 60
    while not file.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    yield json.loads(file.read_text())["address"]
    for process in reversed(processes):
        process.terminate()
        process.wait(20)


def run(engine: Engine, xs: list[object], seed: int = 0) -> list[Outcome]:
    try:
        outcomes = list(engine.run([Job(n, {"x": x}, seed) for n, x in enumerate(xs)]))  # type: ignore[dict-item]
    finally:
        engine.close()
    assert sorted(outcome.position for outcome in outcomes) == list(range(len(xs)))
    return sorted(outcomes, key=lambda outcome: outcome.position)


def check_everything_that_goes_wrong(engine: Engine, folder: Path) -> None:
    wrong = ["raise", "crash", "hang", "once", "exit", "nan"]
    outcomes = run(engine, [1, *wrong, 2, 3, 4])
    reasons = [outcome.reason for outcome in outcomes]
    assert reasons[1].startswith("ValueError: x is not a number (evaluators.py, line ")
    assert reasons[2] == "its worker in 3 attempts was killed by SIGSEGV; it said: about to crash"
    assert reasons[3] == "no result within 1.5 s"
    assert outcomes[4].attempts == 2
    assert outcomes[4].metrics == {"square": 1.0, "negative": -1.0}
    assert reasons[5].startswith("SystemExit: 3 (evaluators.py")
    assert reasons[6].startswith("ValueError: metric 'square' is nan")
    assert [outcomes[n].metrics["square"] for n in (0, 7, 8, 9)] == [1.0, 4.0, 9.0, 16.0]
    assert all(not reasons[n] for n in (0, 4, 7, 8, 9))
    assert not alive(int((folder / "grandchild").read_text()))


def alive(pid: int) -> bool:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            return False
        if state in "ZX":
            return False
        time.sleep(0.05)
    return True


def test_a_pool_records_what_goes_wrong_and_keeps_the_rest(tmp_path: Path) -> None:
    check_everything_that_goes_wrong(open_engine(Squares(tmp_path), workers=2, supervision=QUICK), tmp_path)


def test_a_cluster_records_what_goes_wrong_and_keeps_the_rest(tmp_path: Path, scheduler: str) -> None:
    check_everything_that_goes_wrong(open_engine(Squares(tmp_path), scheduler=scheduler, supervision=QUICK), tmp_path)


def test_an_evaluator_that_cannot_prepare_stops_the_batch_with_its_reason(tmp_path: Path) -> None:
    engine = open_engine(Squares(tmp_path, unready=True), workers=2)
    with pytest.raises(EdgeconvError, match="could not prepare: ValueError: no such table"):
        run(engine, [1, 2])


def test_an_evaluator_of_the_running_script_is_refused() -> None:
    local = type("Local", (Squares,), {"__module__": "__main__"})
    with pytest.raises(UsageError, match=r"evaluator Local stands in the script.*\n  try: move its class"):
        open_engine(local(Path()))
    with pytest.raises(UsageError, match="cannot be sent to workers"):
        open_engine(Squares(lambda: None))  # type: ignore[arg-type]


def test_a_scheduler_that_does_not_answer_is_a_missing_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeconv.search.engines.cluster._CONNECT_SECONDS", 0.5)
    with pytest.raises(DeviceError, match=r"no Dask scheduler at tcp://127\.0\.0\.1:9"):
        open_engine(Squares(tmp_path), scheduler="tcp://127.0.0.1:9")


PARENT = """
import sys
from pathlib import Path
from edgeconv.search.engines import Job, open_engine
from tests.search.evaluators import Squares
if __name__ == "__main__":
    engine = open_engine(Squares(Path(sys.argv[1])), workers=1)
    list(engine.run([Job(0, {"x": "hang"}, 0)]))
"""


def test_workers_and_what_they_started_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], env=environment)
    file = tmp_path / "grandchild"
    deadline = time.monotonic() + 30
    while not (file.exists() and file.read_text()) and time.monotonic() < deadline:
        time.sleep(0.05)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert not alive(int(file.read_text()))

"""The store of a study: it only grows, survives being killed at any moment, and is not for two at once."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pyarrow import parquet

from edgeconv.errors import UsageError
from edgeconv.search.export import export
from edgeconv.search.study import Record, Study

SPEC = {"space": "small", "seed": 1}


def record(x: int, value: float = 1.0, position: int = 0) -> Record:
    return Record({"x": x}, 0, 0, position, "done", {"m": value}, started=2.0, seconds=0.5, versions={"edgeconv": "0"})


def test_records_come_back_as_they_were_and_in_the_order_of_rounds(tmp_path: Path) -> None:
    failed = Record({"x": 3, "kind": "a"}, 7, 0, 0, "failed", {}, "it broke", 3, "host:1")
    third = 1 / 3
    with Study(tmp_path / "s", SPEC) as study:
        study.append(record(1, third, position=1))
        study.append(failed)
    with Study(tmp_path / "s") as study:
        assert study.spec == SPEC
        assert study.records() == [failed, record(1, third, position=1)]
        assert study.find({"kind": "a", "x": 3}, 7) == failed
        assert study.find({"x": 3}, 7) is None


def test_the_first_result_stays(tmp_path: Path) -> None:
    with Study(tmp_path / "s", SPEC) as study:
        assert study.append(record(1, 5.0)).metrics == {"m": 5.0}
        assert study.append(record(1, 6.0)).metrics == {"m": 5.0}
        assert study.add_batch(0, [{"x": 1}]) == [{"x": 1}]
        assert study.add_batch(0, [{"x": 2}]) == [{"x": 1}]
        assert len(study.records()) == 1


@pytest.mark.parametrize(
    "statement", ["UPDATE evaluation SET reason = 'x'", "DELETE FROM evaluation", "DELETE FROM spec"]
)
def test_what_is_stored_cannot_be_changed(tmp_path: Path, statement: str) -> None:
    with Study(tmp_path / "s", SPEC) as study:
        study.append(record(1))
    with pytest.raises(sqlite3.IntegrityError, match="append only"):
        sqlite3.connect(tmp_path / "s").execute(statement)


def test_refusals_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no study at .*none\n  try: edgeconv search NAME begins one"):
        Study(tmp_path / "none")
    (tmp_path / "text").write_text("not a database, but long enough to look like one\n" * 40)
    with pytest.raises(UsageError, match="text is not a study: file is not a database"):
        Study(tmp_path / "text")
    (tmp_path / "empty").touch()
    with pytest.raises(UsageError, match="empty holds no study"):
        Study(tmp_path / "empty")
    Study(tmp_path / "s", SPEC).__exit__()
    with pytest.raises(UsageError, match="s was begun with another seed"):
        Study(tmp_path / "s", SPEC | {"seed": 2})
    sqlite3.connect(tmp_path / "s").execute("PRAGMA user_version = 9")
    with pytest.raises(UsageError, match=r"study format 9\n  expected: 1"):
        Study(tmp_path / "s")


def test_only_one_process_continues_a_study(tmp_path: Path) -> None:
    with Study(tmp_path / "s", SPEC) as one, Study(tmp_path / "s") as other, one.claim():
        with pytest.raises(UsageError, match=f"process {os.getpid()} is continuing"), other.claim():
            pass
    with Study(tmp_path / "s") as later, later.claim():
        pass


WRITER = """
import sys
from edgeconv.search.study import Record, Study
path, offset = sys.argv[1], int(sys.argv[2])
with Study(path, {"space": "small", "seed": 1}) as study:
    for x in range(10**6):
        study.append(Record({"x": x}, 0, 0, x, "done", {"m": x + offset}))
        print(x, flush=True)
"""


def writer(path: Path, offset: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(offset)], stdout=subprocess.PIPE, text=True)


def test_killing_two_writers_of_the_same_file_loses_nothing_that_was_stored(tmp_path: Path) -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    rng = random.Random(seed)
    found: list[object] = []
    kills = 0
    while kills < 3 or not found:
        kills += 1
        processes = [writer(tmp_path / "s", offset) for offset in (0, 1000)]
        time.sleep(rng.uniform(0.2, 1.0))
        reported = -1
        for process in processes:
            process.send_signal(signal.SIGKILL)
            reported = max([reported, *map(int, process.communicate()[0].split("\n")[:-1])])
        with Study(tmp_path / "s", SPEC) as study:
            assert study._db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            found = [r.values["x"] for r in study.records()]
            assert found == list(range(len(found)))  # none twice, none missing
            assert len(found) > reported  # all that a writer was told is stored


def test_a_study_exports_as_csv_and_parquet(tmp_path: Path) -> None:
    records = [record(1, 1 / 3), Record({"x": 2, "kind": "a"}, 1, 0, 1, "failed", {}, "late, again")]
    lines = export(records, tmp_path / "t.csv").read_text().splitlines()
    assert lines[0] == (
        "round,position,seed,status,choice.x,choice.kind,metric.m,reason,attempts,worker,started,seconds,versions"
    )
    assert lines[1].startswith("0,0,0,done,1,,0.3333333333333333,,1,,2.0,0.5,")
    assert lines[2].startswith('0,1,1,failed,2,a,,"late, again",')
    columns = parquet.read_table(export(records, tmp_path / "t.parquet")).to_pydict()
    assert columns["metric.m"] == [1 / 3, None]
    assert columns["choice.x"] == [1, 2]
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        export(records, tmp_path / "t.xlsx")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.csv", "t.parquet"]

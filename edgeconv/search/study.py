"""Studies: every evaluation of a search or sweep in one SQLite file that only grows.

Each evaluation is committed and synced to the disk before the next one counts, so `kill -9` loses at most those in
flight; triggers refuse to change what is there. A batch is recorded before any of it is evaluated: a search that is
resumed finishes that batch, whatever its predictors would propose today. Of two results for the same evaluation the
first one stays, which is what makes a measured figure replayable.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgeconv.errors import UsageError
from edgeconv.search.space import Value, Values

__all__ = ["FORMAT_VERSION", "Record", "Study", "key_of"]

FORMAT_VERSION = 1
_APPLICATION_ID = 0x45444745  # "EDGE": `file` and SQLite's tools show it
_BUSY_SECONDS = 60.0

_SCHEMA = """
CREATE TABLE spec (id INTEGER PRIMARY KEY CHECK (id = 1), text TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE batch (round INTEGER PRIMARY KEY, keys TEXT NOT NULL, created REAL NOT NULL);
CREATE TABLE evaluation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL, seed INTEGER NOT NULL,
    round INTEGER NOT NULL, position INTEGER NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('done', 'failed')),
    metrics TEXT NOT NULL, reason TEXT NOT NULL,
    attempts INTEGER NOT NULL, worker TEXT NOT NULL,
    started REAL NOT NULL, seconds REAL NOT NULL,
    versions TEXT NOT NULL,
    UNIQUE (key, seed)
);
"""
_APPEND_ONLY = "CREATE TRIGGER {table}_{verb} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, 'append only'); END;"
_COLUMNS = "key, seed, round, position, status, metrics, reason, attempts, worker, started, seconds, versions"


def key_of(values: Values) -> str:
    """The text under which an evaluation is stored: JSON with sorted names."""
    return json.dumps(dict(values), sort_keys=True, separators=(",", ":"), allow_nan=False)


@dataclass(frozen=True)
class Record:
    """One evaluation.

    Attributes:
        values: what was evaluated, by choice.
        seed: of the evaluation.
        round, position: batch of the search, and place in it.
        status: "done" or "failed".
        metrics: by name, in SI units; empty where it failed.
        reason: why it failed.
        attempts: how often it was started: more than 1 where a worker died.
        worker: host and process that evaluated it.
        started: Unix time in seconds; `seconds` what the last attempt took.
        versions: of what computed it.
    """

    values: Mapping[str, Value]
    seed: int
    round: int
    position: int
    status: str
    metrics: Mapping[str, float]
    reason: str = ""
    attempts: int = 1
    worker: str = ""
    started: float = 0.0
    seconds: float = 0.0
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """As `key_of`."""
        return key_of(self.values)


class Study:
    """An open study; use it in a `with` statement.

    Args:
        path: the file; its folder must exist.
        spec: what is searched, for a new study; an old one must have been made for the same.

    Raises:
        UsageError: no study there and no spec, a study for something else, of a newer format, or no study at all.
    """

    def __init__(self, path: str | Path, spec: Mapping[str, Any] | None = None) -> None:
        self.path = Path(path)
        if spec is None and not self.path.is_file():
            raise UsageError(f"no study at {self.path}", advice="edgeconv search NAME begins one")
        # Transactions are written out below, so the module is not to open its own.
        self._db = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._prepare(spec)
        except sqlite3.DatabaseError as error:
            self._db.close()
            raise UsageError(f"{self.path} is not a study: {error}") from error
        except BaseException:
            self._db.close()
            raise

    def __enter__(self) -> Study:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    @property
    def spec(self) -> dict[str, Any]:
        """What is searched."""
        (text,) = self._db.execute("SELECT text FROM spec").fetchone()
        found: dict[str, Any] = json.loads(text)
        return found

    def append(self, record: Record) -> Record:
        """Store an evaluation for good.

        Returns:
            what the study holds for it now: the record, or the one that was there first.
        """
        row = (
            record.key, record.seed, record.round, record.position, record.status,
            json.dumps(dict(record.metrics), allow_nan=False), record.reason, record.attempts, record.worker,
            record.started, record.seconds, json.dumps(dict(record.versions), sort_keys=True),
        )  # fmt: skip
        self._db.execute(f"INSERT OR IGNORE INTO evaluation ({_COLUMNS}) VALUES ({', '.join('?' * len(row))})", row)
        stored = self.find(record.values, record.seed)
        assert stored is not None
        return stored

    def find(self, values: Values, seed: int) -> Record | None:
        """The record of an evaluation, or None."""
        query = f"SELECT {_COLUMNS} FROM evaluation WHERE key = ? AND seed = ?"
        row = self._db.execute(query, (key_of(values), seed)).fetchone()
        return None if row is None else _record(row)

    def records(self) -> list[Record]:
        """All records, by round and position: an order that does not depend on which worker was faster."""
        rows = self._db.execute(f"SELECT {_COLUMNS} FROM evaluation ORDER BY round, position, id")
        return [_record(row) for row in rows]

    def add_batch(self, round_: int, batch: Sequence[Values]) -> list[dict[str, Value]]:
        """Record what a round will evaluate.

        Returns:
            the batch that the study holds for that round: this one, or the one that was there first.
        """
        keys = json.dumps([key_of(values) for values in batch])
        self._db.execute("INSERT OR IGNORE INTO batch VALUES (?, ?, ?)", (round_, keys, time.time()))
        return self.batches()[round_]

    def batches(self) -> dict[int, list[dict[str, Value]]]:
        """All batches by round."""
        rows = self._db.execute("SELECT round, keys FROM batch ORDER BY round")
        return {round_: [json.loads(key) for key in json.loads(keys)] for round_, keys in rows}

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Be the only process that continues this study; the claim ends with the process, however it ends.

        Raises:
            UsageError: another process is at it.
        """
        with open(self.path.with_name(self.path.name + ".lock"), "a+", encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                lock.seek(0)
                owner = lock.read().strip() or "another one"
                raise UsageError(
                    f"process {owner} is continuing {self.path}", advice="wait for it, or begin another study"
                ) from error
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    def _prepare(self, spec: Mapping[str, Any] | None) -> None:
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._create(spec)
            version = FORMAT_VERSION
        if version != FORMAT_VERSION:
            raise UsageError(
                f"{self.path}: study format {version}",
                expected=f"{FORMAT_VERSION}",
                advice="use the edgeconv that made it",
            )
        if spec is not None and self.spec != json.loads(json.dumps(spec)):
            different = sorted(
                name for name in {*spec, *self.spec} if json.dumps(self.spec.get(name)) != json.dumps(spec.get(name))
            )
            raise UsageError(
                f"{self.path} was begun with another {', '.join(different)}",
                advice="resume it (edgeconv search resume), or name another study",
            )

    def _create(self, spec: Mapping[str, Any] | None) -> None:
        """All tables in one transaction: a study that was killed here is still empty."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
                if spec is None:
                    raise UsageError(f"{self.path} holds no study", advice="edgeconv search NAME begins one")
                triggers = [
                    _APPEND_ONLY.format(table=table, verb=verb)
                    for table in ("spec", "batch", "evaluation")
                    for verb in ("UPDATE", "DELETE")
                ]
                for statement in [*_SCHEMA.split(";\n"), *triggers]:
                    self._db.execute(statement)
                self._db.execute("INSERT INTO spec VALUES (1, ?, ?)", (json.dumps(dict(spec)), time.time()))
                self._db.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
                self._db.execute(f"PRAGMA user_version = {FORMAT_VERSION}")
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise


def _record(row: Sequence[Any]) -> Record:
    key, seed, round_, position, status, metrics, reason, attempts, worker, started, seconds, versions = row
    return Record(
        json.loads(key), seed, round_, position, status, json.loads(metrics), reason, attempts, worker, started,
        seconds, json.loads(versions),
    )  # fmt: skip

"""Checkpoints of a training in a folder, and its log: what a killed training needs to end as if nothing had happened.

    DIR/training.json           the settings it was started with; a training of others does not go on from here
    DIR/checkpoints/STAGE.pt    network, optimizer, random state and step, of the last checkpoint of a stage
    DIR/log.jsonl               one JSON object a line: a report of a stage, with step, loss, learning rate, seconds

Every file is written beside its place and renamed.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from edgeconv.errors import UsageError
from edgeconv.quantize.files import write_whole

__all__ = ["Checkpoints"]


class Checkpoints:
    """The folder of one training.

    Args:
        folder: made when missing.
        settings: everything that decides what comes out, as JSON knows it.
        resume: go on with what is there; nothing there is a fresh start.
        every_s: least seconds between two checkpoints of a stage.

    Raises:
        UsageError: the folder holds a training that has not ended and `resume` is not asked for, or one of other
            settings; or a file in it is damaged.
    """

    def __init__(
        self, folder: str | Path, settings: Mapping[str, Any], *, resume: bool = False, every_s: float = 20.0
    ) -> None:
        self.folder, self.every_s = Path(folder), every_s
        self._states, self._log = self.folder / "checkpoints", self.folder / "log.jsonl"
        self._settings = self.folder / "training.json"
        self._last = time.monotonic()
        if resume:
            self._check_settings(dict(settings))
        elif self._states.is_dir() and any(self._states.glob("*.pt")) and not self.ended:
            raise UsageError(
                f"{self.folder} holds a training that has not ended",
                advice="--resume to go on with it, or another --out; to start anew remove its folder 'checkpoints'",
            )
        self._states.mkdir(parents=True, exist_ok=True)
        for path in (*self._states.glob(".*.partial"), *self.folder.glob(".*.partial")):
            path.unlink()  # of a process that was killed while it wrote
        if not resume:
            for path in self._states.glob("*.pt"):
                path.unlink()
            self._log.unlink(missing_ok=True)
        self._write_settings(dict(settings), ended=resume and self.ended)

    @property
    def ended(self) -> bool:
        """Has the training in the folder run to its end?"""
        return self._settings.is_file() and bool(json.loads(self._settings.read_text())["ended"])

    def end(self) -> None:
        """Say that the training has run to its end; its states stay, for whoever resumes it only to look again."""
        self._write_settings(json.loads(self._settings.read_text())["settings"], ended=True)

    def load(self, stage: str) -> dict[str, Any] | None:
        """The last state of a stage, None when it has not begun."""
        path = self._path(stage)
        if not path.is_file():
            return None
        try:
            state: dict[str, Any] = torch.load(path, weights_only=True)
        except Exception as error:
            raise UsageError(
                f"checkpoint {path} cannot be read: {error}", advice="remove it; its stage starts anew"
            ) from error
        self._forget_after(stage, state["step"])
        return state

    @property
    def due(self) -> bool:
        """Is it time for another checkpoint?"""
        return time.monotonic() - self._last >= self.every_s

    def save(self, stage: str, state: Mapping[str, Any]) -> None:
        """Put a state in place of the last one of that stage."""
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        write_whole(self._path(stage), buffer.getvalue())
        self._last = time.monotonic()

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to the log."""
        with self._log.open("a") as file:
            file.write(json.dumps(dict(record)) + "\n")

    def _path(self, stage: str) -> Path:
        return self._states / f"{stage.replace('/', '-').replace(' ', '-')}.pt"

    def _forget_after(self, stage: str, step: int) -> None:
        """Drop the log's lines of steps that will be done again, and one that was cut off."""
        if not self._log.is_file():
            return
        kept = []
        for line in self._log.read_text().splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record["stage"] != stage or record["step"] <= step:
                kept.append(line + "\n")
        write_whole(self._log, "".join(kept).encode())

    def _check_settings(self, settings: dict[str, Any]) -> None:
        if not self._settings.is_file():
            return
        try:
            before = json.loads(self._settings.read_text())["settings"]
        except (ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{self._settings} is damaged: {error}", advice="train into another --out") from error
        found, wanted = _flat(before), _flat(json.loads(json.dumps(settings)))
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                raise UsageError(
                    f"{self.folder} holds a training with {name} = {found.get(name)}, not {wanted.get(name)}",
                    advice="resume it with the settings it began with, or train into another --out",
                )

    def _write_settings(self, settings: dict[str, Any], *, ended: bool) -> None:
        write_whole(self._settings, json.dumps({"settings": settings, "ended": ended}, indent=2).encode())


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat

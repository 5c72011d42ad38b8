"""The tuner's cache: by content, measured once, whole after any death, and measured again where it was altered."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeconv.cache import cache_folder
from edgeconv.tune.answers import Answer, answered

FACTS = {"isa": "avx2", "steps": [{"kernel": "conv.panels"}]}
MACHINE = {"processor": "one", "edgeconv": "1"}
ANSWER = Answer(0, "conv.panels.0", ("rows", "sums each"), (8, 1), (6, 1), (2e-6, 1.5e-6), 0.01)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def _never() -> list[Answer]:
    raise AssertionError("measured although it is known")


def test_it_is_measured_once() -> None:
    assert answered(FACTS, MACHINE, lambda: [ANSWER]) == [ANSWER]
    assert answered(FACTS, MACHINE, _never) == [ANSWER]


@pytest.mark.parametrize(
    ("facts", "machine"),
    [
        (FACTS | {"isa": "avx512vnni"}, MACHINE),
        (FACTS, MACHINE | {"processor": "another"}),
        (FACTS, MACHINE | {"edgeconv": "2"}),
    ],
)
def test_other_content_is_measured_anew(facts: dict[str, object], machine: dict[str, str]) -> None:
    answered(FACTS, MACHINE, lambda: [ANSWER])
    assert answered(facts, machine, list) == []
    assert answered(FACTS, MACHINE, _never) == [ANSWER]


@pytest.mark.parametrize("text", ["", "{}", '{"answers": [{"step": 0}]}', '{"answers": 3}'])
def test_what_was_altered_is_measured_again(text: str) -> None:
    answered(FACTS, MACHINE, lambda: [ANSWER])
    (file,) = (cache_folder() / "blockings").glob("*/answers.json")
    file.write_text(text)
    assert answered(FACTS, MACHINE, lambda: [ANSWER]) == [ANSWER]
    assert answered(FACTS, MACHINE, _never) == [ANSWER]


def test_death_while_measuring_leaves_what_was_measured() -> None:
    answered(FACTS, MACHINE, lambda: [ANSWER])
    dying = (
        "import os, signal\n"
        "from edgeconv.tune.answers import answered\n"
        f"answered({{'isa': 'neon'}}, {MACHINE!r}, lambda: os.kill(os.getpid(), signal.SIGKILL))\n"
    )
    assert subprocess.run([sys.executable, "-c", dying], check=False).returncode == -signal.SIGKILL
    assert answered(FACTS, MACHINE, _never) == [ANSWER]
    assert answered({"isa": "neon"}, MACHINE, lambda: [ANSWER, ANSWER]) == [ANSWER, ANSWER]

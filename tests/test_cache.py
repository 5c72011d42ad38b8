"""The user's cache: made once, never seen half made, nothing kept of what failed."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeconv.cache import cache_folder, cached, digest


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path


def test_it_is_made_once(folder: Path) -> None:
    calls = []

    def make(place: Path) -> None:
        calls.append(place)
        (place / "result").write_text("made")

    first, second = cached("kind", "key", make), cached("kind", "key", make)
    assert first == second == cache_folder() / "kind" / "key" == folder / "edgeconv" / "kind" / "key"
    assert (first / "result").read_text() == "made"
    assert len(calls) == 1


def test_what_failed_leaves_nothing() -> None:
    def fail(place: Path) -> None:
        (place / "half").write_text("")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        cached("kind", "key", fail)
    assert list((cache_folder() / "kind").iterdir()) == []


def test_of_two_that_make_it_at_once_one_is_kept() -> None:
    def slower(place: Path) -> None:
        cached("kind", "key", lambda other: (other / "by").write_text("the faster") and None)
        (place / "by").write_text("the slower")

    assert (cached("kind", "key", slower) / "by").read_text() == "the faster"
    assert [path.name for path in (cache_folder() / "kind").iterdir()] == ["key"]


def test_parts_cannot_pass_into_their_neighbours() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"])
    assert digest(["a", b"b"]) == digest([b"a", "b"])

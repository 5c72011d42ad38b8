"""`edgeconv inspect` shows what an artifact holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeconv.cli import main
from edgeconv.ir import from_text
from tests.artifact.double import built, copied, quantize_program

pytestmark = pytest.mark.needs_gcc


def test_an_artifact_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(built())]) == 0
    text = capsys.readouterr().out
    for line in ("input   x     f32[1,1,8]  0.5    0", "quantize    q       i8[1,1,8]", "target       x86-64"):
        assert line in text


def test_an_artifact_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(built()), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["outputs"][0]["unit"] == "ns"
    assert [isa["name"] for isa in found["isas"]] == ["generic", "avx2"]


def test_the_program_text_can_be_parsed_back(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(built()), "--text", "-v"]) == 0
    assert from_text(capsys.readouterr().out, {}) == quantize_program()


def test_an_altered_artifact_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    artifact = copied(tmp_path)
    (artifact / "include" / "double.h").write_text("")
    assert main(["inspect", str(artifact)]) == 2
    assert "include/double.h was altered" in capsys.readouterr().err


def test_what_is_neither_artifact_nor_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    assert main(["inspect", str(tmp_path / "notes.txt")]) == 3
    assert main(["inspect", str(tmp_path)]) == 2
    assert "is not an artifact" in capsys.readouterr().err

"""A bitstream on its way: from the cache into an artifact, onto a board, and what `inspect` says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import edgeconv
from edgeconv.artifact import read
from edgeconv.cli import main
from edgeconv.hw.boards import place
from edgeconv.hw.boards.board import BOARDS
from edgeconv.hw.boards.place import Routed
from edgeconv.hw.boards.report import CriticalPath, Report, Use
from edgeconv.hw.soc.serve import ServedSoc
from edgeconv.hw.soc.simulator import SimulatedSoc
from tests.cli.test_compile import write_model

pytestmark = [pytest.mark.needs_verilator, pytest.mark.needs_riscv]
BITS = b"\xff\x00bits of a board"
REPORT = Report("ulx3s-85f", "ulx3s", 1, 115.0, 121.5, {"DP16KD": Use(207, 208)}, CriticalPath("a", "b", 1, 2, ("n",)))


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled where a bitstream has been made."""
    folder = tmp_path_factory.mktemp("bitstream")
    (folder / place.BITSTREAM).write_bytes(BITS)
    REPORT.write(folder / "report.json")
    model = write_model(folder / "tiny.onnx")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, "find_routed", lambda board: Routed(folder) if board is BOARDS["ulx3s-85f"] else None)
        return edgeconv.compile(model, target="ulx3s-85f", output=model.with_suffix(".edge")).path


@pytest.fixture
def loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Path]:
    """Makes an openFPGALoader that notes its arguments and ends with a status."""

    def make(status: int) -> Path:
        program, notes = tmp_path / "openFPGALoader", tmp_path / "arguments"
        program.write_text(f'#!/bin/sh\necho "$@" > {notes}\necho no cable >&2\nexit {status}\n')
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
        return notes

    return make


def test_an_artifact_carries_the_bitstream_and_inspect_its_clock(
    artifact: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (artifact / "lib/board.bit").read_bytes() == BITS
    assert "lib/board.bit" in read(artifact).manifest.files
    assert main(["inspect", str(artifact)]) == 0
    assert "at 115 MHz, for which the bitstream is made (routed: 121.5 MHz)" in capsys.readouterr().out


def test_deploy_loads_the_board_and_runs_a_sample_on_it(
    artifact: Path, loader: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    with ServedSoc(SimulatedSoc()) as served:
        notes = loader(0)
        assert main(["deploy", str(artifact), "--device", f"serial:{served.path}"]) == 0
    assert notes.read_text().split() == ["--board", "ulx3s", str(artifact / "lib/board.bit")]
    assert "its self-test found no difference" in capsys.readouterr().out


def test_without_the_loader_the_command_is_printed(
    artifact: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert main(["deploy", str(artifact), "--device", "serial:/dev/ttyUSB0"]) == 0
    assert f"openFPGALoader --board ulx3s {artifact / 'lib/board.bit'}" in capsys.readouterr().out


def test_a_loader_that_fails_is_an_error(
    artifact: Path, loader: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    loader(1)
    assert main(["deploy", str(artifact), "--device", "serial:/dev/ttyUSB0"]) == 4
    assert "no cable" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "deploy needs one place"),
        (["host", "--device", "serial:/dev/ttyUSB0"], "deploy needs one place"),
        (["--device", "sim"], "device 'sim'"),
    ],
)
def test_deploy_needs_one_place(
    artifact: Path, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", str(artifact), *arguments]) == 2
    assert text in capsys.readouterr().err


def test_an_artifact_without_a_bitstream_says_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(place, "find_routed", lambda board: None)
    model = write_model(tmp_path / "tiny.onnx")
    path = edgeconv.compile(model, target="ulx3s-85f", output=tmp_path / "tiny.edge").path
    assert main(["deploy", str(path), "--device", "serial:/dev/ttyUSB0"]) == 2
    assert "make bitstream" in capsys.readouterr().err
    assert main(["inspect", str(path)]) == 0
    assert "the clock aimed for (no bitstream in this artifact)" in capsys.readouterr().out

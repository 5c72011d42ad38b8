"""Target c on simulated microcontrollers: every bit of the reference, and sizes that were measured."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import edgeconv
from scripts.bench_networks import write
from scripts.microcontroller import BOARDS, Board, run_on_board

pytestmark = [pytest.mark.needs_gcc, pytest.mark.needs_qemu_system]
_BOARDS = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def _compiled(name: str, folder: Path) -> Path:
    model = write(name, folder, ("u8s8",), calibration=4)["u8s8"]
    return edgeconv.compile(model, target="c", output=folder / f"{name}.edge").path


@pytest.fixture(scope="module")
def pulse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _compiled("pulse", tmp_path_factory.mktemp("board"))


@pytest.fixture(scope="module")
def ecg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _compiled("ecg", tmp_path_factory.mktemp("board"))


@_BOARDS
def test_pulse_gives_the_bits_of_the_reference(pulse: Path, board: Board) -> None:
    measured = run_on_board(pulse, board)
    assert (measured.samples, measured.different) == (16, 0)
    assert 500 < measured.code < 4_000
    assert 51_000 < measured.constants < 56_000
    # Its 284,000 products take at least an instruction each, and no software division each.
    assert 284_000 < measured.instructions < 10 * 284_000
    assert 0 < measured.stack < 1_024
    assert measured.scratch < 4_096


@pytest.mark.slow
@_BOARDS
def test_ecg_gives_the_bits_of_the_reference(ecg: Path, board: Board) -> None:
    measured = run_on_board(ecg, board)
    assert (measured.samples, measured.different) == (1, 0)
    assert measured.code < 10_000
    assert measured.scratch < 256 << 10


def test_a_wrong_bit_is_seen(pulse: Path, tmp_path: Path) -> None:
    altered = shutil.copytree(pulse, tmp_path / "altered")
    source = altered / "src" / "pulse.c"
    text = source.read_text()
    assert "cell = step_07_bias[v];" in text
    source.write_text(text.replace("cell = step_07_bias[v];", "cell = step_07_bias[v] + 4000;"))
    assert run_on_board(altered, BOARDS["mps2-an500"]).different > 0

"""Latencies of a board that is reached over ssh: a real server on the loopback interface runs the real network."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeconv.artifact.manifest import parse_manifest, render_manifest
from edgeconv.artifact.store import file_entries
from edgeconv.errors import DeviceError
from edgeconv.search.board import Board
from edgeconv.search.costs import costs_of
from edgeconv.search.session import Settings
from tests.artifact.double import built, copied
from tests.deploy.sshd import Server, start
from tests.test_tiny import tiny_model

pytestmark = [pytest.mark.needs_gcc, pytest.mark.needs_sshd]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = start(tmp_path_factory.mktemp("sshd"))
    yield running
    running.process.terminate()
    running.process.wait()


def board(server: Server, folder: str = "") -> Board:
    return Board(f"127.0.0.1{folder and ':'}{folder}", tuple(server.options()))


@pytest.mark.parametrize("folder", ["", "nets"])
def test_the_least_median_is_taken_and_nothing_is_left_behind(server: Server, folder: str) -> None:
    seconds = board(server, folder).latency(built(), "one.edge", rounds=20, repeats=3)
    assert 1e-9 < seconds < 1e-3
    assert [path.name for path in server.home.rglob("*") if path.name != folder] == []


def test_a_network_that_computes_something_else_there_has_no_latency(server: Server, tmp_path: Path) -> None:
    wrong = copied(tmp_path)
    y = np.load(wrong / "golden" / "output-0.npy")
    y[3, 0, 0, 1] += 0.5
    np.save(wrong / "golden" / "output-0.npy", y)
    manifest = parse_manifest((wrong / "manifest.json").read_text(encoding="utf-8"), wrong)
    text = render_manifest(dataclasses.replace(manifest, files=file_entries(wrong)))
    (wrong / "manifest.json").write_text(text, encoding="utf-8")
    with pytest.raises(DeviceError, match=r"computes something else than the reference: .*1 of 48 values differ"):
        board(server).latency(wrong, "one.edge", rounds=20, repeats=1)


@pytest.mark.slow
def test_a_model_is_compiled_measured_there_and_not_measured_again(server: Server, tmp_path: Path) -> None:
    tiny_model(tmp_path / "tiny.onnx")
    asked = ["latency", "arena_bytes", "macs"]
    found = costs_of(tmp_path / "tiny.onnx", "cpu", asked, tmp_path / "cache", board(server))
    assert set(found) == set(asked)
    assert 1e-9 < found["latency"] < 1e-3
    assert costs_of(tmp_path / "tiny.onnx", "cpu", asked, tmp_path / "cache", board(server)) == found
    # What was measured there says nothing of this machine.
    here = costs_of(tmp_path / "tiny.onnx", "cpu", asked, tmp_path / "cache")
    assert here["macs"] == found["macs"]
    assert len(list((tmp_path / "cache").glob("*.json"))) == 2


def test_a_board_that_does_not_answer_is_named(server: Server) -> None:
    closed = Board("127.0.0.1", tuple(server.options(port=9)))
    with pytest.raises(DeviceError, match=r"127\.0\.0\.1"):
        closed.latency(built(), "one.edge", rounds=1, repeats=1)


def test_a_study_remembers_its_board() -> None:
    settings = Settings("pulse", board="pi@board", ssh_options=("-p", "2222"))
    spec = {name: getattr(settings, name) for name in Settings.__dataclass_fields__}
    assert Settings.from_spec(spec | {"ssh_options": ["-p", "2222"]}) == settings

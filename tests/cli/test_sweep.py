"""`edgeconv sweep` runs a grid, keeps its table, and does not run it again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeconv.cli import main
from tests.search.test_sweep import sweep_file


def test_a_sweep_fills_its_folder_and_is_not_run_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = sweep_file(tmp_path, 'weight_bits = [4, 8]\nactivation_bits = [4, 8]\nmethod = ["minmax"]')
    monkeypatch.chdir(tmp_path)
    assert main(["sweep", str(file)]) == 0
    first = capsys.readouterr().out
    assert first.startswith("weight_bits  activation_bits  method  y_calibration_sqnr_db")
    assert "4 configurations, 0 failed; written to bits.sweep: table.csv and 1 heat maps" in first
    assert len((tmp_path / "bits.sweep" / "table.csv").read_text().splitlines()) == 5
    times = (tmp_path / "bits.sweep" / "table.csv").read_text()
    assert main(["sweep", str(file), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [c["status"] for c in document["configurations"]] == ["done"] * 4
    assert (tmp_path / "bits.sweep" / "table.csv").read_text() == times

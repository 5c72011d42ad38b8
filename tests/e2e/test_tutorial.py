"""docs/tutorial-own-model.md: its files and commands, run one after the other as they are written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scripts.refresh_outputs import refreshed

PAGE = Path(__file__).parents[2] / "docs" / "tutorial-own-model.md"


@pytest.mark.slow
@pytest.mark.needs_gcc
@pytest.mark.needs_torch
def test_the_page_runs_as_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    page = PAGE.read_text(encoding="utf-8")
    found = "\n".join(refreshed(page, tmp_path))
    assert "(exit code" not in found
    assert "Traceback" not in found
    assert re.findall(r"^\$ .*", found, re.M) == re.findall(r"^\$ .*", page, re.M)
    assert "verified: artifact and reference agree bit for bit" in found
    (shares,) = re.findall(r"output: accuracy: float ([\d.]+) %, quantized ([\d.]+) %", found)
    (by_artifact,) = re.findall(r"^([\d.]+) % of 1000 samples right", found, re.M)
    assert float(shares[0]) > 75
    assert abs(float(shares[1]) - float(shares[0])) < 2
    # onnxruntime, which judged the quantized model, and the artifact may differ in a sample on the edge.
    assert abs(float(by_artifact) - float(shares[1])) <= 0.2
    assert {"fan.q.onnx", "fan.float.onnx", "fan.edge", "states.npz", "fan4.q.onnx"} <= {
        path.name for path in tmp_path.iterdir()
    }


def test_the_page_shows_outputs_of_today_s_shape() -> None:
    page = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", page, re.S)
    assert len(blocks) == 7
    assert all(len(block.splitlines()) > 1 for block in blocks), "every command shows its output"

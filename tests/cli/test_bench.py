"""`edgeconv bench` measures what it says it measures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edgeconv.bench import measure
from edgeconv.bench.measure import BenchReport, Timing, bench
from edgeconv.cli import main
from edgeconv.errors import UsageError
from tests.artifact.double import built

pytestmark = pytest.mark.needs_gcc


@pytest.fixture(autouse=True)
def _short_and_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short turns, and no pinning: the other tests of this process want all cores."""
    monkeypatch.setattr(measure, "_PASS_SECONDS", 0.002)
    monkeypatch.setattr(measure, "_WARM_SECONDS", 0.002)
    monkeypatch.setattr(measure, "_C_ROUNDS", 5)
    monkeypatch.setattr(measure, "pin", lambda: None)


def test_every_way_and_batch_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["bench", str(built()), "--batch", "1", "--batch", "5", "--passes", "2", "--isa", "generic", "--json"]
    assert main(command) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["isa"] == "generic"
    measured = [(timing["subject"], timing["batch"]) for timing in found["timings"]]
    assert measured == [(way, batch) for batch in (1, 5) for way in ("python", "python, out=", "c")]
    for timing in found["timings"]:
        assert 0 < timing["p05_s"] <= timing["median_s"] <= timing["p95_s"]
        assert timing["samples_per_s"] == pytest.approx(timing["batch"] / timing["median_s"])


def test_the_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(built()), "-b", "1", "--passes", "1"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("way           batch  median")
    assert "int8 peak of one core" in text


def test_ratios() -> None:
    timings = (Timing("python", 4, 2e-6, 1e-6, 3e-6, 9), Timing("onnxruntime", 4, 1e-5, 1e-5, 1e-5, 9))
    report = BenchReport("x", "cpu", "avx2", 1000, 0, 0.0, timings, peak=4e9)
    assert report.speedup(timings[0]) == pytest.approx(5.0)
    assert report.speedup(timings[1]) is None
    assert report.share_of_peak(timings[0]) == pytest.approx(0.5)


def test_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="whole numbers from 1 on"):
        bench(built(), batches=(0,))
    with pytest.raises(UsageError, match=r"none\.onnx: no such file"):
        bench(built(), model=tmp_path / "none.onnx", passes=1)

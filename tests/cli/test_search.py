"""`edgeconv search` begins, shows, resumes and exports a study of a real family."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import edgeconv
from edgeconv.cli import main

pytestmark = pytest.mark.needs_torch

BEGIN = ["search", "pulse", "--objective", "time_resolution", "--objective", "mac_bits", "--supernet-steps", "2"]


@pytest.mark.slow
def test_a_study_from_its_beginning_to_its_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*BEGIN, "--evals", "2", "--constraint", "model_bytes<2MB", "--json"]) == 0
    begun = capsys.readouterr()
    document = json.loads(begun.out)
    assert document["evaluations"] == 2
    assert document["failed"] == 0
    assert "training the supernet, 2 steps" in begun.err
    assert "2 of 2" in begun.err
    for point in document["front"]:
        assert set(point["metrics"]) == {"time_resolution", "mac_bits", "model_bytes"}

    assert main(["search", "show", "pulse.search"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("point  time_resolution  mac_bits")
    assert "written to pulse.search: front.json, report.html, front.png, policies/" in shown

    assert main(["search", "resume", "pulse.search", "--evals", "3", "-q", "--json"]) == 0
    resumed = capsys.readouterr()
    assert json.loads(resumed.out)["evaluations"] == 3
    assert resumed.err == ""

    assert main(["search", "export", "pulse.search", "all.csv"]) == 0
    assert capsys.readouterr().out == "all.csv: 3 evaluations\n"
    assert len(Path("all.csv").read_text().splitlines()) == 4

    assert main(["search", "export", "pulse.search", "net.onnx", "--steps", "2"]) == 0
    assert capsys.readouterr().out.startswith("net.onnx: depth=")
    assert main(["search", "export", "pulse.search", "net.onnx", "--point", "9"]) == 2
    assert "point 9 of a front of" in capsys.readouterr().err

    assert main(["search", "finish", "pulse.search", "--point", "0", "--steps", "2", "--json"]) == 0
    finished = capsys.readouterr()
    (winner,) = json.loads(finished.out)["winners"]
    assert "point 0 (1 of 1) ready" in finished.err
    assert (Path(winner["folder"]) / "network.edge" / "manifest.json").is_file()
    assert main(["search", "finish", "pulse.search", "--point", "0", "--steps", "2"]) == 0
    header, row = capsys.readouterr().out.splitlines()
    assert header.split()[:3] == ["point", "time_resolution", "energy_resolution"]
    assert f"{winner['compared']} values equal" in row
    assert row.endswith(winner["folder"])

    study = edgeconv.search(
        "pulse", objectives=["time_resolution", "mac_bits"], constraints=["model_bytes<2MB"], supernet_steps=2,
        evaluations=3,
    )  # fmt: skip
    assert len(study.evaluated) == 3
    assert len(study.front) >= 1

    assert main([*BEGIN, "--evals", "2", "--seed", "1"]) == 2
    assert "was begun with another constraints, seed" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["search", "sonar", "--objective", "macs"], "no family of models 'sonar'\n  expected: "),
        (
            ["search", "pulse", "--objective", "speed"],
            "no metric speed\n  expected: time_resolution, energy_resolution",
        ),
        (["search", "show", "nothing"], "no study at nothing/study.sqlite\n  try: edgeconv search NAME begins one"),
    ],
)
def test_refusals(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_options_of_a_strategy_are_numbers_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*BEGIN, "--option", "first"]) == 2
    assert "option 'first'\n  expected: NAME=N, such as first=24" in capsys.readouterr().err
    assert main([*BEGIN, "--option", "last=3"]) == 2
    assert "strategy 'predictors' has no option last\n  expected: first, batch" in capsys.readouterr().err

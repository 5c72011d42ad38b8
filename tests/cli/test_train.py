"""`edgeconv train` and `edgeconv models`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgeconv.cli import main
from edgeconv.quantize import QuantPolicy

SMALL = [
    *("waves.size=16", "waves.frame_s=0.0625", "waves.frames=90", "waves.geometries=['square', 'channel']"),
    *("network.width=4", "network.depth=3", "network.size=3", "train_records=4", "test_records=3", "batch=2"),
    *("unroll=2", "long_unroll=3", "float_stage.steps=4", "long_stage.steps=2", "twin_stage.steps=3"),
]


def train(*arguments: str | Path) -> int:
    assignments = [part for item in SMALL for part in ("--set", item)]
    return main(["train", "oneway_wave", *assignments, *map(str, arguments)])


@pytest.mark.needs_torch
def test_a_family_is_trained_judged_and_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("skfem")
    pytest.importorskip("brevitas")
    monkeypatch.setenv("EDGECONV_CACHE", str(tmp_path / "cache"))
    policy, out = tmp_path / "p.toml", tmp_path / "w"
    policy.write_text('weight_bits = 5\ncalibration = "percentile"\n[layers]\n"convs.0.*" = { weight_bits = 8 }\n')
    assert train("--policy", policy, "--out", out, "--seed", "3", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["models"] == {
        "qcdq": str(out / "oneway_wave.onnx"),
        "qonnx": str(out / "oneway_wave.qonnx.onnx"),
        "float": str(out / "oneway_wave.float.onnx"),
    }
    assert all(Path(path).stat().st_size > 1000 for path in report["models"].values())
    assert [row[0] for row in report["comparison"]["rows"]] == ["float", "quantized", "going on as before"]
    assert QuantPolicy.from_toml(out / "policy.toml") == QuantPolicy.from_toml(policy)
    records = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [(record["stage"], record["step"]) for record in records] == [
        ("float", 4),
        ("longer roll-outs", 2),
        ("quantization-aware", 3),
    ]
    kept = json.loads((out / "training.json").read_text())
    assert kept["ended"]
    assert kept["settings"]["config"]["seed"] == 3

    before = (out / "oneway_wave.onnx").read_bytes()
    assert train("--policy", policy, "--out", out, "--seed", "3", "--resume") == 0
    text = capsys.readouterr().out
    assert (out / "oneway_wave.onnx").read_bytes() == before
    assert text.splitlines()[-1] == f"next:   edgeconv compile {out / 'oneway_wave.onnx'}"
    assert train("--policy", policy, "--out", out, "--seed", "4", "--resume") == 2
    assert "holds a training with config.seed = 3, not 4" in capsys.readouterr().err
    policy.write_text('[layers]\n"conv.0" = { weight_bits = 8 }\n')
    assert train("--policy", policy, "--out", tmp_path / "other") == 2
    assert "weight_bits of the rule 'conv.0' matches no layer (did you mean 'convs.0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["puls"], "no family of models named 'puls'"),
        (["pulse", "--set", "batsh=3"], "settings of 'pulse': unknown setting 'batsh' (did you mean 'batch'?)"),
        (["pulse", "--set", "batch=1"], "batch 1, threads 1"),
        (["pulse", "--config", "tiny"], "'pulse' has no configuration 'tiny'\n  expected: nano, small"),
        (["oneway_wave", "--config", "small.toml"], "'oneway_wave' has no configuration 'small.toml'"),
        (["pulse", "--config", "nano", "--config", "small"], "expected: one name and one file at most"),
        (["pulse", "--policy", "none.toml"], "policy file none.toml: No such file"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.needs_torch
def test_a_policy_file_changes_only_what_it_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pulse recipe refuses scales that are not powers of two; a file about bits leaves them alone."""
    given: list[Any] = []
    monkeypatch.setattr(
        "edgeconv.models.pulse.family.PulseFamily.train", lambda self, config, **_: given.append(config) or 1 / 0
    )
    (tmp_path / "p.toml").write_text('[layers]\n"layers.1" = { weight_bits = 4 }\n')
    assert main(["train", "pulse", "--policy", str(tmp_path / "p.toml"), "--out", str(tmp_path / "out")]) == 70
    (config,) = given
    assert config.policy.bits_of("layers.1").weight_bits == 4
    assert config.policy.power_of_two


@pytest.mark.needs_torch
def test_a_configuration_by_name_and_settings_from_a_file_go_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(
        "edgeconv.models.pulse.family.PulseFamily.train", lambda self, config, **_: given.append(config) or 1 / 0
    )
    (tmp_path / "s.toml").write_text("batch = 64\n[pulses]\nadc_bits = 14\n")
    arguments = ["--config", "nano", "--config", str(tmp_path / "s.toml"), "--out", str(tmp_path / "out")]
    assert main(["train", "pulse", *arguments]) == 70
    (config,) = given
    assert (config.network.channels, config.batch, config.pulses.adc_bits) == ((4, 8, 8, 8), 64, 14)


def test_help_shows_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--help"]) == 0
    assert "  edgeconv train pulse --policy 4bit.toml --out pulse4 --seed 3\n" in capsys.readouterr().out


def test_families_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--json"]) == 0
    families = {family["name"]: family for family in json.loads(capsys.readouterr().out)}
    assert {"pulse", "oneway_wave"} <= families.keys()
    assert all(family["data"] and family["size"] and family["metric"] for family in families.values())
    assert main(["models", "pulse"]) == 0
    assert "float_stage.steps             700" in capsys.readouterr().out
    assert main(["models", "pulse", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["settings"]["pulses"]["snr_db"] == 47.4
    assert shown["configurations"][:2] == ["nano", "small"]

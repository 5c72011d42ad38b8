"""What cannot be tuned here says so before any work, with the exit code and the advice that fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeconv.cli import main
from edgeconv.errors import DeviceError, UsageError
from edgeconv.runtime import cpu_features
from edgeconv.targets import load_target
from edgeconv.tune import machine
from edgeconv.tune.machine import tunable_isa

HASWELL = cpu_features.INSTRUCTION_SETS["avx2"].features


def _on(monkeypatch: pytest.MonkeyPatch, architecture: str, features: frozenset[str]) -> None:
    """As if this machine were another one."""
    monkeypatch.setattr(machine, "host_architecture", lambda: architecture)
    monkeypatch.setattr(cpu_features, "host_architecture", lambda: architecture)
    monkeypatch.setattr(cpu_features, "host_features", lambda: features)


@pytest.mark.parametrize(("target", "isa"), [("x86-64", "avx2"), ("x86-64-avx2", "avx2")])
def test_the_fastest_that_runs_is_tuned(target: str, isa: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _on(monkeypatch, "x86_64", HASWELL)
    assert tunable_isa(load_target(target)) == isa


def test_boards_tune_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    _on(monkeypatch, "aarch64", frozenset({"asimd", "asimddp"}))
    assert tunable_isa(load_target("rpi5")) == "neon+dotprod"
    with pytest.raises(DeviceError, match="is for x86_64"):
        tunable_isa(load_target("x86-64"))


def test_features_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _on(monkeypatch, "x86_64", HASWELL)
    with pytest.raises(DeviceError, match=r"avx512vnni needs avx512_vnni, avx512bw.*") as caught:
        tunable_isa(load_target("x86-64-avx512vnni"))
    assert "compile without --tune" in str(caught.value)


@pytest.mark.parametrize("target", ["generic", "c", "cuda", "hls", "ulx3s-85f"])
def test_targets_without_blockings(target: str) -> None:
    with pytest.raises(UsageError, match="there are no blockings to choose") as caught:
        tunable_isa(load_target(target))
    assert "try: compile without --tune" in str(caught.value)


@pytest.mark.parametrize(("target", "code", "advice"), [
    ("rpi5", 4, "compile with --tune on the board itself, or without it here"),
    ("cuda", 2, "compile without --tune"),
])  # fmt: skip
def test_exit_codes(
    target: str,
    code: int,
    advice: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _on(monkeypatch, "x86_64", HASWELL)
    monkeypatch.chdir(tmp_path)
    assert main(["compile", "no-such-model.onnx", "--tune", "-t", target]) == code
    err = capsys.readouterr().err
    assert f"target '{target}'" in err
    assert f"try: {advice}" in err
    assert list(tmp_path.iterdir()) == []

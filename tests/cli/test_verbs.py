"""`edgeconv doctor` and `edgeconv targets`."""

from __future__ import annotations

import json
from importlib import metadata
from pathlib import Path

import pytest

from edgeconv import doctor
from edgeconv.cli import main
from edgeconv.runtime.cpu_features import supported_isas


def test_doctor_reports_packages_tools_and_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    assert code == (0 if report["healthy"] else 4)
    assert report["instruction_sets"] == list(supported_isas())
    checks = {(check["area"], check["name"]): check for check in report["checks"]}
    assert len(checks) == len(report["checks"]), "a package of several extras is shown once"
    assert checks["packages", "numpy"]["found"] == metadata.version("numpy")
    assert checks["packages", "numpy"]["required"]
    assert not checks["packages", "torch"]["required"]
    assert {name for area, name in checks if area == "tools"} >= {"gcc", "musl-gcc", "nvcc"}
    assert all(check["advice"] for check in report["checks"] if check["status"] != "ok")


def test_doctor_fails_on_a_pinned_package_of_another_version(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = metadata.version
    monkeypatch.setattr(
        doctor.metadata, "version", lambda name: "0.1.15.post1" if name == "apache-tvm-ffi" else versions(name)
    )
    assert main(["doctor"]) == 4
    line = next(line for line in capsys.readouterr().out.splitlines() if "apache-tvm-ffi" in line)
    assert "!!" in line
    assert "0.1.15.post1; wants ==0.1.14.post1: pip install 'apache-tvm-ffi==0.1.14.post1'" in line


def test_doctor_names_the_debian_package_of_a_missing_tool(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda name: None)
    assert main(["doctor"]) == 4
    out = capsys.readouterr().out
    assert "apt-get install musl-tools" in out
    assert "something required is missing" in out


def test_doctor_names_the_cpu_flags_that_are_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "missing_features", lambda isa: () if isa == "generic" else ("fma",))
    monkeypatch.setattr(doctor, "host_architecture", lambda: "x86_64")
    main(["doctor"])
    out = capsys.readouterr().out
    assert "lacks fma" in out
    assert "instruction sets that run here: generic " in out


def test_targets_are_listed_with_their_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines() if line}
    assert "works" in lines["x86-64"]
    assert "works" in lines["rpi5"]
    assert "works" in lines["ulx3s-85f"]
    assert "works" in lines["cuda"]
    assert "works" in lines["hls"]


def test_one_target_is_shown_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["targets", "x86-64-avx512vnni", "--json"]) == 0
    target = json.loads(capsys.readouterr().out)
    assert target["isas"] == [{"name": "avx512vnni", "cpu": "x86-64-v4", "features": ["avx512vnni"]}]
    assert target["available"]


def test_a_file_of_ones_own_is_checked_by_showing_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('family = "cpu"\n')
    assert main(["targets", str(path)]) == 2
    assert f"target file {path}: field 'description' is missing" in capsys.readouterr().err

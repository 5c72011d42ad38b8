"""Artifacts for 64-bit Arm, compiled here and run under qemu: the bits of the reference, clear words about tools."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import edgeconv
from edgeconv import reference
from edgeconv.api import verify
from edgeconv.artifact import compilers, read
from edgeconv.bench import bench, count_instructions
from edgeconv.cli import main
from edgeconv.errors import DeviceError, ToolError
from edgeconv.runtime import emulated
from edgeconv.runtime.emulated import EmulatedRunner, open_runner
from tests.cli.test_compile import write_model

X = np.random.default_rng(1).normal(0, 4, (20, 1, 2, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arm")
    return edgeconv.compile(write_model(folder / "small.onnx"), target="aarch64", output=folder / "small.edge").path


@pytest.mark.needs_qemu
@pytest.mark.parametrize("isa", ["neon", "neon+dotprod"])
def test_results_under_emulation_are_those_of_the_reference(compiled: Path, isa: str) -> None:
    artifact = read(compiled)
    expected = reference.run(artifact.program(), {"x": X})["y"]
    runner = open_runner(artifact, isa)
    assert isinstance(runner, EmulatedRunner)
    assert runner(X).tobytes() == expected.tobytes()
    assert runner(X[0]).tobytes() == expected[0].tobytes()
    assert runner.run({"x": X})["y"].tobytes() == expected.tobytes()


@pytest.mark.needs_qemu
def test_verify_names_the_emulation(compiled: Path) -> None:
    report = verify(compiled, samples=8)
    assert report.ok
    assert {found.peer for found in report.comparisons} == {
        "artifact (neon, under qemu)",
        "artifact (neon+dotprod, under qemu)",
    }


@pytest.mark.needs_qemu
def test_bench_counts_instructions_instead_of_time(compiled: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(compiled), "--json"]) == 0
    counts = json.loads(capsys.readouterr().out)["counts"]
    assert [count["isa"] for count in counts] == ["neon", "neon+dotprod"]
    with pytest.raises(DeviceError, match="under emulation time says nothing"):
        bench(compiled)


@pytest.mark.needs_qemu
def test_instructions_are_counted_one_by_one(compiled: Path, tmp_path: Path) -> None:
    """qemu in steps of one instruction logs a line for each: the same sum."""
    (count,) = count_instructions(compiled, "neon").counts
    runner = open_runner(read(compiled), "neon")
    assert isinstance(runner, EmulatedRunner)
    golden, _ = read(compiled).golden()
    lines = []
    for samples in (1, 2):
        command = runner.command_for([np.repeat(golden["x"][:1], samples, axis=0)], tmp_path)
        command[1:1] = ["-singlestep", "-d", "exec,nochain"]
        done = subprocess.run(command, capture_output=True, check=True)
        lines.append(sum(line.startswith(b"Trace") for line in done.stderr.splitlines()))
    assert count.instructions == lines[1] - lines[0] > 100


@pytest.mark.needs_qemu
def test_a_missing_emulator_is_named_with_its_package(compiled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(emulated.shutil, "which", lambda name: None)
    with pytest.raises(DeviceError, match="which is for aarch64") as caught:
        edgeconv.load(compiled)
    assert caught.value.advice == "apt-get install qemu-user-static runs it under emulation"


def test_a_missing_cross_compiler_is_named_with_its_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    which = shutil.which
    monkeypatch.setattr(compilers, "host_architecture", lambda: "x86_64")
    monkeypatch.setattr(compilers.shutil, "which", lambda name: None if "aarch64" in name else which(name))
    with pytest.raises(ToolError, match="aarch64-linux-gnu-gcc is not installed") as caught:
        compilers.find_compiler("aarch64")
    assert "apt-get install gcc-aarch64-linux-gnu libc6-dev-arm64-cross" in (caught.value.advice or "")

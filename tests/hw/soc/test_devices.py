"""The way of a user: run, verify and bench an artifact on the simulated system, in process and behind a port."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgeconv
from edgeconv import reference
from edgeconv.artifact import read
from edgeconv.cli import main
from edgeconv.errors import DeviceError
from edgeconv.hw.soc.serve import ServedSoc
from edgeconv.hw.soc.simulator import SimulatedSoc
from edgeconv.runtime import board as board_module
from edgeconv.verify.inputs import random_inputs
from tests.cli.test_compile import write_model

pytestmark = [pytest.mark.needs_verilator, pytest.mark.needs_riscv]
TARGET = "ulx3s-85f"


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = write_model(tmp_path_factory.mktemp("soc") / "tiny.onnx")
    return edgeconv.compile(model, target=TARGET, output=model.with_suffix(".edge")).path


def test_a_model_with_float_ends_runs_on_the_system_as_in_the_reference(artifact: Path) -> None:
    runner = edgeconv.load(artifact, device="sim-soc")
    whole = read(artifact).program()
    inputs = random_inputs(whole, 5, 4)
    found = runner.run(inputs)
    for name, expected in reference.run(whole, inputs).items():
        assert found[name].tobytes() == expected.tobytes()


def test_verify_compares_the_system_with_the_reference(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(artifact), "--samples", "8", "--device", "sim-soc"]) == 0
    assert "artifact (array, sim-soc)" in capsys.readouterr().out


def test_bench_counts_cycles_and_bytes(artifact: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", str(artifact), "--device", "sim-soc", "--json"]) == 0
    system = json.loads(capsys.readouterr().out)
    assert main(["bench", str(artifact), "--json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert system["cycles"] == alone["cycles"] > 0
    assert system["bytes_sent"] > 0 == alone["bytes_sent"]
    assert system["measured_samples_per_second"] is None


def test_run_on_a_serial_port(artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = read(artifact).program()
    inputs = random_inputs(program, 3, 5)
    np.savez(tmp_path / "in.npz", **inputs)
    with ServedSoc(SimulatedSoc()) as served:
        arguments = ["run", str(artifact), "-i", str(tmp_path / "in.npz"), "-o", str(tmp_path / "out.npz")]
        assert main([*arguments, "--device", f"serial:{served.path}"]) == 0
    found = np.load(tmp_path / "out.npz")
    for name, expected in reference.run(program, inputs).items():
        assert found[name].tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("device", "code", "text"),
    [
        ("fpga", 4, "sim-soc (the whole system, simulated), serial:PORT"),
        ("serial:", 2, "expected: serial:/dev/ttyUSB0, or serial:/dev/ttyUSB0@115200"),
        ("serial:/dev/null@fast", 2, "expected: serial:/dev/ttyUSB0"),
        ("serial:/dev/no-such-port", 4, "plug the board in"),
    ],
)
def test_a_device_that_is_none(
    artifact: Path, device: str, code: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", str(artifact), "--device", device]) == code
    assert text in capsys.readouterr().err


def test_a_board_that_computes_something_else_fails_its_self_test(
    artifact: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = reference.run

    def off_by_one(*arguments: object, **options: object) -> dict[str, np.ndarray]:
        return {name: array + 1 for name, array in right(*arguments, **options).items()}  # type: ignore[arg-type]

    monkeypatch.setattr(board_module.reference, "run", lambda *a, **o: off_by_one(*a, **o))
    with pytest.raises(DeviceError, match=r"sim-soc failed its self-test: \d+ results differ"):
        edgeconv.load(artifact, device="sim-soc")

"""The way of a user: compile for the accelerator, look, run and verify on its simulation."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgeconv
from edgeconv import reference
from edgeconv.api import compile_program
from edgeconv.artifact import read
from edgeconv.cli import main
from edgeconv.errors import ArtifactError, UnsupportedModelError
from edgeconv.hw.compiler import image_from_bytes
from edgeconv.runtime.simulated_array import SimulatedArrayRunner
from edgeconv.verify.inputs import random_inputs
from tests.cli.test_compile import write_model
from tests.hw.test_pulse import pulse_program
from tests.hw.test_refusals import half, program

pytestmark = pytest.mark.needs_verilator
TARGET = "ulx3s-85f"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("array") / "tiny.onnx")


@pytest.fixture(scope="module")
def artifact(model: Path) -> Path:
    report = edgeconv.compile(model, target=TARGET, output=model.with_suffix(".edge"))
    assert report.tested_isas == ("array",)
    return report.path


@pytest.fixture(scope="module")
def pulse(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pulse")
    return compile_program(pulse_program("u16", "i8"), folder / "pulse.edge", TARGET).path


def test_floats_at_both_ends_are_the_hosts_work(artifact: Path) -> None:
    runner = edgeconv.load(artifact)
    whole = read(artifact).program()
    inputs = random_inputs(whole, 9, 4)
    assert {whole.types[name].dtype.name for name in whole.inputs} == {"f32"}
    found = runner.run(inputs)
    for name, expected in reference.run(whole, inputs).items():
        assert found[name].tobytes() == expected.tobytes()


def test_the_runner_counts_the_cycles_of_every_sample(pulse: Path) -> None:
    runner = edgeconv.load(pulse)
    assert isinstance(runner, SimulatedArrayRunner)
    x = np.random.default_rng(1).integers(0, 4096, (3, 1, 1, 128)).astype(np.uint16)
    assert runner(x).shape == (3, 1, 2)
    assert runner.cycles.tolist() == [2398] * 3


def test_verify_derives_the_image_again(artifact: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(artifact), "--model", str(model), "--device", "sim"]) == 0
    assert "artifact (array, under RTL simulation)" in capsys.readouterr().out


def test_inspect_shows_cycles_use_memory_and_rate(pulse: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(pulse)]) == 0
    out = capsys.readouterr().out
    assert "2398 cycles a sample, 92% of 128 multipliers; 47,957 samples/s at 115 MHz" in out
    assert main(["inspect", str(pulse), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [layer["cycles"] for layer in found["array"]["layers"]] == [128, 640, 640, 640, 256, 8]
    assert found["array"]["memory"]["weights"] == [405, 2048]


@pytest.mark.parametrize(("device", "code"), [("sim", 0), ("fpga", 4)])
def test_run_on_a_device(pulse: Path, device: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 1, 128), np.uint16))
    assert main(["run", str(pulse), "-i", str(tmp_path / "x.npy"), "--device", device]) == code
    if code:
        assert f"there is no way to the device '{device}'" in capsys.readouterr().err


def test_a_device_for_other_artifacts_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = compile_program(program(half("x")), tmp_path / "h.edge", "generic").path
    np.save(tmp_path / "x.npy", np.zeros((2, 1, 4, 6), np.uint8))
    assert main(["run", str(path), "-i", str(tmp_path / "x.npy"), "--device", "sim"]) == 2
    assert "device 'sim' for an artifact of target generic" in capsys.readouterr().err


def test_equal_programs_give_equal_images(pulse: Path, tmp_path: Path) -> None:
    again = compile_program(pulse_program("u16", "i8"), tmp_path / "pulse.edge", TARGET).path
    assert (again / "lib/pulse.img").read_bytes() == (pulse / "lib/pulse.img").read_bytes()


def test_what_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="of result memory"):
        compile_program(program(half("x"), shape=(1, 4, 600)), tmp_path / "big.edge", TARGET)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("damage", [b"", b"edgeconv-array-1\n{}\n", b"edgeconv-array-1\nnot json\n"])
def test_a_damaged_image_is_refused(damage: bytes) -> None:
    with pytest.raises(ArtifactError, match=r"x\.img: "):
        image_from_bytes(damage, "x.img")

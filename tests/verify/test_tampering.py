"""Every altered byte of an artifact is found and its place is named, also when all hashes are made to match."""

from __future__ import annotations

import dataclasses
import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeconv.api import compile_model
from edgeconv.artifact import read
from edgeconv.artifact.manifest import MANIFEST_NAME, parse_manifest, render_manifest
from edgeconv.artifact.store import certificate_name, file_entries
from edgeconv.cli import main
from edgeconv.ir import Constant, Program, load_program, save_program
from edgeconv.ir import operators as ops
from edgeconv.verify import verify
from tests.verify.small_model import small_model

pytestmark = pytest.mark.needs_gcc


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model and its artifact for the integer-only instruction set."""
    folder = tmp_path_factory.mktemp("compiled")
    model = small_model(folder / "small.onnx")
    return model, compile_model(model, target="generic", output=folder / "small.edge").path


def rehash(artifact: Path) -> None:
    """Make every hash of the manifest match the files again, as a careful forger would."""
    manifest = parse_manifest((artifact / MANIFEST_NAME).read_text(), artifact)
    forged = dataclasses.replace(manifest, files=file_entries(artifact))
    (artifact / MANIFEST_NAME).write_text(render_manifest(forged))


def flip(path: Path, at: int) -> None:
    """Change the lowest bit of one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(bytes(data))


def change_constant(
    artifact: Path, change: Callable[[np.ndarray], None], kind: type[ops.Operator], operand: int
) -> None:
    """Alter one constant of the stored program."""
    program = load_program(artifact)
    operator = next(op for op in program.operators if isinstance(op, kind))
    name = operator.operands[operand]
    values = program.constants[name].array.copy()
    change(values)
    constants = dict(program.constants) | {name: Constant(program.constants[name].dtype, values)}
    save_program(Program(program.inputs, program.outputs, program.operators, constants), artifact)


def test_untouched_artifact_verifies(compiled: tuple[Path, Path]) -> None:
    model, artifact = compiled
    report = verify(artifact, model=model, samples=40)
    assert report.ok, report.problems
    assert report.proved == 3
    assert {comparison.peer for comparison in report.comparisons} >= {"artifact (generic)", "onnxruntime"}
    assert len(report.layers) == 2


def test_every_file_is_guarded_by_its_hash(
    compiled: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = sorted(read(compiled[1]).manifest.files)
    for name in files:
        forged = Path(shutil.copytree(compiled[1], tmp_path / "x.edge"))
        flip(forged / name, (forged / name).stat().st_size // 2)
        assert main(["verify", str(forged), "--json"]) == 1, name
        assert name in capsys.readouterr().out
        shutil.rmtree(forged)


def change_form(artifact: Path, **fields: int) -> None:
    """Add to constants of the form of channel 1 of the first proof."""
    certificate = read(artifact).certificate("generic")
    proof, *others = certificate.operators
    channel = proof.channels[1]
    form = dataclasses.replace(channel.form, **{name: getattr(channel.form, name) + by for name, by in fields.items()})
    channels = (proof.channels[0], dataclasses.replace(channel, form=form), *proof.channels[2:])
    operators = (dataclasses.replace(proof, channels=channels), *others)
    forged = dataclasses.replace(certificate, operators=operators).to_json()
    (artifact / certificate_name("generic")).write_bytes(gzip.compress(forged.encode()))
    rehash(artifact)


@pytest.mark.parametrize("fields", [{"multiplier": 100_000}, {"shift": 1}, {"addend": 1 << 30}])
def test_a_changed_constant_of_a_proof_is_named(
    compiled: tuple[Path, Path], tmp_path: Path, fields: dict[str, int]
) -> None:
    forged = Path(shutil.copytree(compiled[1], tmp_path / "x.edge"))
    change_form(forged, **fields)
    report = verify(forged, samples=2)
    assert not report.ok
    assert any("channel 1" in str(problem) for problem in report.problems), report.problems


def test_a_harmless_change_of_a_proof_is_named_too(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    forged = Path(shutil.copytree(compiled[1], tmp_path / "x.edge"))
    change_form(forged, multiplier=1)
    report = verify(forged, model=compiled[0], samples=2)
    assert not report.ok
    assert any("channel 1" in str(problem) for problem in report.problems), report.problems


def test_a_changed_weight_is_named(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    forged = Path(shutil.copytree(compiled[1], tmp_path / "x.edge"))

    def change(values: np.ndarray) -> None:
        values.flat[4] ^= 1

    change_constant(forged, change, ops.Conv, 1)
    rehash(forged)
    report = verify(forged, model=compiled[0], samples=20)
    assert not report.ok
    assert any(p.place.startswith("weights.npz, constant") and "element 4" in p.place for p in report.problems)


def test_a_changed_golden_value_is_named(compiled: tuple[Path, Path], tmp_path: Path) -> None:
    forged = Path(shutil.copytree(compiled[1], tmp_path / "x.edge"))
    path = forged / "golden" / "output-0.npy"
    values = np.load(path)
    values.flat[7] += 1
    np.save(path, values)
    rehash(forged)
    report = verify(forged, samples=2)
    assert not report.ok
    assert any(problem.place.startswith("golden") for problem in report.problems), report.problems


def test_changed_constants_and_code_of_the_library_are_named(
    compiled: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = read(compiled[1]).manifest
    library = compiled[1] / manifest.library
    size = library.stat().st_size
    rng = np.random.default_rng(1)
    for at in sorted(rng.choice(np.arange(64, size), 3, replace=False)):
        forged = Path(shutil.copytree(compiled[1], tmp_path / "x.edge"))
        flip(forged / manifest.library, int(at))
        rehash(forged)
        assert main(["verify", str(forged), "--model", str(compiled[0]), "--samples", "1"]) == 1
        assert f"{manifest.library}, byte {at}" in capsys.readouterr().out
        shutil.rmtree(forged)

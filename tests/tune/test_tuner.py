"""Tuned artifacts: the same bits, made again alike, told in the manifest; without --tune nothing of it is used."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import edgeconv
from edgeconv import api, reference
from edgeconv.artifact import build, read
from edgeconv.artifact.manifest import parse_manifest, render_manifest
from edgeconv.cli import main
from edgeconv.codegen import fusion
from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels import load_all
from edgeconv.codegen.plan import make_plan
from edgeconv.importer import read_onnx
from edgeconv.integer import POLICY_OF_ISA, lower, prove
from edgeconv.runtime.cpu_features import supported_isas
from edgeconv.targets import load_target
from edgeconv.tune import tuner
from edgeconv.tune.race import Outcome
from edgeconv.tune.units import emit, facts_of, units_of
from tests.cli.test_compile import write_model
from tests.codegen.test_bands import EVERY_CHAIN, chain_of

pytestmark = [
    pytest.mark.needs_gcc,
    pytest.mark.skipif("avx2" not in supported_isas(), reason="this CPU does not run avx2"),
]
TARGET = "x86-64-avx2"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def _last_wins(timer: object, versions: int, rng: object) -> Outcome:
    """A race that the last candidate wins."""
    return Outcome(versions - 1, (2e-6, 1e-6), 0.5, 0.01)


def _unmeasured(*arguments: object) -> Outcome:
    raise AssertionError("measured although it is known")


def test_a_tuned_artifact_is_exact_and_is_made_again_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model, tuned = write_model(tmp_path / "model.onnx"), tmp_path / "tuned" / "m.edge"
    tuned.parent.mkdir()
    plain = api.compile_model(model, TARGET, tmp_path / "m.edge").artifact
    library = plain.library.read_bytes()
    monkeypatch.setattr(tuner, "race", _last_wins)
    assert main(["compile", str(model), "--tune", "-t", TARGET, "-o", str(tuned), "--json", "-v"]) == 0
    out, err = capsys.readouterr()
    assert "[4/8] measuring blockings" in err
    artifact = read(tuned)
    tuning = artifact.manifest.tuning
    assert tuning is not None
    assert (tuning.isa, tuning.steps) == ("avx2", 1)
    assert [(found.part, found.axes) for found in tuning.changed] == [("conv.panels.0", ("rows", "sums each"))]
    assert json.loads(out)["tuning"]["changed"][0]["seconds"] == [2e-6, 1e-6]
    assert parse_manifest(render_manifest(artifact.manifest), tuned) == artifact.manifest

    x = np.random.default_rng(1).normal(0, 4, (20, 1, 2, 8)).astype(np.float32)
    expected = reference.run(artifact.program(), {"x": x})["y"]
    assert edgeconv.load(tuned, "avx2")(x).tobytes() == expected.tobytes()
    assert artifact.library.read_bytes() != library
    certificates = {name: artifact.certificate(name) for name in artifact.manifest.policies}
    assert list(build.check_library(artifact, artifact.program(), certificates, [])) == []

    # What was measured is used by --tune alone, and without it the artifact is what it was before.
    monkeypatch.setattr(tuner, "race", _unmeasured)
    assert tuner.tune(artifact.program(), certificates, load_target(TARGET)) == tuning
    untuned = api.compile_model(model, TARGET, tmp_path / "m.edge").artifact
    assert untuned.manifest.tuning is None
    assert untuned.library.read_bytes() == library

    assert main(["inspect", str(tuned)]) == 0
    told = capsys.readouterr().out
    assert f"blockings of avx2 measured on {tuning.processor}, 1 steps: 1 other blockings" in told
    assert "conv.panels.0" in told


def test_blockings_are_really_measured(tmp_path: Path) -> None:
    program = lower(read_onnx(write_model(tmp_path / "model.onnx")))
    certificates = api.prove_all(program, ["avx2"])
    seen: list[tuple[int, int]] = []
    tuning = tuner.tune(program, certificates, load_target(TARGET), progress=lambda *counts: seen.append(counts))
    assert seen == [(number, len(seen)) for number in range(1, len(seen) + 1)]
    (entry,) = (tmp_path / "cache" / "edgeconv" / "blockings").glob("*/answers.json")
    (answer,) = json.loads(entry.read_text())["answers"]
    assert all(1e-9 < seconds < 1e-3 for seconds in answer["seconds"])
    assert 0 <= answer["noise"]
    assert len(tuning.changed) == (answer["chosen"] != answer["modelled"])


def test_chains_of_bands_are_units_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "LIMITS", EVERY_CHAIN)
    load_all()
    isa, program = ISAS["avx2"], chain_of(0).program()
    plan = make_plan(program, prove(program, POLICY_OF_ISA[isa.name]).forms, isa, fuse=True)
    assert plan.chains
    units = units_of(plan)
    assert [step.output for unit in units for step in unit.steps] == [step.output for step in plan.steps]
    chain = next(unit for unit in units if len(unit.steps) > 1)
    emission = emit(plan, chain, isa, "chain", {})
    assert {question.output for question in emission.questions} <= set(chain.outputs)
    assert len(emission.questions) > 1
    assert facts_of(chain, isa, emission)["bands"]


def test_units_of_equal_shape_have_equal_facts() -> None:
    load_all()
    isa, facts = ISAS["avx2"], []
    for seed in (0, 1):
        program = chain_of(seed).program()
        plan = make_plan(program, prove(program, POLICY_OF_ISA[isa.name]).forms, isa, fuse=True)
        units = [unit for unit in units_of(plan) if emit(plan, unit, isa, "unit", {}).questions]
        facts.append([facts_of(unit, isa, emit(plan, unit, isa, "unit", {})) for unit in units])
        again = [facts_of(unit, isa, emit(plan, unit, isa, "unit", {})) for unit in units]
        assert again == facts[-1]
    assert facts[0][0] != facts[1][0]

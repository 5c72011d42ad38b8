"""Networks of a front, ready for use: trained on, verified, kept; one that fails leaves the others alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

import edgeconv
from edgeconv.errors import DivergedError, UsageError
from edgeconv.models.pulse.space import ELASTIC, default_values
from edgeconv.search import finish, winners
from edgeconv.search.finish import ARTIFACT, MODEL, Finished, finish_winners
from edgeconv.search.session import Session, Settings, Workers, run_session
from edgeconv.search.winners import export_winner, fine_tune
from tests.search.small_ecg import small_ecg

pytestmark = [pytest.mark.needs_torch, pytest.mark.needs_gcc, pytest.mark.slow]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Session:
    settings = Settings("pulse", objectives=("time_resolution", "mac_bits"), strategy="random", supernet_steps=2)
    return run_session(tmp_path_factory.mktemp("study"), settings, evaluations=3, workers=Workers())


@pytest.fixture(scope="module")
def first(session: Session) -> list[Finished]:
    return list(finish_winners(session, steps=2, samples=16))


def test_every_point_has_a_verified_artifact_and_its_figures(session: Session, first: list[Finished]) -> None:
    assert [one.point for one in first] == [str(n) for n in range(len(session.front))]
    assert {one.steps for one in first} <= {0, 2}
    for one, chosen in zip(first, session.front, strict=True):
        assert (one.reason, one.steps > 0) == ("", one.metrics["time_resolution"] != one.inherited["time_resolution"])
        assert one.inherited["time_resolution"] == (chosen.metrics or {})["time_resolution"]
        assert one.metrics["mac_bits"] == (chosen.metrics or {})["mac_bits"]
        assert 0 < one.metrics["latency"] < 1
        # 16 samples, two outputs, every instruction set of this machine.
        assert one.compared > 0
        assert one.compared % 32 == 0
        assert edgeconv.verify(Path(one.folder) / ARTIFACT, model=Path(one.folder) / MODEL, samples=8).ok


def test_what_is_finished_is_read_and_another_training_is_another_network(
    session: Session, first: list[Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finish, "export_network", lambda *_, **__: pytest.fail("trained again"))
    assert list(finish_winners(session, steps=2, samples=16)) == first
    with pytest.raises(pytest.fail.Exception, match="trained again"):
        list(finish_winners(session, [0], steps=3, samples=16))


def test_a_killed_run_makes_the_unfinished_one_again(session: Session, first: list[Finished]) -> None:
    record = Path(first[0].folder) / "winner.json"
    record.unlink()
    (Path(first[0].folder) / MODEL).write_bytes(b"half")
    (again,) = finish_winners(session, [0], steps=2, samples=16)
    assert record.is_file()
    exact = set(again.metrics) - {"latency"}
    assert exact == {"time_resolution", "energy_resolution", "mac_bits", "model_bytes"}
    assert {name: again.metrics[name] for name in exact} == {name: first[0].metrics[name] for name in exact}


def test_one_that_fails_has_a_reason_and_is_tried_again(session: Session, first: list[Finished]) -> None:
    settings = replace(session.settings, target="nowhere")
    (failed,) = finish_winners(replace(session, settings=settings), [0], steps=1)
    assert "nowhere" in failed.reason
    assert not (Path(failed.folder) / "winner.json").exists()
    assert not (Path(failed.folder) / ARTIFACT).exists()


def test_an_artifact_that_differs_is_no_winner(
    session: Session, first: list[Finished], monkeypatch: pytest.MonkeyPatch
) -> None:
    def differs(*_: Any, **__: Any) -> Any:
        wrong = SimpleNamespace(peer="artifact (avx2)", required=True, different=3, values=32)
        return SimpleNamespace(ok=False, problems=(), comparisons=(wrong,))

    monkeypatch.setattr("edgeconv.api.verify", differs)
    (failed,) = finish_winners(session, [0], steps=1)
    assert "artifact (avx2): 3 of 32 values differ from the reference" in failed.reason


def test_fine_tuning_that_makes_everything_worse_is_taken_back(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged = export_winner(session, 0, tmp_path / "judged.onnx")

    def spoiled(network: nn.Module, *_: Any) -> None:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(-1)

    monkeypatch.setattr(winners, "fine_tune", spoiled)
    winner = export_winner(session, 0, tmp_path / "spoiled.onnx", steps=2)
    assert (winner.steps, winner.metrics) == (0, judged.metrics)
    assert winner.path.read_bytes() == judged.path.read_bytes()


def test_a_training_that_diverges_is_tried_again_more_slowly(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []

    def at(highest: float) -> Any:
        def tune(network: Any, task: Any, steps: int, seed: int, progress: Any, rate: float) -> None:
            rates.append(rate)
            if rate > highest:
                raise DivergedError("diverged")
            fine_tune(network, task, steps, seed, progress, rate)

        return tune

    monkeypatch.setattr(winners, "fine_tune", at(1.5e-3))
    export_winner(session, 0, tmp_path / "net.onnx", steps=2)
    assert rates == [4e-3, 1e-3]
    monkeypatch.setattr(winners, "fine_tune", at(0.0))
    with pytest.raises(DivergedError):
        export_winner(session, 0, tmp_path / "never.onnx", steps=2)
    assert not (tmp_path / "never.onnx").exists()


def test_the_own_network_of_the_family_is_trained_alike(session: Session) -> None:
    first, own = finish_winners(session, [0], own=True, steps=2, samples=16)
    assert (first.point, own.point, own.reason) == ("0", "own", "")
    assert own.text == session.problem.space.text(session.problem.space.genome(default_values()))
    assert own.metrics["mac_bits"] == sum(layer.mac_bits for layer in ELASTIC.layers(default_values()))


def test_points_that_are_not_there_are_refused(session: Session) -> None:
    with pytest.raises(UsageError, match=f"point 99 of a front of {len(session.front)}"):
        list(finish_winners(session, [0, 99], steps=1))


def test_without_a_supernet_the_recipe_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeconv.search.session.find_family", lambda *_: small_ecg())
    settings = Settings("ecg_mamba", objectives=("auroc",), strategy="random", recipe_share=0.05)
    session = run_session(tmp_path, settings, evaluations=1, workers=Workers())
    told: list[str] = []
    (done,) = finish_winners(session, training=lambda _: lambda p: told.append(p.stage))
    assert (done.reason, done.steps) == ("", 20 + 30)
    assert set(told) == {"float", "quantization-aware"}
    assert "model_bytes" in done.metrics

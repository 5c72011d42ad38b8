"""Sweeps: all of a grid, whatever some of its configurations do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import UsageError
from edgeconv.search.engines import Supervision, open_engine
from edgeconv.search.space import Choice, Space
from edgeconv.search.study import Study
from edgeconv.search.sweep import layers_of, read_sweep, run_sweep
from edgeconv.search.sweep_report import heat_maps, mean_by
from tests.quantize.ptq.models import write
from tests.search.evaluators import Squares

NET = """
    a = Conv<pads=[1, 1, 1, 1]>(x, w)
    r = Relu(a)
    y = Conv(r, w1)
"""


def test_sixty_configurations_survive_one_that_crashes_and_one_that_hangs(tmp_path: Path) -> None:
    xs = (*range(29), "crash", "hang", *range(29, 58))
    space = Space("sixty", (Choice("x", xs),))
    assert space.size == 60
    engine = open_engine(Squares(tmp_path), workers=2, supervision=Supervision(deadline=1.5, retries=1))
    with Study(tmp_path / "study", {}) as study:
        records = run_sweep(space, engine, study)
        engine.close()
        assert study.records() == records
    assert [record.values["x"] for record in records] == list(xs)
    reasons = {record.values["x"]: record.reason for record in records if record.status == "failed"}
    assert reasons == {
        "crash": "its worker in 2 attempts was killed by SIGSEGV; it said: about to crash",
        "hang": "no result within 1.5 s",
    }
    assert all(r.metrics == {"square": float(x) ** 2, "negative": -float(x)} for r, x in
               zip(records, xs, strict=True) if not isinstance(x, str))  # fmt: skip


def sweep_file(folder: Path, grid: str, more: str = "") -> Path:
    model = write(folder, NET)
    np.savez(folder / "samples.npz", x=np.random.default_rng(0).standard_normal((8, 3, 8, 8)).astype(np.float32))
    path = folder / "bits.toml"
    path.write_text(f'model = "{model.name}"\ncalibration = "samples.npz"\n{more}\n[grid]\n{grid}\n')
    return path


def test_more_bits_are_nearer_to_the_float_model(tmp_path: Path) -> None:
    grid = 'weight_bits = [3, 8]\nactivation_bits = [4, 8]\nper_channel = [true, false]\nscales = ["power-of-two"]'
    sweep = read_sweep(sweep_file(tmp_path, grid, 'costs = ["model_bytes", "mac_bits"]\nevaluation = "samples.npz"'))
    found = {
        (values["weight_bits"], values["activation_bits"], values["per_channel"]): sweep.evaluator(values, 0)
        for values in map(sweep.space.values, sweep.space.grid())
    }
    assert len(found) == sweep.space.size == 8
    sqnr = {key: metrics["y_sqnr_db"] for key, metrics in found.items()}
    for kind in (True, False):
        assert sqnr[3, 4, kind] < sqnr[8, 8, kind]
        assert sqnr[3, 8, kind] < sqnr[8, 8, kind]
    assert found[3, 8, True]["model_bytes"] < found[8, 8, True]["model_bytes"]
    assert found[3, 8, True]["mac_bits"] < found[8, 8, True]["mac_bits"]


def test_one_layer_at_a_time_shows_which_one_is_sensitive(tmp_path: Path) -> None:
    sweep = read_sweep(sweep_file(tmp_path, 'weight_bits = [2]\nlayer = "*"'))
    layers = layers_of(sweep.evaluator.model)
    assert len(layers) == 2
    found = {v["layer"]: sweep.evaluator(v, 0)["y_calibration_sqnr_db"] for v in
             map(sweep.space.values, sweep.space.grid())}  # fmt: skip
    assert set(found) == {"all", *layers}
    assert all(found[layer] > found["all"] for layer in layers)


def test_heat_maps_show_means_and_leave_out_what_failed(tmp_path: Path) -> None:
    space = Space("map", (Choice("x", (1, 2, "raise")), Choice("y", (1, 2)), Choice("seed", (0, 1))))
    engine = open_engine(Squares(tmp_path))
    with Study(tmp_path / "study", {}) as study:
        records = run_sweep(space, engine, study)
    engine.close()
    assert mean_by(records, ("x", "y"), "square") == {(1, 1): 1, (1, 2): 1, (2, 1): 4, (2, 2): 4}
    written = heat_maps(space, records, tmp_path)
    assert [path.name for path in written] == ["square-x-y.png", "negative-x-y.png"]
    assert all(path.read_bytes()[:4] == b"\x89PNG" for path in written)


@pytest.mark.parametrize(
    ("grid", "more", "message"),
    [
        ("weights = [3]", "", "unknown setting 'grid.weights'\n  expected: weight_bits"),
        ("weight_bits = 3", "", "grid.weight_bits = 3\n  expected: a list of int"),
        ("per_channel = [1]", "", r"grid.per_channel = \[1\]\n  expected: a list of bool"),
        ("seed = [0]", 'costs = ["joules"]', "costs joules\n  expected: of macs"),
        ("seed = [0]", "folder = 3", "unknown field 'folder'\n  expected: model, calibration"),
        ("seed = [", "", "is not TOML"),
    ],
)
def test_files_that_are_no_sweeps_are_refused_by_field(tmp_path: Path, grid: str, more: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_sweep(sweep_file(tmp_path, grid, more))


def test_a_sweep_without_a_model_or_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("[grid]\n")
    with pytest.raises(UsageError, match="has no field 'model'"):
        read_sweep(tmp_path / "s.toml")
    with pytest.raises(UsageError, match=r"sweep file .*: No such file"):
        read_sweep(tmp_path / "none.toml")

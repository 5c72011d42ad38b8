"""Resolutions are measured as they are named, and the plots show them."""

from __future__ import annotations

import sys
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import InputError, ToolError
from edgeconv.models import pulse
from edgeconv.quantize.family import ModelFamily

PNG = b"\x89PNG\r\n\x1a\n"


def truth_of(data: object) -> np.ndarray:
    return np.stack([data.truth.time_ns, data.truth.energy], 1)


def test_the_truth_has_no_error_and_a_constant_error_is_bias_only() -> None:
    data = pulse.heldout(500, 1)
    exact = pulse.evaluate(truth_of(data), data)
    assert (exact.time_ps, exact.energy_percent, exact.time_core_ps) == (0, 0, 0)
    late = pulse.evaluate(truth_of(data) + [0.05, -0.01], data)
    assert late.time_ps == pytest.approx(50)
    assert late.time_bias_ps == pytest.approx(50)
    assert late.energy_bias_percent == pytest.approx(-1)
    assert late.time_core_ps == pytest.approx(0, abs=1e-6)
    assert late.time_over_bound == pytest.approx(50 / late.time_bound_ps)


def test_outliers_move_the_rms_and_not_the_core() -> None:
    data = pulse.heldout(10_000, 2)
    answer = truth_of(data) + np.random.default_rng(0).normal(0, [0.05, 0.002], (10_000, 2))
    answer[:50] += 10
    found = pulse.evaluate(answer, data)
    assert found.time_core_ps == pytest.approx(50, rel=0.04)
    assert found.energy_core_percent == pytest.approx(0.2, rel=0.04)
    assert found.time_ps > 500


def test_heldout_pulses_differ_from_those_of_the_same_seed_in_training() -> None:
    data = pulse.heldout(20, 0)
    assert (data.truth.time_ns != pulse.simulate(pulse.PulseConfig(), 20, 0).time_ns).all()
    assert (data.inputs["samples"] == pulse.heldout(20, 0).inputs["samples"]).all()


def test_predictions_that_do_not_fit_are_refused() -> None:
    data = pulse.heldout(10, 1)
    with pytest.raises(InputError, match=r"shape \(9, 2\)\n  expected: \(10, 2\)"):
        pulse.evaluate(np.zeros((9, 2)), data)
    with pytest.raises(InputError, match="not finite"):
        pulse.evaluate(np.full((10, 2), np.nan), data)


def test_classic_methods_are_ordered_as_physics_orders_them() -> None:
    found = pulse.classic(pulse.heldout(3000, 3))
    assert found["optimal filter"].time_ps < found["constant fraction"].time_ps
    assert found["optimal filter"].energy_percent < found["constant fraction"].energy_percent


def test_a_report_draws_what_it_returns(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    filter_ = pulse.OptimalFilter(pulse.PulseConfig(), steps=4)

    def estimator(samples: np.ndarray) -> np.ndarray:
        return np.stack(filter_.estimate(samples), 1)

    found, paths = pulse.report({"coarse filter": estimator}, tmp_path / "plots", snr_db=(55, 40), n=200)
    assert found.snr_db == (40, 55)
    assert list(found.resolutions) == ["coarse filter", "constant fraction", "optimal filter"]
    noisy, quiet = found.resolutions["coarse filter"]
    assert noisy.time_ps > 4 * quiet.time_ps
    assert [path.name for path in paths] == ["resolution.png", "errors.png", "pulses.png"]
    assert all(path.read_bytes().startswith(PNG) for path in paths)


def test_plots_without_matplotlib_say_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.startswith("matplotlib")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    from edgeconv.models.pulse.evaluation import sweep
    from edgeconv.models.pulse.plots import plot_resolution

    found = sweep({}, (47.4,), n=50)
    with pytest.raises(ToolError, match=r"pip install 'edgeconv\[report\]'"):
        plot_resolution(found, tmp_path / "x.png")


def test_the_family_is_found_by_its_entry_point() -> None:
    (entry,) = entry_points(group="edgeconv.models", name="pulse")
    family = entry.load()
    assert family is pulse.FAMILY
    assert isinstance(family, ModelFamily)
    data = family.heldout(100, 1)
    assert family.evaluate(truth_of(data), data).time_ps == 0


def test_simulation_and_evaluation_need_no_torch() -> None:
    import subprocess

    program = (
        "import sys; from edgeconv.models import pulse; pulse.FAMILY; pulse.classic(pulse.heldout(20, 1));"
        "sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0

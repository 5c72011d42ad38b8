"""The finite-element solver against closed forms of the wave equation."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

pytest.importorskip("skfem", reason="scikit-fem comes with the extras data and dev")

from edgeconv.errors import UsageError
from edgeconv.models.oneway_wave import Disc, Domain, Rectangle, RickerSource, WaveSolver

STRIP = {"height": 4, "width": 100, "pixel_m": 0.01}


def _pulse(x: np.ndarray, middle: float = 0.5) -> np.ndarray:
    return np.exp(-(((x - middle) / 0.05) ** 2) / 2)


def _rightwards(domain: Domain, until_s: float, refine: int = 2) -> tuple[WaveSolver, np.ndarray]:
    """A plane pulse that runs to the right at 1 m/s from x = 0.5 m, after a time."""
    solver = WaveSolver(domain, refine)
    count = math.ceil(until_s / (0.9 * solver.largest_step_s))
    slope = lambda x, y: (x - 0.5) / 0.05**2 * _pulse(x)  # noqa: E731
    *_, last = solver.steps(until_s / count, count, start=lambda x, y: _pulse(x), velocity=slope)
    return solver, last


def _standing_wave_error(pixels: int) -> float:
    """Largest error of cos(2πx)·cos(πy)·cos(ωt), ω = π·√5, in a unit square after 0.7 s."""
    solver = WaveSolver(Domain(pixels, pixels, 1 / pixels))
    x, y = solver.points
    shape = np.cos(2 * np.pi * x) * np.cos(np.pi * y)
    count = math.ceil(0.7 / (0.8 * solver.largest_step_s))
    *_, last = solver.steps(0.7 / count, count, start=lambda x, y: shape)
    return float(np.abs(last - shape * math.cos(math.pi * math.sqrt(5) * 0.7)).max())


def test_a_standing_wave_has_its_frequency_and_errors_fall_with_the_square_of_the_edge() -> None:
    errors = [_standing_wave_error(pixels) for pixels in (8, 16, 32)]
    assert errors[-1] < 2e-3
    orders = [math.log2(a / b) for a, b in itertools.pairwise(errors)]
    assert all(1.8 < order < 2.2 for order in orders), (errors, orders)


def test_a_plane_pulse_keeps_its_form_and_runs_at_the_speed() -> None:
    solver, last = _rightwards(Domain(**STRIP), until_s=0.25)
    assert np.abs(last - _pulse(solver.points[0], 0.75)).max() < 0.01


def test_a_second_medium_lets_through_what_impedances_say() -> None:
    # Pressure: reflected (c2 - c1)/(c2 + c1), transmitted 2·c2/(c1 + c2).
    domain = Domain(**STRIP, media=((Rectangle(0.7, -1, 2, 1), 0.5),))
    solver, last = _rightwards(domain, until_s=0.4)
    x = solver.points[0]
    assert last[x > 0.7].max() == pytest.approx(2 * 0.5 / 1.5, abs=0.02)
    assert last[x < 0.7].min() == pytest.approx(-0.5 / 1.5, abs=0.02)
    assert x[last.argmax()] == pytest.approx(0.7 + 0.2 * 0.5, abs=0.011)


def test_borders_reflect_all_or_absorb_all_but_a_hundredth() -> None:
    rigid, last = _rightwards(Domain(**STRIP), until_s=0.75)
    assert np.abs(last - _pulse(rigid.points[0], 0.75)).max() < 0.03, "back from the border with its sign kept"
    _, left = _rightwards(Domain(**STRIP, absorbing=("right",)), until_s=0.75)
    assert np.abs(left).max() < 0.01


@pytest.mark.parametrize("shape", [Rectangle(0.25, 0.25, 0.5, 0.5), Disc(0.4, 0.4, 0.2)])
def test_energy_stays_between_reflecting_borders_and_only_falls_between_absorbing_ones(shape: Disc) -> None:
    def energies(absorbing: tuple[str, ...]) -> np.ndarray:
        solver = WaveSolver(Domain(24, 24, 1 / 24, removed=(shape,), absorbing=absorbing))
        dt = 0.9 * solver.largest_step_s
        bump = lambda x, y: np.exp(-((x - 0.75) ** 2 + (y - 0.75) ** 2) / 0.01)  # noqa: E731
        fields = solver.steps(dt, math.ceil(1.5 / dt), start=bump)
        return np.array([solver.energy(a, b, dt) for a, b in itertools.pairwise(fields)])

    kept = energies(())
    assert np.abs(kept / kept[0] - 1).max() < 1e-10
    lost = energies(("left", "right", "bottom", "top"))
    assert np.diff(lost).max() < 1e-12
    assert lost[-1] < 0.1 * lost[0]


def test_a_disc_is_cut_out_to_second_order() -> None:
    areas = []
    for pixels in (16, 32):
        mesh = WaveSolver(Domain(pixels, pixels, 1 / pixels, removed=(Disc(0.5, 0.5, 0.3),))).mesh
        x, y = mesh.triangles.p[:, mesh.triangles.t]
        areas.append(np.abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0])).sum() / 2)
    assert areas == pytest.approx([1 - math.pi * 0.09] * 2, abs=4e-3)


def test_steps_that_would_blow_up_are_refused() -> None:
    solver = WaveSolver(Domain(8, 8, 1 / 8))
    # A corner with one triangle: mass edge²/6, a row of K with magnitudes 1 + 1/2 + 1/2; so 12/edge², above all others.
    assert solver.largest_step_s == pytest.approx(2 / math.sqrt(12) / 16)
    with pytest.raises(UsageError, match="Courant"):
        next(solver.steps(solver.largest_step_s, 1))


def test_a_source_where_there_is_no_medium_is_refused() -> None:
    solver = WaveSolver(Domain(8, 8, 1 / 8, removed=(Disc(0.5, 0.5, 0.2),)))
    with pytest.raises(UsageError, match="inside the domain"):
        next(solver.steps(0.01, 1, sources=(RickerSource(0.5, 0.5, 1.0, 1.0),)))


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: Domain(absorbing=("north",)), "names north"),
        (lambda: Domain(speed=0.0), "a speed"),
        (lambda: Disc(0, 0, 0), "a radius"),
        (lambda: Rectangle(1, 0, 1, 1), "left < right"),
        (lambda: WaveSolver(Domain(8, 8), refine=3), "an even number"),
        (lambda: WaveSolver(Domain(8, 8, removed=(Disc(0, 0, 9),))), "nothing is left"),
    ],
)
def test_domains_that_cannot_be_are_refused(wrong: object, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        wrong()  # type: ignore[operator]

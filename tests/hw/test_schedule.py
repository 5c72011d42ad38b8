"""Start delays: needed, and no longer than needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgeconv import reference
from edgeconv.hw.compiler import build
from edgeconv.hw.compiler.schedule import Schedule, make_schedule
from edgeconv.hw.sim.simulator import SimulatedArray
from tests.hw.running import compile_for_array
from tests.hw.test_pulse import pulse_program

pytestmark = pytest.mark.needs_verilator


def _differences(monkeypatch: pytest.MonkeyPatch, change: int) -> int:
    """Wrong results of the pulse network where its one start delay is longer by `change`."""

    def changed(passes, config) -> Schedule:  # type: ignore[no-untyped-def]
        schedule = make_schedule(passes, config)
        delays = tuple(delay + change if delay else 0 for delay in schedule.delays)
        assert sum(delay > 0 for delay in schedule.delays) == 1
        return replace(schedule, delays=delays, cycles=schedule.cycles + change)

    monkeypatch.setattr(build, "make_schedule", changed)
    program = pulse_program("u8", "i8")
    image = compile_for_array(program).image
    # Every sample differs from the one before it, whose activations are in memory still.
    x = np.random.default_rng(3).integers(0, 255, (20, 1, 1, 128)).astype(np.uint8)
    run = SimulatedArray(image).run({"x": x})
    assert set(run.cycles.tolist()) == {image.cycles}
    return int(np.count_nonzero(run.outputs["y"] != reference.run(program, {"x": x})["y"]))


def test_the_delay_is_the_shortest_that_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _differences(monkeypatch, 0) == 0
    assert _differences(monkeypatch, -1) > 0


def test_a_longer_delay_changes_nothing_but_the_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _differences(monkeypatch, 5) == 0

"""Costs that a target does not have here are told or replaced before a search begins."""

from __future__ import annotations

import pytest

from edgeconv.errors import UsageError
from edgeconv.runtime.cpu_features import host_architecture
from edgeconv.search.available import natural_speed, with_available_costs
from edgeconv.search.session import Settings

pytestmark = pytest.mark.needs_torch

FOREIGN, NATIVE = ("rpi4", "x86-64") if host_architecture() == "x86_64" else ("x86-64", "rpi4")
OBJECTIVES = ("time_resolution", "latency")


def test_instructions_take_the_place_of_a_latency_that_only_an_emulator_has() -> None:
    said: list[str] = []
    settings = with_available_costs(Settings("pulse", FOREIGN, OBJECTIVES), said.append)
    assert settings == Settings("pulse", FOREIGN, ("time_resolution", "instructions"))
    (line,) = said
    assert f"target {FOREIGN} does not run on this machine" in line
    both = Settings("pulse", FOREIGN, ("latency", "instructions"))
    assert with_available_costs(both, said.append).objectives == ("instructions",)


@pytest.mark.parametrize(
    "settings",
    [
        Settings("pulse", NATIVE, OBJECTIVES, ("latency<5us",)),
        Settings("pulse", FOREIGN, OBJECTIVES, ("latency<5us",), board="pi@board"),
        Settings("pulse", FOREIGN, ("time_resolution", "instructions"), ("model_bytes<20KB",)),
        Settings("pulse", "ulx3s-85f", ("time_resolution", "cycles")),
    ],
    ids=["native", "board", "counted", "accelerator"],
)
def test_everything_else_stays_as_it_is(settings: Settings) -> None:
    said: list[str] = []
    assert with_available_costs(settings, said.append) == settings
    assert not said


def test_a_bound_on_such_a_latency_is_refused() -> None:
    with pytest.raises(UsageError, match=rf"'latency < 5 us': target {FOREIGN} does not run on this machine"):
        with_available_costs(Settings("pulse", FOREIGN, ("time_resolution",), ("latency < 5 us",)), print)


@pytest.mark.parametrize(
    ("settings", "speed"),
    [
        (Settings("pulse", NATIVE), {"latency"}),
        (Settings("pulse", FOREIGN), {"instructions"}),
        (Settings("pulse", FOREIGN, board="pi@board"), {"latency"}),
        (Settings("pulse", "ulx3s-85f"), set()),
    ],
    ids=["native", "emulated", "board", "accelerator"],
)
def test_each_target_has_its_own_measure_of_speed(settings: Settings, speed: set[str]) -> None:
    assert natural_speed(settings) == speed

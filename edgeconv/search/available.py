"""Which costs a target has on this machine: told before anything is trained, not by the first evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from edgeconv.errors import UsageError
from edgeconv.search.problem import parse_constraint
from edgeconv.search.task import metrics_of

if TYPE_CHECKING:
    from edgeconv.search.session import Settings

__all__ = ["natural_speed", "with_available_costs"]


def with_available_costs(settings: Settings, say: Callable[[str], None]) -> Settings:
    """The settings, objectives that cannot be measured here replaced by what can be counted.

    The time of a program that only an emulator runs means nothing: its instructions are counted in the place of its
    latency, unless a board is named.

    Args:
        say: told in a line what is replaced.

    Raises:
        UsageError: a constraint on such a latency, which has no bound in instructions.
        TargetError: no such target.
    """
    if settings.board or not _is_emulated(settings.target):
        return settings
    known = metrics_of(settings.task())
    for text in settings.constraints:
        if parse_constraint(text, known).metric.name == "latency":
            raise UsageError(
                f"constraint '{text}': target {settings.target} does not run on this machine, so it has no time here",
                advice="name a board that is reached over ssh (--board), or set a bound on 'instructions'",
            )
    if "latency" not in settings.objectives:
        return settings
    say(
        f"target {settings.target} does not run on this machine and no board is named (--board): "
        "instructions are counted in the place of latency"
    )
    named = ("instructions" if name == "latency" else name for name in settings.objectives)
    return replace(settings, objectives=tuple(dict.fromkeys(named)))


def natural_speed(settings: Settings) -> set[str]:
    """The cost that says how fast a network is on the settings' target, or none where that has no time here."""
    from edgeconv.targets import load_target

    if settings.board:
        return {"latency"}
    if load_target(settings.target).family != "cpu":
        return set()
    return {"instructions" if _is_emulated(settings.target) else "latency"}


def _is_emulated(name: str) -> bool:
    from edgeconv.runtime.cpu_features import host_architecture
    from edgeconv.targets import load_target

    target = load_target(name)
    return target.family == "cpu" and (target.triple or "").split("-")[0] != host_architecture()

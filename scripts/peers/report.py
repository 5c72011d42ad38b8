"""What was measured, as a table, as JSON and as a picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from edgeconv.cli.console import format_table
from edgeconv.cli.formatting import readable_count, readable_time

__all__ = ["NetworkResult", "WayResult", "draw", "table"]

_OWN = "edgeconv"
_NATIVE = {"native", "bound"}


@dataclass(frozen=True)
class WayResult:
    """Seconds of a call (median, 5th and 95th percentile), and decibels of the float model's output over the error."""

    peer: str
    style: str
    how: str
    median: float
    low: float
    high: float
    readings: int
    decibels: float


@dataclass(frozen=True)
class NetworkResult:
    """All ways to run one network.

    Attributes:
        macs: of one sample.
        peak: most int8 multiply-accumulates a second of the core, measured.
        absent: peers that cannot run it, with the reason.
    """

    name: str
    macs: int
    peak: float | None
    ways: tuple[WayResult, ...]
    absent: dict[str, str]

    def share(self, way: WayResult) -> float | None:
        """Share of the measured peak."""
        return self.macs / way.median / self.peak if self.peak else None

    def ratio(self, way: WayResult) -> float | None:
        """How many times longer than edgeconv this way takes: Python against Python, the others against native."""
        how = "python" if way.how == "python" else "native"
        own = next((w for w in self.ways if w.peer == _OWN and w.how == how), None)
        return way.median / own.median if own and way.peer != _OWN else None

    def best(self, python: bool) -> WayResult | None:
        """The fastest way of all peers: from Python, or with bound buffers and native."""
        fitting = [w for w in self.ways if w.peer != _OWN and (w.how == "python") == python]
        return min(fitting, key=lambda way: way.median, default=None)

    def to_json(self) -> dict[str, Any]:
        """Plain values; times in seconds."""
        ways = [
            asdict(way) | {"decibels": _finite(way.decibels), "share": self.share(way), "ratio": self.ratio(way)}
            for way in self.ways
        ]
        values: dict[str, Any] = {"name": self.name, "macs": self.macs, "peak": self.peak, "absent": self.absent}
        for key, python in (("faster_than_best_python", True), ("faster_than_best_native", False)):
            best = self.best(python)
            values[key] = self.ratio(best) if best else None
        return values | {"ways": ways}

    @staticmethod
    def from_json(values: dict[str, Any]) -> NetworkResult:
        """What `to_json` gave."""
        names = [field.name for field in fields(WayResult)]
        read = [{name: way[name] for name in names} for way in values["ways"]]
        ways = tuple(
            WayResult(**way | {"decibels": math.inf if way["decibels"] is None else way["decibels"]}) for way in read
        )
        return NetworkResult(values["name"], values["macs"], values["peak"], ways, values["absent"])


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def table(result: NetworkResult) -> str:
    """One network as text."""
    rows = []
    for way in sorted(result.ways, key=lambda way: (way.how != "python", way.median)):
        share, ratio = result.share(way), result.ratio(way)
        rows.append(
            (
                way.how,
                f"{way.peer} {way.style}",
                readable_time(way.median),
                f"{readable_time(way.low)} … {readable_time(way.high)}",
                "" if share is None else f"{share:.0%}",
                "" if ratio is None else f"{ratio:.2f}×",
                f"{way.decibels:.1f} dB",
            )
        )
    header = ("way", "runtime", "median", "5 % … 95 %", "of peak", "edgeconv is faster by", "against float")
    lines = [f"{result.name}: {readable_count(result.macs)} MACs", format_table(rows, header=header)]
    lines += [f"{peer} cannot run it: {reason}" for peer, reason in result.absent.items()]
    return "\n".join([*lines, ""])


def draw(results: Sequence[NetworkResult], title: str, path: Path) -> None:
    """Share of the measured peak: a group of bars for each network, Python on the left, native on the right."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    peers = list(dict.fromkeys(way.peer for result in results for way in result.ways))
    figure, panels = plt.subplots(1, 2, figsize=(14, 5), sharey=True, layout="constrained")
    for panel, hows, name in zip(panels, ({"python"}, _NATIVE), ("from Python", "bound buffers, native"), strict=True):
        for number, peer in enumerate(peers):
            shares = [_best_share(result, peer, hows) for result in results]
            places = [index + 0.8 * (number - (len(peers) - 1) / 2) / len(peers) for index in range(len(results))]
            panel.bar(places, shares, width=0.8 / len(peers), label=peer)
        panel.set_xticks(range(len(results)), [result.name for result in results], rotation=30, ha="right")
        panel.set_title(name)
    panels[0].set_ylabel("share of the measured int8 peak")
    panels[0].legend()
    figure.suptitle(f"{title}, one thread, best style of each runtime")
    figure.savefig(path, dpi=120)


def _best_share(result: NetworkResult, peer: str, hows: set[str]) -> float:
    shares = [result.share(way) or 0.0 for way in result.ways if way.peer == peer and way.how in hows]
    return max(shares, default=0.0)

"""Latencies on another machine, over ssh: a network is deployed there, tested, timed, and removed again."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeconv.deploy import Destination, deploy, remove
from edgeconv.errors import DeviceError

__all__ = ["Board"]


@dataclass(frozen=True)
class Board:
    """A machine that latencies are measured on.

    Attributes:
        place: `[user@]host`, or `[user@]host:folder` where networks are put in a folder other than the user's home.
        ssh_options: for ssh.
    """

    place: str
    ssh_options: tuple[str, ...] = ()

    def latency(self, artifact: Path, name: str, *, rounds: int, repeats: int) -> float:
        """Seconds of one call there: the smallest of several medians.

        Args:
            artifact: compiled for that machine.
            name: of the folder that it is put into; another one for each network that may be there at once.

        Raises:
            UsageError: no such place can be.
            DeviceError: no connection, another kind of machine, or the network computes something else there.
        """
        home = Destination.parse(self.place, ".", self.ssh_options)
        where = Destination(home.host, f"{home.path}/{name}", home.options)
        report = deploy(artifact, where, batches=(1,) * repeats, rounds=rounds)
        if not report.passed:
            raise DeviceError(f"{where} computes something else than the reference: {'; '.join(report.self_test)}")
        remove(where)
        return min(timing.median for timing in report.timings)

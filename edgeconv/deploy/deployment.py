"""Deploy an artifact: look at the machine, copy beside the destination, check, self-test, rename, time."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

from edgeconv.artifact import Artifact, read
from edgeconv.deploy.scripts import INSTALL, NOT_AN_ARTIFACT, PROBE, REMOVE, SELF_TEST_FAILED, SUMS
from edgeconv.deploy.ssh import ConnectionLost, Destination, Outcome, run_script
from edgeconv.errors import DeviceError

__all__ = ["DeployReport", "Machine", "RemoteTiming", "deploy", "remove"]

_SAME = {"amd64": "x86_64", "arm64": "aarch64"}
_SPARE_KB = 1024


@dataclass(frozen=True)
class Machine:
    """What a device says of itself: `uname -m`, word length of its programs, cores, model."""

    architecture: str
    bits: int
    cores: int
    model: str


@dataclass(frozen=True)
class RemoteTiming:
    """Time of a call on the device, in seconds: median, 5th and 95th percentile."""

    batch: int
    isa: str
    threads: int
    median: float
    low: float
    high: float

    @property
    def samples_per_second(self) -> float:
        """Throughput."""
        return self.batch / self.median


@dataclass(frozen=True)
class DeployReport:
    """What a deployment did.

    Attributes:
        path: of the artifact on the device.
        bytes: sent.
        seconds: from the first connection to the last answer.
        replaced: whether an artifact was there before; kept: its new path, where it was kept.
        self_test: a line for each instruction set.
        passed: whether every byte was as the reference's; if not, nothing was replaced.
    """

    host: str
    path: str
    machine: Machine
    bytes: int
    seconds: float
    replaced: bool
    kept: str | None
    self_test: tuple[str, ...]
    passed: bool
    timings: tuple[RemoteTiming, ...]


def deploy(
    artifact: str | Path,
    destination: Destination,
    *,
    batches: Sequence[int] = (1,),
    rounds: int = 200,
    threads: int = 1,
    keep_old: bool = False,
) -> DeployReport:
    """Put an artifact on another machine.

    Args:
        batches: samples in a call, to be timed.
        rounds: readings of each time.
        threads: that edge-run uses there for self-test and times.
        keep_old: rename the artifact that is there instead of removing it.

    Raises:
        ArtifactError: the artifact was altered.
        DeviceError: no connection, a machine of another architecture or with a 32-bit system, a full disk, something at
            the destination that is no artifact, or a connection that broke: what was there is there still.
    """
    opened, started = read(artifact), perf_counter()
    probe = run_script(destination, PROBE, [destination.path])
    _require(probe, destination)
    machine = _machine(probe)
    _require_fit(machine, opened, destination)
    data = _archive(opened)
    if len(data) // 1024 + _SPARE_KB > int(probe.facts.get("free_kb") or 1 << 40):
        raise DeviceError(
            f"{destination} has {int(probe.facts['free_kb'])} KB left, the artifact takes {len(data) // 1024} KB"
        )
    arguments = [destination.path, "yes" if keep_old else "no", str(rounds), str(threads), *map(str, batches)]
    outcome = _install(destination, arguments, data)
    replaced, passed = probe.facts["replaces"] == "yes", outcome.status != SELF_TEST_FAILED
    times = tuple(_timing(line) for line in outcome.lines if line.startswith("{"))
    return DeployReport(
        host=destination.host,
        path=destination.path,
        machine=machine,
        bytes=len(data),
        seconds=perf_counter() - started,
        replaced=replaced and passed,
        kept=f"{destination.path}.old" if keep_old and replaced and passed else None,
        self_test=tuple(line for line in outcome.lines if not line.startswith("{")),
        passed=passed,
        timings=times,
    )


def remove(destination: Destination) -> bool:
    """Remove an artifact, the one that `keep_old` kept, and what a deployment that was cut left; whether one was there.

    Raises:
        DeviceError: no connection, or something at the destination that is no artifact.
    """
    outcome = run_script(destination, REMOVE, [destination.path])
    _require(outcome, destination)
    return outcome.facts["removed"] == "yes"


def _require(outcome: Outcome, destination: Destination) -> None:
    if outcome.status == NOT_AN_ARTIFACT:
        raise DeviceError(
            f"{destination} is there and is not an artifact: it is left alone",
            advice=f"another path: {destination.host}:PATH",
        )
    if outcome.status != 0:
        said = outcome.errors.splitlines()[-1:] or [f"status {outcome.status}"]
        raise DeviceError(f"{destination}: {said[0]}", advice="is it a Linux system, and may this user write there?")


def _machine(probe: Outcome) -> Machine:
    facts = probe.facts
    found = facts["machine"]
    return Machine(_SAME.get(found, found), int(facts["bits"]), int(facts["cores"]), facts["model"])


def _require_fit(machine: Machine, artifact: Artifact, destination: Destination) -> None:
    wanted, found = artifact.manifest.architecture, machine.architecture
    if found.startswith(("armv", "i386", "i686")) or machine.bits == 32:
        kernel = f"{found} kernel" if machine.bits == 32 and found in ("aarch64", "x86_64") else found
        raise DeviceError(
            f"{destination.host} runs a 32-bit system ({kernel})",
            expected="64-bit Linux",
            advice="on a Raspberry Pi 3, 4, 5 or Zero 2: install the 64-bit Raspberry Pi OS (`uname -m` says aarch64, "
            "`getconf LONG_BIT` 64); older boards have no 64-bit CPU",
        )
    if found != wanted:
        target = {"aarch64": "aarch64, or rpi3, rpi4, rpi5", "x86_64": "x86-64"}.get(found)
        raise DeviceError(
            f"{artifact.path} is for {wanted}, {destination.host} is {found}",
            advice=f"compile it with --target {target}" if target else "see `edgeconv targets`",
        )


def _archive(artifact: Artifact) -> bytes:
    """The artifact as a tar archive, with the SHA-256 of every file at its end."""
    names = ["manifest.json", *artifact.manifest.files]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in names:
            archive.add(artifact.path / name, name, recursive=False, filter=_anonymous)
        sums = "".join(f"{hashlib.sha256((artifact.path / name).read_bytes()).hexdigest()}  {name}\n" for name in names)
        entry = tarfile.TarInfo(SUMS)
        entry.size, entry.mode = len(sums.encode()), 0o644
        archive.addfile(entry, io.BytesIO(sums.encode()))
    return buffer.getvalue()


def _anonymous(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def _install(destination: Destination, arguments: Sequence[str], data: bytes) -> Outcome:
    """Copy, test and put in place; a broken connection says what is there now."""
    try:
        outcome = run_script(destination, INSTALL, arguments, data, reached=True)
    except ConnectionLost as error:
        in_place = error.facts.get("stage") in ("installed", "timed")
        what = "the new artifact is in place, and was not timed" if in_place else "what was there before is there still"
        raise DeviceError(f"{error.problem}; {what}", advice="deploy again") from error
    if outcome.status != SELF_TEST_FAILED:
        _require(outcome, destination)
    return outcome


def _timing(line: str) -> RemoteTiming:
    found: dict[str, Any] = json.loads(line)
    median, low, high = (found[name] * 1e-9 for name in ("median_ns", "p05_ns", "p95_ns"))
    return RemoteTiming(found["batch"], found["isa"], found["threads"], median, low, high)

"""The way an artifact runs on this machine, by the family of its target: in process, under qemu, simulated."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from edgeconv.artifact import Artifact
from edgeconv.artifact.manifest import Manifest
from edgeconv.errors import DeviceError, UsageError
from edgeconv.runtime.runner import Runner

__all__ = ["Way", "open_runner", "require_device", "runnable_isas", "way_of"]


class Way(Protocol):
    """One way to run artifacts; a module of `_WAYS` has these functions."""

    def open_runner(self, artifact: Artifact, isa: str | None = None, threads: int = 1) -> Runner:
        """Get an artifact ready to run.

        Raises:
            DeviceError: this machine lacks what it needs.
        """

    def runnable_isas(self, manifest: Manifest) -> tuple[str, ...]:
        """The artifact's instruction sets that run on this machine, slowest first."""

    def how(self, manifest: Manifest) -> str:
        """What the code runs under, such as "qemu"; empty where it runs by itself."""

    def advice(self, manifest: Manifest) -> str | None:
        """What would make an artifact run here that does not."""


SIMULATION, SIMULATED_SYSTEM, SERIAL = "sim", "sim-soc", "serial:"
"""Devices for artifacts of the accelerator: its RTL alone, the whole system simulated, a board's port behind this."""
_WAYS = {
    "cpu": "edgeconv.runtime.emulated",
    "c": "edgeconv.runtime.emulated",
    "hls": "edgeconv.runtime.simulated_cpp",
    "fpga": "edgeconv.runtime.simulated_array",
    "cuda": "edgeconv.runtime.cuda",
}
"""Family -> the module of its way to run; loaded when it is asked for."""


def way_of(manifest: Manifest) -> Way:
    """How artifacts of this family run."""
    way: Way = import_module(_WAYS[manifest.family])  # type: ignore[assignment]
    return way


def open_runner(artifact: Artifact, isa: str | None = None, threads: int = 1, device: str | None = None) -> Runner:
    """A runner for an artifact of any family.

    Args:
        device: where it is to run (`require_device`); the family's own way when None.

    Raises:
        UsageError: the device is not one for this artifact.
        DeviceError: this machine lacks what it needs, or there is no way to the device.
    """
    require_device(artifact.manifest, device)
    if device is None or device == SIMULATION:
        return way_of(artifact.manifest).open_runner(artifact, isa, threads)
    from edgeconv.runtime.board import BoardRunner

    return BoardRunner(artifact, device, isa, threads)


def runnable_isas(manifest: Manifest) -> tuple[str, ...]:
    """The artifact's instruction sets that run on this machine, emulated or not, slowest first."""
    return way_of(manifest).runnable_isas(manifest)


def require_device(manifest: Manifest, device: str | None) -> None:
    """Check that an artifact can run on the device that was asked for; None is the family's own way.

    Raises:
        UsageError: artifacts of this family run on no device.
        DeviceError: there is no way to that device.
    """
    if device is None:
        return
    if manifest.family != "fpga":
        raise UsageError(
            f"device '{device}' for an artifact of target {manifest.target}", expected="an artifact for the accelerator"
        )
    if device not in (SIMULATION, SIMULATED_SYSTEM) and not device.startswith(SERIAL):
        raise DeviceError(
            f"there is no way to the device '{device}'",
            expected=f"{SIMULATION} (the accelerator's RTL, simulated), {SIMULATED_SYSTEM} (the whole system, "
            f"simulated), {SERIAL}PORT[@BAUD] (a board)",
        )

"""The machines that random graphs are compiled for: this one, and 64-bit Arm under emulation."""

from __future__ import annotations

from dataclasses import dataclass

from edgeconv.runtime.cpu_features import host_architecture, supported_isas


@dataclass(frozen=True)
class Machine:
    """An architecture, and the instruction sets that are compared on it.

    Attributes:
        emulated: the code runs under qemu.
    """

    architecture: str
    isas: tuple[str, ...]
    emulated: bool = False


HOST = Machine(host_architecture(), supported_isas())
LOOPS = Machine(host_architecture(), ("cuda",))
"""Kernels of a GPU with loops in the places of its threads."""
ARM = Machine("aarch64", ("generic", "neon", "neon+dotprod"), emulated=True)
MACHINES = {"host": HOST, "arm": ARM, "cuda": LOOPS}

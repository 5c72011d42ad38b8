"""Running an artifact for 64-bit Arm on another machine: its edge-run under qemu's user-mode emulation.

Bits are those of the board; time is not, and the artifact is started anew for every call.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.artifact import Artifact
from edgeconv.artifact.manifest import Manifest
from edgeconv.errors import DeviceError, ToolError, UsageError
from edgeconv.runtime.cpu_features import host_architecture, supported_isas
from edgeconv.runtime.runner import Runner, never
from edgeconv.runtime.team import check_threads

__all__ = ["EmulatedRunner", "advice", "emulator", "how", "is_native", "open_runner", "runnable_isas"]

_EMULATORS = {"aarch64": ("qemu-aarch64-static", "qemu-aarch64")}
PACKAGE = "qemu-user-static"
_MODELLED_CPUS = ("cortex-a53", "cortex-a72", "cortex-a76")  # of LLVM's names, those that qemu 7 knows, too


def is_native(manifest: Manifest) -> bool:
    """Whether the artifact is for this machine's architecture, or C source, which has none."""
    return manifest.architecture in ("", host_architecture())


def emulator(manifest: Manifest) -> str | None:
    """The command that runs programs of the artifact's architecture here; None where it is native or has none."""
    if is_native(manifest):
        return None
    commands = _EMULATORS.get(manifest.architecture, ())
    return next((command for command in commands if shutil.which(command)), None)


def runnable_isas(manifest: Manifest) -> tuple[str, ...]:
    """The artifact's instruction sets that run on this machine, emulated or not, slowest first."""
    carried = tuple(isa.name for isa in manifest.isas)
    if is_native(manifest):
        here = supported_isas()
        return tuple(name for name in carried if name in here)
    return carried if emulator(manifest) else ()


def how(manifest: Manifest) -> str:
    """What the code runs under: "qemu", or nothing."""
    return "qemu" if emulator(manifest) else ""


def advice(manifest: Manifest) -> str | None:
    """What would make it run here."""
    return None if is_native(manifest) else f"apt-get install {PACKAGE} runs it under emulation"


def open_runner(artifact: Artifact, isa: str | None = None, threads: int = 1) -> Runner:
    """A runner in this process where the machine is of the artifact's architecture, else one under emulation.

    Raises:
        DeviceError: the machine lacks CPU features that it needs, or the emulator.
    """
    manifest = artifact.manifest
    if is_native(manifest):
        return Runner(artifact, isa, threads)
    return EmulatedRunner(artifact, isa, threads)


class EmulatedRunner(Runner):
    """An artifact under qemu; used like any `Runner`.

    Attributes:
        cpu: the processor that is emulated: the one the code was scheduled for, or all that qemu knows ("max").
    """

    def __init__(self, artifact: Artifact, isa: str | None = None, threads: int = 1) -> None:
        check_threads(threads)
        manifest = artifact.manifest
        command = emulator(manifest)
        if command is None:
            here, wanted = host_architecture(), manifest.architecture
            raise DeviceError(
                f"this machine ({here}) cannot run {artifact.path}, which is for {wanted}",
                advice=advice(manifest) if wanted in _EMULATORS else "compile it for this machine (--target cpu)",
            )
        carried = [compiled.name for compiled in manifest.isas]
        if isa is not None and isa not in carried:
            raise UsageError(
                f"{artifact.path} does not carry the instruction set '{isa}'", expected=" or ".join(carried)
            )
        self.artifact = artifact
        self.inputs, self.outputs = manifest.inputs, manifest.outputs
        self.isa, self.threads = isa or carried[-1], threads
        self._threads = threading.local()
        self._fast, self._alive = never, None
        compiled = next(entry for entry in manifest.isas if entry.name == self.isa)
        self.cpu = compiled.cpu if compiled.cpu in _MODELLED_CPUS else "max"
        self._command: tuple[str, ...] = (
            command,
            "-cpu",
            self.cpu,
            str(artifact.executable.absolute()),
            "--isa",
            self.isa,
        )
        if threads > 1:
            self._command += ("--threads", str(threads))

    def _run(self, arrays: list[NDArray[np.generic]], results: list[NDArray[np.generic]], samples: int) -> None:
        if samples == 0:
            return
        self._refuse_outside(arrays)
        with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
            folder = Path(name)
            self._start(self.command_for(arrays, folder))
            for index, result in enumerate(results):
                data = np.fromfile(folder / f"out{index}", result.dtype)
                result[...] = data.reshape(result.shape)

    def command_for(self, arrays: Sequence[NDArray[np.generic]], folder: Path) -> list[str]:
        """Write inputs into a folder; the command that reads them and writes the outputs beside them."""
        options = ["--allow-nan", "--input-format", "raw", "--format", "raw"]
        for index, (tensor, array) in enumerate(zip(self.inputs, arrays, strict=True)):
            (folder / f"in{index}").write_bytes(array.tobytes())
            options += ["-i", f"{tensor.name}={folder / f'in{index}'}"]
        for index, tensor in enumerate(self.outputs):
            options += ["-o", f"{tensor.name}={folder / f'out{index}'}"]
        return [*self._command, *options]

    def _start(self, command: Sequence[str]) -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolError(f"{' '.join(command[:4])} ended with {done.returncode}: {done.stderr.strip()[-500:]}")

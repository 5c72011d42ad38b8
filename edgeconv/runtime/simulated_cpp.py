"""Running a high-level-synthesis project: its C++, compiled by this machine's compiler, sample by sample.

The float ends of the program are computed by the reference interpreter, as they are the host's work on a board.
"""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.artifact import Artifact
from edgeconv.artifact.hls_target.write import core_inputs, project_of
from edgeconv.artifact.manifest import Manifest
from edgeconv.cache import cached, digest
from edgeconv.errors import DeviceError, ToolError, UsageError
from edgeconv.hw.ends import split_ends
from edgeconv.runtime.runner import Runner, never

__all__ = ["SimulatedCppRunner", "advice", "how", "open_runner", "runnable_isas"]

_COMPILER = "g++"
_OPTIONS = ("-std=c++14", "-O2", "-shared", "-fPIC", "-Wno-unknown-pragmas", "-Ishim", "-Ilibrary", "-Isrc")
_ISA = "hls"


def runnable_isas(manifest: Manifest) -> tuple[str, ...]:
    """The one that there is, where the compiler is at hand."""
    return (_ISA,) if shutil.which(_COMPILER) else ()


def how(manifest: Manifest) -> str:
    """It is a simulation."""
    return "C simulation"


def advice(manifest: Manifest) -> str | None:
    """How to get the compiler."""
    return "apt-get install g++"


def open_runner(artifact: Artifact, isa: str | None = None, threads: int = 1) -> SimulatedCppRunner:
    """Compile the project, or find it compiled.

    Raises:
        DeviceError: there is no C++ compiler.
        ToolError: it fails.
    """
    return SimulatedCppRunner(artifact, isa, threads)


class SimulatedCppRunner(Runner):
    """A project's C++ as a library; used like any `Runner`."""

    def __init__(self, artifact: Artifact, isa: str | None = None, threads: int = 1) -> None:
        if isa not in (None, _ISA):
            raise UsageError(f"{artifact.path} does not carry the instruction set '{isa}'", expected=_ISA)
        if threads != 1:
            raise UsageError(f"{threads} threads for a simulation", expected="1")
        self.artifact = artifact
        self.inputs, self.outputs = artifact.manifest.inputs, artifact.manifest.outputs
        self.isa, self.threads = _ISA, 1
        self._fast, self._alive = never, None
        self._program, self._project = artifact.program(), project_of(artifact)
        self._back = split_ends(self._program).back
        self._call = ctypes.CDLL(str(_compiled(artifact))).edge_hls_run

    def _run(self, arrays: list[NDArray[np.generic]], results: list[NDArray[np.generic]], samples: int) -> None:
        if samples == 0:
            return
        given = {
            tensor.name: array.reshape(samples, *tensor.shape)
            for tensor, array in zip(self.inputs, arrays, strict=True)
        }
        found = self._run_core(core_inputs(self._program, given), samples)
        if self._back is not None:
            found |= reference.run(self._back, {name: found[name] for name in self._back.inputs})
        for tensor, result in zip(self.outputs, results, strict=True):
            result[...] = found[tensor.name].reshape(result.shape)

    def _run_core(self, inputs: dict[str, NDArray[np.generic]], samples: int) -> dict[str, NDArray[np.generic]]:
        project = self._project
        arriving = [port.arrange(inputs[port.tensor]) for port in project.inputs]
        leaving = [np.empty((samples, port.stream.order.index.size), np.int64) for port in project.outputs]
        pointers = [(ctypes.c_void_p * len(group))(*(a.ctypes.data for a in group)) for group in (arriving, leaving)]
        self._call(*pointers, ctypes.c_longlong(samples))
        types = project.core.types
        return {
            port.tensor: port.restore(array, types[port.tensor].shape, types[port.tensor].dtype.container)
            for port, array in zip(project.outputs, leaving, strict=True)
        }


def _compiled(artifact: Artifact) -> Path:
    """The project as a shared library, from the cache where it was compiled before."""
    if shutil.which(_COMPILER) is None:
        raise DeviceError(f"{_COMPILER} is not installed", advice="apt-get install g++")
    name = artifact.manifest.name
    sources = [f"src/{name}.cpp", f"test/{name}_batch.cpp"]
    files = [entry for entry in artifact.manifest.files if entry.split("/")[0] in ("src", "library", "shim")]
    parts = [part for file in (*files, sources[1]) for part in (file, (artifact.path / file).read_bytes())]
    version = subprocess.run([_COMPILER, "--version"], capture_output=True, text=True, check=True).stdout
    key = digest([version, *_OPTIONS, *parts])

    def make(folder: Path) -> None:
        command = [_COMPILER, *_OPTIONS, *sources, "-o", str(folder.absolute() / "model.so")]
        done = subprocess.run(command, cwd=artifact.path, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise ToolError(f"{_COMPILER} could not compile {artifact.path}:\n{done.stderr.strip()[-2000:]}")

    return cached("hls", key, make) / "model.so"

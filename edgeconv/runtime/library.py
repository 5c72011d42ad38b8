"""The C interface of an artifact's library, through ctypes."""

from __future__ import annotations

import ctypes
from pathlib import Path

from edgeconv.artifact.manifest import ABI_VERSION, Manifest
from edgeconv.errors import ArtifactError, DeviceError, UsageError
from edgeconv.runtime.cpu_features import host_architecture, missing_features
from edgeconv.runtime.team import Team, check_threads

__all__ = ["Context", "Library"]

# enum edge_isa of edge.h
_ISA_NUMBERS = {"generic": 1, "avx2": 2, "avx512vnni": 3, "neon": 4, "neon+dotprod": 5, "avxvnni": 6}
_ISA_NAMES = {number: name for name, number in _ISA_NUMBERS.items()}


class Context(ctypes.Structure):
    """edge_ctx of edge.h."""

    _fields_ = (
        ("abi_version", ctypes.c_uint32),
        ("isa", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
        ("ready", ctypes.c_uint32),
        ("stream", ctypes.c_void_p),
        ("team", ctypes.c_void_p),
        ("reserved", ctypes.c_uint64 * 3),
    )


class Library:
    """A loaded library with a context of its own.

    Attributes:
        context: initialized.
        isa: name of the instruction set in use.
        threads: the most that a call uses.
        handle: the ctypes library.

    Raises:
        DeviceError: this machine lacks what the instruction set needs, by name.
        UsageError: the artifact does not carry the instruction set, or no such number of threads.
        ArtifactError: the file cannot be loaded.
    """

    def __init__(self, path: Path, manifest: Manifest, isa: str | None = None, threads: int = 1) -> None:
        check_threads(threads)
        self._require_runnable(path, manifest, isa)
        try:
            self.handle = ctypes.CDLL(str(path.resolve()))
        except OSError as error:
            raise ArtifactError(f"{path} cannot be loaded: {error}", advice="compile the model again") from error
        self.handle.edge_strerror.restype = ctypes.c_char_p
        self.context = Context(abi_version=ABI_VERSION, isa=_ISA_NUMBERS[isa] if isa else 0, threads=threads)
        self.check(self.handle.edge_init(ctypes.byref(self.context)))
        self.isa, self.threads = _ISA_NAMES[self.context.isa], threads
        self._team = Team(self.handle, threads) if threads > 1 else None
        self.context.team = self._team.address if self._team else None
        self.run = self.handle.edge_run
        self.run.argtypes = (ctypes.c_void_p,) * 4 + (ctypes.c_int64,)
        self.check_inputs = self.handle.edge_check
        self.check_inputs.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int)

    @staticmethod
    def _require_runnable(path: Path, manifest: Manifest, isa: str | None) -> None:
        carried = [compiled.name for compiled in manifest.isas]
        if isa is not None and isa not in carried:
            raise UsageError(f"{path} does not carry the instruction set '{isa}'", expected=" or ".join(carried))
        missing = {name: missing_features(name) for name in ([isa] if isa else carried)}
        if all(missing.values()):
            found = "; ".join(f"{name} needs {', '.join(features)}" for name, features in missing.items())
            raise DeviceError(
                f"this machine ({host_architecture()}) cannot run {path}: {found}",
                advice="compile it for this machine (--target cpu), or use another instruction set of the artifact",
            )

    def check(self, status: int) -> None:
        """Raise the error that a status of the C interface stands for; nothing for EDGE_OK.

        Raises:
            DeviceError: with the text of edge_strerror.
        """
        if status != 0:
            raise DeviceError(f"the library reports: {self.handle.edge_strerror(status).decode()} (status {status})")

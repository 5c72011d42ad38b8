"""Artifacts on disk: written beside their place and renamed, read with every hash checked."""

from __future__ import annotations

import ctypes
import gzip
import hashlib
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeconv.artifact.manifest import MANIFEST_NAME, FileEntry, Manifest, parse_manifest
from edgeconv.errors import ArtifactError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgeconv.integer import Certificate
    from edgeconv.ir import Program

__all__ = [
    "GOLDEN_FOLDER",
    "Artifact",
    "certificate_name",
    "file_entries",
    "is_artifact",
    "publish",
    "read",
    "require_replaceable",
]

GOLDEN_FOLDER = "golden"

_STAGING = re.compile(r"\.(?P<name>.+)\.(?P<pid>\d+)\.edgeconv-tmp")
_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # fcntl.h, linux/fs.h


@dataclass(frozen=True)
class Artifact:
    """A compiled folder whose files are what its manifest says.

    Attributes:
        path: the folder.
        manifest: its description.
    """

    path: Path
    manifest: Manifest

    @property
    def library(self) -> Path:
        """The shared library, or the C source of the model."""
        return self.path / self.manifest.library

    @property
    def is_source(self) -> bool:
        """Whether this is C source, to be compiled before it runs."""
        return self.manifest.family == "c"

    @property
    def executable(self) -> Path:
        """edge-run."""
        return self.path / self.manifest.executable

    def program(self) -> Program:
        """The integer program.

        Raises:
            ArtifactError: the program was written by another version of the arithmetic.
            ProgramError: the program breaks a rule.
        """
        from edgeconv.ir import ARITHMETIC_VERSION
        from edgeconv.ir.storage import load_program

        found = self.manifest.arithmetic
        if found != ARITHMETIC_VERSION:
            advice = "update edgeconv, or compile the model again" if found > ARITHMETIC_VERSION else "compile it again"
            raise ArtifactError(
                f"{self.path}: arithmetic version {found}", expected=f"version {ARITHMETIC_VERSION}", advice=advice
            )
        return load_program(self.path)

    def certificate(self, policy: str) -> Certificate:
        """The proofs of a policy (one of `manifest.policies`).

        Raises:
            ArtifactError: the file is malformed.
        """
        from edgeconv.integer import Certificate

        path = self.path / certificate_name(policy)
        try:
            text = gzip.decompress(path.read_bytes()).decode("utf-8")
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            raise ArtifactError(f"{path}: {error}", advice="compile the model again") from error
        return Certificate.from_json(text)

    def golden(self) -> tuple[dict[str, NDArray[np.generic]], dict[str, NDArray[np.generic]]]:
        """Inputs of the self-test and what the reference made of them: arrays (n, *shape) by name.

        Raises:
            ArtifactError: a file is malformed.
        """
        import numpy as np

        arrays: dict[str, dict[str, NDArray[np.generic]]] = {"input": {}, "output": {}}
        for kind, tensors in (("input", self.manifest.inputs), ("output", self.manifest.outputs)):
            for index, tensor in enumerate(tensors):
                path = self.path / GOLDEN_FOLDER / f"{kind}-{index}.npy"
                try:
                    arrays[kind][tensor.name] = np.load(path, allow_pickle=False)
                except (OSError, ValueError, EOFError) as error:
                    raise ArtifactError(f"{path}: {error}", advice="compile the model again") from error
        return arrays["input"], arrays["output"]

    @property
    def size(self) -> int:
        """Bytes of all files but golden/; edge-run counts once where it is a link to the library."""
        files = [self.path / name for name in (MANIFEST_NAME, *self.manifest.files)]
        inside = [file for file in files if file.parent.name != GOLDEN_FOLDER]
        return sum(file.stat().st_size for file in inside if not file.is_symlink())


def certificate_name(policy: str) -> str:
    """File name of the certificate of a policy; compressed, it takes a third of the room."""
    return f"certificate-{policy}.json.gz"


def is_artifact(path: Path) -> bool:
    """Whether a path is a folder with a manifest."""
    return path.is_dir() and (path / MANIFEST_NAME).is_file()


def read(path: str | Path) -> Artifact:
    """Open an artifact and check the hash of every file.

    Raises:
        ArtifactError: not an artifact; a file is missing or altered (all of them named); or a newer version.
    """
    path = Path(path)
    if not path.exists():
        raise ArtifactError(f"{path}: no such file or folder", advice="edgeconv compile MODEL.onnx -o " + str(path))
    if not is_artifact(path):
        raise ArtifactError(
            f"{path} is not an artifact", expected=f"a folder with {MANIFEST_NAME}, as `edgeconv compile` writes it"
        )
    try:
        text = (path / MANIFEST_NAME).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise ArtifactError(f"{path / MANIFEST_NAME} was altered: {error}", advice="compile the model again") from error
    manifest = parse_manifest(text, path)
    problems = [f"{path / name} {problem}" for name, problem in _differences(path, manifest.files)]
    if problems:
        raise ArtifactError(
            "; ".join(problems),
            expected="the files as they were compiled (SHA-256 in the manifest)",
            advice="compile the model again; an artifact is not to be edited",
        )
    return Artifact(path, manifest)


def _differences(path: Path, files: dict[str, FileEntry]) -> Iterator[tuple[str, str]]:
    found = file_entries(path)
    for name, expected in files.items():
        if name not in found:
            yield name, "is missing"
        elif expected != found[name]:
            yield name, f"was altered (SHA-256 {found[name].sha256[:16]}…, not {expected.sha256[:16]}…)"


def file_entries(folder: Path) -> dict[str, FileEntry]:
    """Size and hash of every file of a folder but the manifest, by path. A link counts as what it points at."""
    entries = {}
    for root, _, names in os.walk(folder):
        for name in names:
            file = Path(root) / name
            relative = file.relative_to(folder).as_posix()
            if relative == MANIFEST_NAME or not file.is_file():
                continue
            data = file.read_bytes()
            entries[relative] = FileEntry(len(data), hashlib.sha256(data).hexdigest())
    return dict(sorted(entries.items()))


def require_replaceable(output: Path) -> None:
    """Check that an artifact may be written there, before any work is done.

    Raises:
        UsageError: something else than an artifact is there, or the folder above does not exist or is not writable.
    """
    parent = output.absolute().parent
    if not parent.is_dir():
        raise UsageError(f"{output}: the folder {parent} does not exist", advice=f"mkdir -p {parent}")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise UsageError(f"{output}: the folder {parent} is not writable")
    empty_folder = output.is_dir() and not any(output.iterdir())
    if (output.exists() or output.is_symlink()) and not is_artifact(output) and not empty_folder:
        raise UsageError(
            f"{output} exists and is not an artifact",
            expected="a new name, or an artifact, which is then replaced",
            advice="choose another output, or remove it yourself",
        )


@contextmanager
def publish(output: Path) -> Iterator[Path]:
    """A new folder beside `output` to be filled; it takes the place of `output`, in one step, when the block ends.

    When the block fails the folder is removed and whatever was at `output` is untouched. A process that is killed
    leaves a hidden folder, which the next call for the same output removes.

    Raises:
        UsageError: see `require_replaceable`, or the disk is full.
    """
    require_replaceable(output)
    output = output.absolute()
    _remove_abandoned(output)
    staging = output.parent / f".{output.name}.{os.getpid()}.edgeconv-tmp"
    try:
        staging.mkdir()
        yield staging
        _sync(staging)
        _swap(staging, output)
    except OSError as error:
        raise UsageError(
            f"{output} could not be written: {error.strerror or error}", advice="nothing was changed there"
        ) from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _remove_abandoned(output: Path) -> None:
    for path in output.parent.glob(".*.edgeconv-tmp"):
        match = _STAGING.fullmatch(path.name)
        if match and match["name"] == output.name and not Path(f"/proc/{match['pid']}").exists():
            shutil.rmtree(path, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Data first, name second: after a power cut the name never stands for files that are not there."""
    for root, _, names in os.walk(folder):
        for name in names:
            with (Path(root) / name).open("rb") as file:
                os.fsync(file.fileno())


def _swap(staging: Path, output: Path) -> None:
    """Give `staging` the name `output`; what was there, if anything, ends up under the name `staging`."""
    if not output.exists():
        staging.rename(output)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    exchange = getattr(libc, "renameat2", None)
    paths = os.fsencode(staging), os.fsencode(output)
    if exchange is not None and exchange(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) == 0:
        return
    # Not every file system exchanges names: two renames, with the old artifact kept aside in between.
    aside = staging.with_name(staging.name + ".old")
    output.rename(aside)
    try:
        staging.rename(output)
    except OSError:
        aside.rename(output)
        raise
    shutil.rmtree(aside, ignore_errors=True)

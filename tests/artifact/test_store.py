"""Artifacts are written whole or not at all, and read only as they were written."""

from __future__ import annotations

import gzip
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edgeconv.artifact import read
from edgeconv.artifact.store import publish, require_replaceable
from edgeconv.errors import ArtifactError, UsageError
from edgeconv.integer import POLICIES, prove
from tests.artifact.double import built, copied, quantize_program, write_double

pytestmark = pytest.mark.needs_gcc


def _contents(folder: Path) -> dict[str, bytes]:
    """What compile wrote; importing edge_runtime.py leaves compiled Python beside it."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


FILES = (
    "certificate-fma.json.gz",
    "certificate-generic.json.gz",
    "edge-run",
    "edge_runtime.py",
    "golden/input-0.npy",
    "golden/output-0.npy",
    "include/double.h",
    "include/edge.h",
    "include/example.c",
    "lib/libdouble.so",
    "program.txt",
    "weights.npz",
)


def test_the_manifest_lists_every_file() -> None:
    assert tuple(sorted(read(built()).manifest.files)) == FILES


@pytest.mark.parametrize("name", FILES)
def test_an_altered_byte_is_named(tmp_path: Path, name: str) -> None:
    artifact = copied(tmp_path)
    path = artifact / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(ArtifactError, match="was altered") as caught:
        read(artifact)
    assert str(path) in caught.value.problem


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    artifact = copied(tmp_path)
    (artifact / "weights.npz").unlink()
    with pytest.raises(ArtifactError, match=r"weights\.npz is missing"):
        read(artifact)


def test_certificates_are_kept_and_malformed_ones_refused(tmp_path: Path) -> None:
    artifact = read(copied(tmp_path))
    for policy in artifact.manifest.policies:
        assert artifact.certificate(policy) == prove(quantize_program(), POLICIES[policy])
    path = artifact.path / "certificate-fma.json.gz"
    for data in (b"{}", path.read_bytes()[:-9], gzip.compress(b"{}")):
        path.write_bytes(data)
        with pytest.raises(ArtifactError, match="certificate"):
            artifact.certificate("fma")


def test_what_is_no_artifact_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such file"):
        read(tmp_path / "none.edge")
    with pytest.raises(ArtifactError, match="is not an artifact"):
        read(tmp_path)


def test_compiling_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    assert _contents(write_double(tmp_path / "double.edge").path) == _contents(built())


def test_only_artifacts_are_replaced(tmp_path: Path) -> None:
    mine = tmp_path / "thesis"
    mine.mkdir()
    (mine / "chapter1.txt").write_text("precious")
    with pytest.raises(UsageError, match="exists and is not an artifact"):
        require_replaceable(mine)
    with pytest.raises(UsageError, match="exists and is not an artifact"):
        write_double(mine)
    assert (mine / "chapter1.txt").read_text() == "precious"
    with pytest.raises(UsageError, match="does not exist"):
        require_replaceable(tmp_path / "none" / "x.edge")


def test_an_old_artifact_is_replaced_in_one_step(tmp_path: Path) -> None:
    artifact = copied(tmp_path)
    (artifact / "note.txt").write_text("of the old one")
    write_double(artifact)
    assert not (artifact / "note.txt").exists()
    assert os.listdir(tmp_path) == ["double.edge"]
    read(artifact)


def test_a_failure_leaves_the_old_artifact(tmp_path: Path) -> None:
    artifact = copied(tmp_path)
    before = _contents(artifact)
    with pytest.raises(RuntimeError, match="half way"), publish(artifact) as folder:
        (folder / "manifest.json").write_text("{}")
        raise RuntimeError("half way")
    assert _contents(artifact) == before
    assert os.listdir(tmp_path) == ["double.edge"]


def test_a_full_disk_leaves_the_old_artifact(tmp_path: Path) -> None:
    artifact = copied(tmp_path)
    before = _contents(artifact)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(UsageError, match="could not be written: File too large"), publish(artifact) as folder:
            # A limit on file sizes ends a write in the same way as a full disk does.
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
            (folder / "library.so").write_bytes(bytes(5000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert _contents(artifact) == before
    assert os.listdir(tmp_path) == ["double.edge"]


_KILLED = """
import os, signal, sys
from pathlib import Path
from edgeconv.artifact.store import publish
with publish(Path(sys.argv[1])) as folder:
    (folder / "manifest.json").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("there_before", [True, False])
def test_a_killed_compile_leaves_nothing_half_made(tmp_path: Path, there_before: bool) -> None:
    artifact = copied(tmp_path) if there_before else tmp_path / "double.edge"
    before = _contents(artifact)
    done = subprocess.run([sys.executable, "-c", _KILLED, str(artifact)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert _contents(artifact) == before
    assert artifact.exists() == there_before
    write_double(artifact)
    assert os.listdir(tmp_path) == ["double.edge"], "the next compile tidies up"
    read(artifact)

"""The board's bitstream in an artifact: the same for every network, taken along where this machine has made it."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgeconv.artifact.store import Artifact
from edgeconv.errors import ArtifactError
from edgeconv.hw.boards.place import Routed, find_bitstream
from edgeconv.hw.boards.report import Report, read_report

__all__ = ["add_bitstream", "bitstream_of", "routed_report"]

_BITSTREAM = Path("lib") / "board.bit"
_REPORT = Path("lib") / "board.json"


def add_bitstream(target: str, folder: Path) -> Routed | None:
    """Put the bitstream of a target's board and its report into an artifact that is being written, if there is one."""
    found = find_bitstream(target)
    if found is not None:
        shutil.copyfile(found.bitstream, folder / _BITSTREAM)
        found.report.write(folder / _REPORT)
    return found


def bitstream_of(artifact: Artifact) -> Path:
    """The artifact's bitstream.

    Raises:
        ArtifactError: it carries none.
    """
    path = artifact.path / _BITSTREAM
    if not path.is_file():
        raise ArtifactError(
            f"{artifact.path} carries no bitstream",
            expected=str(_BITSTREAM),
            advice="make one with `make bitstream`, then compile again",
        )
    return path


def routed_report(artifact: Artifact) -> Report | None:
    """What placing and routing the artifact's bitstream reached; None where it carries none."""
    path = artifact.path / _REPORT
    return read_report(path) if path.is_file() else None

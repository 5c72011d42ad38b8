"""An artifact onto a board with an FPGA: the bitstream through openFPGALoader, the network through the serial port."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from edgeconv.artifact import read
from edgeconv.artifact.array_target.bitstream import bitstream_of, routed_report
from edgeconv.errors import DeviceError, UsageError
from edgeconv.runtime.board import BoardRunner
from edgeconv.runtime.ways import SERIAL

__all__ = ["BoardDeployment", "deploy_to_board"]

_LOADER = "openFPGALoader"


@dataclass(frozen=True)
class BoardDeployment:
    """What was done.

    Attributes:
        device: the board's serial port.
        command: loads the bitstream into the FPGA.
        programmed: whether it was run; where openFPGALoader is not installed it is for the user to run elsewhere.
        self_test: whether the board then ran a golden sample and found what the reference does.
    """

    device: str
    command: str
    programmed: bool
    self_test: bool


def deploy_to_board(path: Path, device: str) -> BoardDeployment:
    """Load an artifact's bitstream into a board, then its network, and run a golden sample.

    Args:
        device: `serial:PORT`, with `@BAUD` behind where it is not the usual rate.

    Raises:
        UsageError: it is not a serial port, or not an artifact for a board.
        ArtifactError: the artifact carries no bitstream.
        DeviceError: openFPGALoader fails, or the board does not answer or computes something else.
    """
    artifact = read(path)
    if not device.startswith(SERIAL):
        raise UsageError(f"device '{device}'", expected=f"{SERIAL}/dev/ttyUSB0")
    if artifact.manifest.family != "fpga":
        raise UsageError(
            f"{path} is for target {artifact.manifest.target}, not for a board", expected="an artifact for an FPGA"
        )
    bitstream, report = bitstream_of(artifact), routed_report(artifact)
    assert report is not None  # it stands beside the bitstream
    command = [_LOADER, "--board", report.loader, str(bitstream)]
    if shutil.which(_LOADER) is None:
        return BoardDeployment(device, shlex.join(command), programmed=False, self_test=False)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise DeviceError(
            f"{_LOADER} could not load the bitstream:\n{(done.stdout + done.stderr).strip()[-1000:]}",
            advice=f"try it by hand: {shlex.join(command)}",
        )
    BoardRunner(artifact, device)  # loads the network and tests it
    return BoardDeployment(device, shlex.join(command), programmed=True, self_test=True)

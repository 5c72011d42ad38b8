"""Instructions that one inference retires under emulation: what can be counted of a board that is not at hand.

qemu writes a line for every block of instructions that it executes, and the instructions of a block when it translates
it. edge-run is run on one sample and on two; the difference is one inference, its reading and writing included.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgeconv.artifact import Artifact, read
from edgeconv.errors import DeviceError, ToolError
from edgeconv.runtime.emulated import EmulatedRunner, open_runner, runnable_isas

__all__ = ["EmulatedBench", "InstructionCount", "count_instructions"]

_TRANSLATED = re.compile(rb"0x([0-9a-f]{4,16}):\s")
_EXECUTED = re.compile(rb"Trace \d+: 0x[0-9a-f]+ \[[0-9a-f]+/([0-9a-f]+)/")


@dataclass(frozen=True)
class InstructionCount:
    """What one instruction set takes for one sample.

    Attributes:
        isa: its name.
        cpu: the processor that was emulated.
        instructions: retired by one inference.
    """

    isa: str
    cpu: str
    instructions: int


@dataclass(frozen=True)
class EmulatedBench:
    """Instruction counts of an artifact for another architecture.

    Attributes:
        macs: multiply-accumulates a sample.
    """

    artifact: str
    macs: int
    counts: tuple[InstructionCount, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        counts = [
            {
                "isa": c.isa,
                "cpu": c.cpu,
                "instructions": c.instructions,
                "macs_per_instruction": self.macs / c.instructions,
            }
            for c in self.counts
        ]
        return {"artifact": self.artifact, "macs": self.macs, "counts": counts}


def count_instructions(artifact: str | Path, isa: str | None = None) -> EmulatedBench:
    """Count the instructions of one inference of an artifact that runs here under emulation alone.

    Args:
        isa: instruction set; all of the artifact's when None.

    Raises:
        ArtifactError, DeviceError: as for loading; an artifact for a GPU, whose time no CPU's instructions tell.
        ToolError: the emulator fails.
    """
    opened = read(artifact)
    if opened.manifest.family == "cuda":
        raise DeviceError(
            f"{artifact} is for a GPU in a machine with a CPU of kind {opened.manifest.architecture}: its time cannot "
            "be told here",
            advice="run edgeconv bench, or edge_runtime.py of the artifact, on that machine",
        )
    names = (isa,) if isa else runnable_isas(opened.manifest) or (None,)
    counts = tuple(_count(opened, name) for name in names)
    return EmulatedBench(str(artifact), opened.manifest.macs, counts)


def _count(artifact: Artifact, isa: str | None) -> InstructionCount:
    runner = open_runner(artifact, isa)
    assert isinstance(runner, EmulatedRunner)
    golden, _ = artifact.golden()
    one, two = (
        _retired(runner, {name: np.repeat(array[:1], samples, axis=0) for name, array in golden.items()})
        for samples in (1, 2)
    )
    return InstructionCount(runner.isa, runner.cpu, two - one)


def _retired(runner: EmulatedRunner, inputs: dict[str, Any]) -> int:
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
        command = runner.command_for([inputs[tensor.name] for tensor in runner.inputs], Path(name))
        command[1:1] = ["-d", "in_asm,exec,nochain"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
            assert process.stderr is not None
            count = _counted(process.stderr)
        if process.returncode != 0:
            raise ToolError(f"{' '.join(command[:5])} ended with {process.returncode}")
    return count


def _counted(lines: Iterable[bytes]) -> int:
    """Sum of the lengths of all executed blocks."""
    lengths: dict[int, int] = {}
    total = block = 0
    for line in lines:
        executed = _EXECUTED.match(line)
        if executed:
            total += lengths[int(executed[1], 16)]
        elif line.startswith(b"IN:"):
            block = 0
        else:
            translated = _TRANSLATED.match(line)
            if translated:
                block = block or int(translated[1], 16)
                lengths[block] = (int(translated[1], 16) - block) // 4 + 1
    return total

"""The int8 peak of one core, measured with a loop of the dot-product instruction."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

__all__ = ["measured_peak"]

_SOURCE = Path(__file__).parent / "c" / "peak.c"


def measured_peak(isa: str) -> float | None:
    """Int8 multiply-accumulates a second of one core with an instruction set.

    Returns:
        None where there is no loop for the instruction set, or no C compiler.
    """
    if isa not in ("avx2", "avxvnni", "avx512vnni") or shutil.which("gcc") is None:
        return None
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as folder:
        program = str(Path(folder) / "peak")
        command = ["gcc", "-O2", "-o", program, str(_SOURCE)]
        if subprocess.run(command, capture_output=True, check=False).returncode != 0:
            return None
        done = subprocess.run([program, isa], capture_output=True, text=True, check=False)
    return float(done.stdout) if done.returncode == 0 and float(done.stdout) > 0 else None

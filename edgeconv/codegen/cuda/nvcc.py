"""CUDA source to code for GPUs, by nvcc: no GPU and no driver is needed.

nvcc comes with NVIDIA's toolkit, or with its packages for pip (extra `cuda`), which lie in the folder of Python's
packages and on no path.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import ClassVar

from edgeconv.codegen.cuda.image import EXACT_OPTIONS, UNUSED_FUNCTION, Image, package_folders
from edgeconv.errors import ToolError

__all__ = ["Nvcc", "find_nvcc"]

_SECONDS = 600


@dataclass(frozen=True)
class Nvcc:
    """A compiler for GPUs.

    Attributes:
        command: path of nvcc.
        version: its release, such as (13, 0): code for a GPU runs with drivers of that release or later.
    """

    name: ClassVar[str] = "nvcc"
    command: str
    version: tuple[int, int]

    def images(self, source: str, architectures: Sequence[str]) -> tuple[Image, ...]:
        """One fat binary for all architectures; see `compile`."""
        return (Image(self.compile(source, architectures)),)

    def compile(self, source: str, architectures: Sequence[str]) -> bytes:
        """A fat binary.

        Args:
            architectures: `sm_80` for machine code, `compute_90` for PTX that newer drivers compile further.

        Raises:
            ToolError: nvcc refuses an architecture or the source (its message is included).
        """
        options = ["-fatbin", "--threads=0"]
        for architecture in architectures:
            number = architecture.partition("_")[2]
            options.append(f"-gencode=arch=compute_{number},code={architecture}")
        return self.run(source, options, "fatbin")

    def run(self, source: str, options: Sequence[str], suffix: str) -> bytes:
        """What nvcc makes of a source with more options, such as `-ptx`.

        Raises:
            ToolError: nvcc fails.
        """
        with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
            (Path(name) / "kernels.cu").write_text(source, encoding="utf-8")
            output = f"kernels.{suffix}"
            command = [self.command, "-O3", *EXACT_OPTIONS, UNUSED_FUNCTION, *options, "kernels.cu", "-o", output]
            try:
                done = subprocess.run(command, cwd=name, capture_output=True, text=True, check=False, timeout=_SECONDS)
            except (OSError, subprocess.TimeoutExpired) as error:
                raise ToolError(f"{self.command}: {error}", advice="edgeconv doctor") from error
            if done.returncode != 0:
                raise ToolError(
                    f"nvcc could not compile the kernels:\n{(done.stderr or done.stdout).strip()[-2000:]}",
                    advice="nvcc 13 knows the architectures of all targets; see `nvcc --list-gpu-code`",
                )
            return (Path(name) / output).read_bytes()


def find_nvcc() -> Nvcc:
    """nvcc on the path, in $CUDA_HOME, or among Python's packages.

    Raises:
        ToolError: there is none; says what to install.
    """
    for command in _candidates():
        version = _version(command)
        if version is not None:
            return Nvcc(command, version)
    raise ToolError(
        "nvcc is not installed, which compiles for target cuda",
        expected="nvcc on the path, in $CUDA_HOME/bin, or from pip; or NVRTC, which does without it",
        advice="pip install 'edgeconv[cuda]', or install NVIDIA's CUDA toolkit; no GPU is needed to compile",
    )


def _candidates() -> Iterator[str]:
    on_path = shutil.which("nvcc")
    if on_path:
        yield on_path
    home = os.environ.get("CUDA_HOME")
    for folder in [*([Path(home)] if home else []), *package_folders()]:
        command = folder / "bin" / "nvcc"
        if command.is_file():
            yield str(command)


@cache
def _version(command: str) -> tuple[int, int] | None:
    try:
        done = subprocess.run([command, "--version"], capture_output=True, text=True, check=False, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"release (\d+)\.(\d+)", done.stdout)
    return (int(found[1]), int(found[2])) if found else None

"""What the compilers for GPUs share: the code that they give, the options that keep it exact, where packages lie."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

__all__ = ["EXACT_OPTIONS", "UNUSED_FUNCTION", "CudaCompiler", "Image", "package_folders"]

EXACT_OPTIONS = ("-fmad=false", "-ftz=false", "-prec-div=true", "-prec-sqrt=true")
"""Nothing becomes less exact than it is written: no contraction into FMA, no flush to zero, divisions of IEEE 754."""
UNUSED_FUNCTION = "-diag-suppress=177"


@dataclass(frozen=True)
class Image:
    """Code that a driver loads.

    Attributes:
        data: a fat binary, machine code in an ELF file, or PTX with a zero at its end.
        capability: what it is for, such as 90; 0 for a fat binary, of which the driver takes what fits.
        ptx: later GPUs run it, too, once their driver has compiled it.
    """

    data: bytes
    capability: int = 0
    ptx: bool = False


class CudaCompiler(Protocol):
    """A compiler of CUDA source.

    Attributes:
        version: its release: code runs with drivers of that release or later.
    """

    name: ClassVar[str]

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor number."""

    def images(self, source: str, architectures: Sequence[str]) -> tuple[Image, ...]:
        """Code for all architectures.

        Raises:
            ToolError: the compiler fails.
        """


def package_folders() -> list[Path]:
    """Where NVIDIA's packages for pip put their toolkits, the newest first; they are on no path."""
    packages = importlib.util.find_spec("nvidia")
    found: list[Path] = []
    for folder in packages.submodule_search_locations or () if packages else ():
        found += sorted(Path(folder).glob("cu[0-9]*"), reverse=True)
    return found

"""The C compilers that link artifacts: this machine's own, and Debian's cross compiler for 64-bit Arm."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass

from edgeconv.errors import ToolError
from edgeconv.runtime.cpu_features import host_architecture

__all__ = ["Compiler", "find_compiler"]


@dataclass(frozen=True)
class Compiler:
    """A C compiler for one architecture.

    Attributes:
        gcc, nm: commands.
        musl: the command that links with musl, or None where it is not installed.
        options: what the architecture needs in addition.
        packages: Debian packages of which it consists.
    """

    gcc: str
    nm: str
    musl: str | None
    options: tuple[str, ...]
    packages: str

    @property
    def version(self) -> str:
        """Full version of gcc."""
        done = subprocess.run([self.gcc, "-dumpfullversion"], capture_output=True, text=True, check=False)
        return done.stdout.strip()


# No landing pads at function entries: nothing is called through pointers that a user could forge.
_OPTIONS = {"x86_64": ("-fcf-protection=none",), "aarch64": ("-mbranch-protection=none",)}


def find_compiler(architecture: str) -> Compiler:
    """The compiler for an architecture.

    Raises:
        ToolError: it is not installed; names the packages.
    """
    native = architecture == host_architecture()
    prefix = "" if native else f"{architecture}-linux-gnu-"
    gcc = f"{prefix}gcc"
    debian = architecture.replace("_", "-")
    packages = "gcc libc6-dev" if native else f"gcc-{debian}-linux-gnu libc6-dev-{_debian_name(architecture)}-cross"
    if shutil.which(gcc) is None:
        raise ToolError(
            f"{gcc} is not installed", advice=f"apt-get install {packages}; `edgeconv doctor` checks all tools"
        )
    musl = "musl-gcc" if native and shutil.which("musl-gcc") else None
    return Compiler(gcc, f"{prefix}nm", musl, _OPTIONS.get(architecture, ()), packages)


def _debian_name(architecture: str) -> str:
    return {"aarch64": "arm64", "x86_64": "amd64"}.get(architecture, architecture)

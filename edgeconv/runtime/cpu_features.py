"""What the processor of this machine can execute.

The operating system is asked, not the processor: a kernel or hypervisor that does not save the 512-bit registers
hides AVX-512, and using it all the same would be an illegal instruction. Code generation asks here before LLVM is
asked, because LLVM ends the whole process when an intrinsic does not fit the CPU.
"""

from __future__ import annotations

import platform
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

__all__ = [
    "INSTRUCTION_SETS",
    "InstructionSet",
    "host_architecture",
    "host_features",
    "missing_features",
    "processors",
    "supported_isas",
]

CPUINFO = Path("/proc/cpuinfo")

# macOS names for the Linux flags that the instruction sets below ask for.
_SYSCTL_NAMES = {
    "avx1.0": "avx",
    "lzcnt": "abm",
    "avx512vnni": "avx512_vnni",
    "advsimd": "asimd",
    "feat_dotprod": "asimddp",
}

_ARCHITECTURES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "aarch64", "arm64": "aarch64"}


@dataclass(frozen=True)
class InstructionSet:
    """One way to generate code for a CPU, with what the machine needs to run it.

    Attributes:
        name: as in target files and artifacts.
        architecture: `x86_64`, `aarch64`, or `any`.
        features: CPU flags as Linux prints them in /proc/cpuinfo.
    """

    name: str
    architecture: str
    features: frozenset[str]


# x86-64-v3 and x86-64-v4 of the System V psABI, so that LLVM's CPUs of these names are safe to compile for.
_V3 = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"})
_V4 = _V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}

# In ascending order of speed: the last one that runs is the one to take.
INSTRUCTION_SETS: dict[str, InstructionSet] = {
    isa.name: isa
    for isa in (
        InstructionSet("generic", "any", frozenset()),
        InstructionSet("avx2", "x86_64", _V3),
        InstructionSet("avxvnni", "x86_64", _V3 | {"avx_vnni"}),
        InstructionSet("avx512vnni", "x86_64", _V4 | {"avx512_vnni"}),
        InstructionSet("neon", "aarch64", frozenset({"asimd"})),
        InstructionSet("neon+dotprod", "aarch64", frozenset({"asimd", "asimddp"})),
    )
}


def host_architecture() -> str:
    """This machine's CPU architecture, `x86_64` or `aarch64` where edgeconv knows it, else as Python reports it."""
    machine = platform.machine().lower()
    return _ARCHITECTURES.get(machine, machine)


@cache
def host_features() -> frozenset[str]:
    """CPU flags of this machine under the names Linux gives them; empty where they cannot be found out."""
    if platform.system() == "Darwin":
        return _parse_sysctl(_sysctl_text())
    try:
        return _parse_cpuinfo(CPUINFO.read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return frozenset()


def supported_isas(features: frozenset[str] | None = None, architecture: str | None = None) -> tuple[str, ...]:
    """Names of the instruction sets that run on a machine, slowest first; of this machine when nothing is given."""
    return tuple(name for name in INSTRUCTION_SETS if not missing_features(name, features, architecture))


def missing_features(
    isa: str, features: frozenset[str] | None = None, architecture: str | None = None
) -> tuple[str, ...]:
    """What a machine lacks to run an instruction set, sorted; empty when it runs it.

    A wrong architecture is reported as that architecture's name alone.

    Raises:
        KeyError: there is no such instruction set.
    """
    needed = INSTRUCTION_SETS[isa]
    architecture = host_architecture() if architecture is None else architecture
    features = host_features() if features is None else features
    if needed.architecture not in ("any", architecture):
        return (needed.architecture,)
    return tuple(sorted(needed.features - features))


_PROCESSOR_FIELDS = {
    "model name": "",
    "cpu family": "family ",
    "model": "model ",
    "stepping": "stepping ",
    "CPU implementer": "implementer ",
    "CPU variant": "variant ",
    "CPU part": "part ",
    "CPU revision": "revision ",
}
"""Lines of /proc/cpuinfo that tell processors apart, on x86 and on Arm, with what is written before their values.

A model name alone does not: a hypervisor calls processors of several generations by one name."""


def processors() -> str:
    """The kinds of processors of this machine, such as "AMD EPYC, family 26, model 2, stepping 1"."""
    try:
        text = CPUINFO.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    kinds: dict[str, None] = {}
    for block in text.split("\n\n"):
        lines = [line.partition(":") for line in block.splitlines()]
        fields = {key.strip(): value.strip() for key, _, value in lines}
        words = [f"{before}{fields[name]}" for name, before in _PROCESSOR_FIELDS.items() if name in fields]
        if words:
            kinds[", ".join(words)] = None
    return "; ".join(kinds) or platform.machine()


def _parse_cpuinfo(text: str) -> frozenset[str]:
    """Flags that every processor in /proc/cpuinfo has: on big-little machines a thread may move to any of them."""
    flag_sets = []
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            flag_sets.append(frozenset(value.split()))
    return frozenset.intersection(*flag_sets) if flag_sets else frozenset()


def _sysctl_text() -> str:
    command = ["sysctl", "machdep.cpu.features", "machdep.cpu.leaf7_features", "hw.optional"]
    try:
        # sysctl exits 1 when one of the names does not exist (Apple silicon lacks the first two) and prints the rest.
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _parse_sysctl(text: str) -> frozenset[str]:
    names: set[str] = set()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        key, value = key.strip().lower(), value.strip().lower()
        if key in ("machdep.cpu.features", "machdep.cpu.leaf7_features"):
            names.update(value.split())
        elif key.startswith("hw.optional.") and value == "1":
            names.add(key.rsplit(".", 1)[-1])
    return frozenset(_SYSCTL_NAMES.get(name, name) for name in names)

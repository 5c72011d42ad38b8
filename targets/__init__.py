"""Boards and instruction sets that edgeconv compiles for, one TOML file each.

A target is named by its file (`x86-64` is x86-64.toml of this folder), or given as the path of a file of one's own.
`cpu` is the target of the machine that asks. docs/targets.md describes every field.

    target = load_target("cpu")
    target.require_available()      # before any work is done for it
    for isa in target.isas:
        isa.name, isa.cpu, isa.features
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeconv._version import __version__
from edgeconv.errors import DeviceError, TargetError
from edgeconv.runtime.cpu_features import INSTRUCTION_SETS, host_architecture

__all__ = ["HOST_ALIAS", "Isa", "Target", "host_target_name", "list_targets", "load_target"]

FOLDER = Path(__file__).parent
HOST_ALIAS = "cpu"

_HOST_TARGETS = {"x86_64": "x86-64", "aarch64": "aarch64"}
# Families, and for CPUs architectures, that code generation exists for.
_COMPILABLE = {
    *(("cpu", "x86_64"), ("cpu", "aarch64"), ("c", None), ("hls", None), ("fpga", None)),
    *(("cuda", "x86_64"), ("cuda", "aarch64")),
}
_RUNS = ("in-process", "host-gcc", "host-g++", "qemu-aarch64", "ssh", "verilator", "uart")

# Field -> (type, is it required).
_COMMON_FIELDS: dict[str, tuple[type, bool]] = {
    "family": (str, True),
    "description": (str, True),
    "run": (str, True),
}
_FAMILY_FIELDS: dict[str, dict[str, tuple[type, bool]]] = {
    "cpu": {"triple": (str, True), "isa": (dict, True)},
    "c": {},
    "cuda": {"triple": (str, True), "architectures": (list, True)},
    "fpga": {"part": (str, True), "clock_mhz": (float, True)},
    "hls": {"part": (str, True), "clock_mhz": (float, True), "multipliers": (int, True)},
}
_ISA_FIELDS: dict[str, tuple[type, bool]] = {"cpu": (str, True), "features": (list, False)}
_TYPE_NAMES = {str: "a string", dict: "a table", list: "a list of strings", float: "a number", int: "an integer"}


@dataclass(frozen=True)
class Isa:
    """One instruction set of a CPU target, with what LLVM is told for it.

    Attributes:
        name: as in `edgeconv.runtime.cpu_features.INSTRUCTION_SETS`.
        cpu: LLVM's CPU name (`mcpu`).
        features: LLVM's names of features beyond that CPU's, without the leading `+`.
    """

    name: str
    cpu: str
    features: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """What an artifact is compiled for and how it is run.

    Attributes:
        name: the file's name without `.toml`.
        family: `cpu`, `c`, `cuda`, `fpga` or `hls`.
        description: one line for people.
        run: `in-process`, `host-gcc`, `host-g++`, `qemu-aarch64`, `ssh`, `verilator` or `uart`.
        path: the file it was read from.
        triple: LLVM's target triple (families cpu and cuda: of the CPU that the GPU belongs to).
        isas: instruction sets the artifact carries, slowest first (families cpu, c, cuda and hls).
        architectures: such as `sm_75`, or `compute_90` for PTX that newer GPUs run (family cuda).
        part: the device's order code (families fpga and hls).
        clock_mhz: clock that is aimed for, in MHz (families fpga and hls).
        multipliers: that may stand side by side (family hls).
    """

    name: str
    family: str
    description: str
    run: str
    path: Path
    triple: str | None = None
    isas: tuple[Isa, ...] = ()
    architectures: tuple[str, ...] = ()
    part: str | None = None
    clock_mhz: float | None = None
    multipliers: int | None = None

    @property
    def isa_names(self) -> tuple[str, ...]:
        """Names of the instruction sets the artifact carries, slowest first."""
        return tuple(isa.name for isa in self.isas)

    @property
    def architecture(self) -> str | None:
        """CPU architecture, the first part of the triple; None for other families."""
        return self.triple.split("-")[0] if self.triple else None

    @property
    def settings(self) -> dict[str, Any]:
        """Fields that shape the code beyond instruction sets, as the target file gives them."""
        fields = {"part": self.part, "clock_mhz": self.clock_mhz, "multipliers": self.multipliers}
        return {name: value for name, value in fields.items() if value is not None}

    @property
    def available(self) -> bool:
        """Can edgeconv compile for it? Targets that are planned are listed and described, too."""
        return (self.family, self.architecture) in _COMPILABLE

    def require_available(self) -> None:
        """Check that edgeconv can compile for this target.

        Raises:
            DeviceError: edgeconv cannot compile for it yet.
        """
        if self.available:
            return
        working = ", ".join(target.name for target in list_targets() if target.available)
        raise DeviceError(
            f"target '{self.name}' ({self.description}) is not available yet in edgeconv {__version__}",
            expected=f"a target that works: {HOST_ALIAS} (this machine), {working}",
            advice=f"compile with --target {HOST_ALIAS}; `edgeconv targets` lists what works",
        )

    def to_json(self) -> dict[str, Any]:
        """The target as plain JSON values, without what its family does not use."""
        values: dict[str, Any] = {
            "name": self.name,
            "family": self.family,
            "description": self.description,
            "available": self.available,
            "run": self.run,
        }
        if self.family == "cpu":
            values["triple"] = self.triple
            values["isas"] = [{"name": isa.name, "cpu": isa.cpu, "features": list(isa.features)} for isa in self.isas]
        elif self.family == "cuda":
            values |= {"triple": self.triple, "architectures": list(self.architectures)}
        return values | self.settings


_NO_TABLES = {
    "c": (Isa("generic", ""),),
    "cuda": (Isa("cuda", ""),),
    "hls": (Isa("hls", ""),),
    "fpga": (Isa("array", ""),),
}
"""Instruction sets of families whose files name none: C sources compute with the integers of `generic`."""


def list_targets() -> tuple[Target, ...]:
    """All targets that come with edgeconv: those that work first, then by name."""
    targets = [_read(path) for path in FOLDER.glob("*.toml")]
    return tuple(sorted(targets, key=lambda target: (not target.available, target.name)))


def host_target_name() -> str:
    """Name of the target that fits this machine.

    Raises:
        DeviceError: edgeconv cannot compile for this machine's CPU yet.
    """
    architecture = host_architecture()
    if architecture not in _HOST_TARGETS:
        raise DeviceError(
            f"there is no target for this machine's CPU ({architecture}) yet",
            expected=f"a CPU of: {', '.join(_HOST_TARGETS)}",
            advice="name a target, for example --target x86-64, and run the artifact on a machine of that kind",
        )
    return _HOST_TARGETS[architecture]


def load_target(name_or_path: str | Path) -> Target:
    """Read the target of that name, or of that file.

    Args:
        name_or_path: a name that `list_targets` gives, `cpu` for this machine, or the path of a TOML file.

    Raises:
        TargetError: there is no such target, or the file breaks a rule; names the file and the field.
        DeviceError: `cpu` on a machine that edgeconv cannot compile for yet.
    """
    text = str(name_or_path)
    if text == HOST_ALIAS:
        text = host_target_name()
    if text.endswith(".toml") or isinstance(name_or_path, Path) or "/" in text:
        return _read(Path(text))
    names = sorted(path.stem for path in FOLDER.glob("*.toml"))
    if text not in names:
        raise TargetError(
            f"unknown target '{text}'{_did_you_mean(text, [*names, HOST_ALIAS])}",
            expected=f"one of: {HOST_ALIAS}, {', '.join(names)}; or the path of a .toml file",
            advice="`edgeconv targets` shows what each one is",
        )
    return _read(FOLDER / f"{text}.toml")


def _read(path: Path) -> Target:
    try:
        with path.open("rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise TargetError(
            f"target file {path}: {error.strerror}", advice="`edgeconv targets` lists the targets that need no file"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise TargetError(f"target file {path} is not TOML: {error}") from error

    # The family decides which other fields there are, so at first those of all families pass.
    any_family = {name: (kind, False) for fields in _FAMILY_FIELDS.values() for name, (kind, _) in fields.items()}
    _check_fields(path, "", values, _COMMON_FIELDS | any_family)
    family = _one_of(path, "family", values["family"], _FAMILY_FIELDS)
    _check_fields(path, "", values, _COMMON_FIELDS | _FAMILY_FIELDS[family])
    return Target(
        name=path.stem,
        family=family,
        description=values["description"],
        run=_one_of(path, "run", values["run"], _RUNS),
        path=path,
        triple=values.get("triple"),
        isas=_read_isas(path, values["triple"], values["isa"]) if family == "cpu" else _NO_TABLES.get(family, ()),
        architectures=_read_architectures(path, values.get("architectures", ())),
        part=values.get("part"),
        clock_mhz=float(values["clock_mhz"]) if "clock_mhz" in values else None,
        multipliers=values.get("multipliers"),
    )


def _read_architectures(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    for name in names:
        if not re.fullmatch(r"(sm|compute)_\d+[af]?", name):
            raise TargetError(
                f"target file {path}: field 'architectures' has the unknown value '{name}'",
                expected="GPU code such as sm_86, or PTX such as compute_90",
            )
    return tuple(names)


def _read_isas(path: Path, triple: str, tables: dict[str, Any]) -> tuple[Isa, ...]:
    architecture = triple.split("-")[0]
    fitting = [isa.name for isa in INSTRUCTION_SETS.values() if isa.architecture in ("any", architecture)]
    if not tables:
        raise TargetError(
            f"target file {path}: field 'isa' is empty", expected=f"a table for at least one of: {', '.join(fitting)}"
        )
    for name, table in tables.items():
        _one_of(path, "isa", name, INSTRUCTION_SETS)
        if name not in fitting:
            raise TargetError(
                f"target file {path}: instruction set 'isa.{name}' does not fit the triple '{triple}'",
                expected=f"one of: {', '.join(fitting)}",
            )
        if not isinstance(table, dict):
            raise _wrong_type(path, f"isa.{name}", table, dict)
        _check_fields(path, f"isa.{name}.", table, _ISA_FIELDS)
    return tuple(
        Isa(name, tables[name]["cpu"], tuple(tables[name].get("features", ())))
        for name in INSTRUCTION_SETS
        if name in tables
    )


def _check_fields(path: Path, prefix: str, values: dict[str, Any], fields: dict[str, tuple[type, bool]]) -> None:
    """Raise TargetError unless `values` has every required field, no unknown one, and each of its type."""
    for key, value in values.items():
        if key not in fields:
            raise TargetError(
                f"target file {path}: unknown field '{prefix}{key}'{_did_you_mean(key, fields)}",
                expected=f"fields: {', '.join(fields)}",
            )
        if not _has_type(value, fields[key][0]):
            raise _wrong_type(path, prefix + key, value, fields[key][0])
    for key, (_, required) in fields.items():
        if required and key not in values:
            raise TargetError(f"target file {path}: field '{prefix}{key}' is missing")


def _has_type(value: Any, kind: type) -> bool:
    if kind is list:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind is float:
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return isinstance(value, kind) and not (kind is int and isinstance(value, bool))


def _wrong_type(path: Path, field: str, value: Any, kind: type) -> TargetError:
    return TargetError(f"target file {path}: field '{field}' is {value!r}", expected=_TYPE_NAMES[kind])


def _one_of(path: Path, field: str, value: str, choices: Iterable[str]) -> str:
    if value not in choices:
        raise TargetError(
            f"target file {path}: field '{field}' has the unknown value '{value}'{_did_you_mean(value, choices)}",
            expected=f"one of: {', '.join(choices)}",
        )
    return value


def _did_you_mean(word: str, choices: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(choices), n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""

"""Generated code for an artifact, and the check that a library holds exactly that code."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from edgeconv._version import __version__
from edgeconv.artifact.backend import CodeOptions, Difference
from edgeconv.artifact.compilers import find_compiler
from edgeconv.artifact.layers import macs_of
from edgeconv.artifact.link import CompiledKernel, link
from edgeconv.artifact.manifest import Tuning
from edgeconv.artifact.store import Artifact
from edgeconv.artifact.write import Contents, model_source, write
from edgeconv.integer import POLICY_OF_ISA, Certificate
from edgeconv.ir import Program

if TYPE_CHECKING:
    from edgeconv.codegen import GeneratedCode
    from edgeconv.codegen.emit import KernelReport
    from edgeconv.targets import Target

__all__ = ["BACKEND", "Generated", "check_library", "generate_all", "is_shared", "toolchain"]

SHARED_MACS = 2_000_000
"""Multiply-accumulates of a sample from which threads share it, some 10 µs of work: below, they take samples in turn,
since a barrier between two of a dozen steps costs up to a microsecond where a core has to be woken."""


@dataclass(frozen=True)
class Generated:
    """Code for every instruction set of an artifact.

    Attributes:
        kernels: what is linked, slowest first.
        reports: per instruction set, what was generated for each step.
        sections: per instruction set, name -> (offset, bytes) of each constant in its blob.
    """

    kernels: tuple[CompiledKernel, ...]
    reports: dict[str, tuple[KernelReport, ...]]
    sections: dict[str, Mapping[str, tuple[int, int]]]


def is_shared(program: Program, one_thread: bool) -> bool:
    """Whether threads are to share a sample of a program; `one_thread` says that no call is to be shared."""
    return not one_thread and sum(macs_of(program, operator) for operator in program.operators) >= SHARED_MACS


def generate_all(
    program: Program,
    certificates: Mapping[str, Certificate],
    isas: Sequence[str],
    *,
    fuse: bool = True,
    one_thread: bool = False,
    tuning: Tuning | None = None,
    architecture: str | None = None,
    cpus: Mapping[str, str] | None = None,
) -> Generated:
    """Generate code for every instruction set.

    Args:
        certificates: by policy.
        one_thread: no call is to be shared by threads.
        tuning: blockings that were measured.
        architecture: of the CPU that runs it; decides what `generic` is.
        cpus: LLVM's name of the processor to schedule for, by instruction set.

    Raises:
        ToolError: TVM is missing or fails.
        UnsupportedModelError: an operator has no kernel.
    """
    from edgeconv.codegen import generate
    from edgeconv.codegen.blob import Blob
    from edgeconv.codegen.choices import Choices

    blob = Blob()
    codes: list[GeneratedCode] = []
    cpus = cpus or {}
    shared = is_shared(program, one_thread)
    for isa in isas:
        forms = certificates[POLICY_OF_ISA[isa].name].forms
        choices = Choices.of(tuning.picks(isa) if tuning else {})
        codes.append(
            generate(
                *(program, forms, isa),
                fuse=fuse,
                blob=blob,
                architecture=architecture,
                cpu=cpus.get(isa) or None,
                shared=shared,
                choices=choices,
            )
        )
    # One blob for all: it only grew, so the offsets of the first ones hold in the last one.
    whole = codes[-1].blob
    return Generated(
        tuple(
            CompiledKernel(c.isa, c.symbol, c.object_bytes, whole, c.scratch_bytes, cpus.get(c.isa, ""), c.phases)
            for c in codes
        ),
        {code.isa: code.report for code in codes},
        {code.isa: code.sections for code in codes},
    )


class CpuBackend:
    """Machine code for CPUs, in a shared library behind the C interface; implements `Backend`."""

    def require(self, program: Program) -> None:
        """Every operator has a kernel."""

    def generate(
        self, program: Program, certificates: Mapping[str, Certificate], target: Target, options: CodeOptions
    ) -> Generated:
        """Code for every instruction set of the target."""
        return generate_all(
            program,
            certificates,
            target.isa_names,
            fuse=options.fuse,
            one_thread=options.one_thread,
            tuning=options.tuning,
            architecture=target.architecture,
            cpus={isa.name: isa.cpu for isa in target.isas},
        )

    def reports(self, code: Generated) -> Mapping[str, tuple[KernelReport, ...]]:
        """Per instruction set, what was generated for each step."""
        return code.reports

    def write(
        self, contents: Contents, code: Generated, output: Path, check: Callable[[Artifact], None] | None = None
    ) -> Artifact:
        """Link the library and write the artifact."""
        return write(dataclasses.replace(contents, kernels=code.kernels), output, check)

    def differences(
        self, artifact: Artifact, program: Program, certificates: Mapping[str, Certificate], notes: list[str]
    ) -> Iterator[Difference]:
        """Generate and link the library again and compare it with the artifact's."""
        return check_library(artifact, program, certificates, notes)


BACKEND = CpuBackend()


def toolchain(architecture: str) -> dict[str, str]:
    """What makes a library for an architecture, by name and version: the same give the same bytes.

    The sources that generate and link code count by their hash, since a version may have several states of them.
    """
    sources = hashlib.sha256()
    for folder in (Path(__file__).parent, Path(__file__).parents[1] / "codegen"):
        for path in sorted(folder.rglob("*.*")):
            if path.suffix in (".py", ".c", ".h"):
                sources.update(path.read_bytes())
    return {
        "edgeconv": f"{__version__}+{sources.hexdigest()[:12]}",
        "apache-tvm": metadata.version("apache-tvm"),
        "gcc": find_compiler(architecture).version,
    }


def check_library(
    artifact: Artifact, program: Program, certificates: Mapping[str, Certificate], notes: list[str]
) -> Iterator[tuple[str, str, str]]:
    """Generate and link the library again and compare it with the artifact's.

    Args:
        notes: a line is added where the library cannot be compared whole, because other tools made it.

    Yields:
        (place, found, expected) of each difference.
    """
    manifest = artifact.manifest
    generated = generate_all(
        program,
        certificates,
        [isa.name for isa in manifest.isas],
        fuse=manifest.fused,
        one_thread=manifest.one_thread,
        tuning=manifest.tuning,
        architecture=manifest.architecture,
        cpus={isa.name: isa.cpu for isa in manifest.isas},
    )
    contents = Contents(
        name=manifest.name,
        target=manifest.target,
        triple=manifest.triple,
        program=program,
        certificates=certificates,
        kernels=generated.kernels,
        golden_inputs={},
        golden_outputs={},
        units={tensor.name: tensor.unit for tensor in (*manifest.inputs, *manifest.outputs) if tensor.unit},
        stream=dataclasses.asdict(manifest.stream) if manifest.stream else {},
    )
    linked = link(model_source(contents), generated.kernels, manifest.architecture)
    pairs = [(manifest.library, linked.library)]
    if linked.executable is not None:
        pairs.append((manifest.executable, linked.executable))
    for name, expected in pairs:
        found = (artifact.path / name).read_bytes()
        if found == expected:
            continue
        if toolchain(manifest.architecture) == manifest.toolchain and linked.libc == manifest.executable_libc:
            yield _first_difference(name, found, expected, generated)
        else:
            made = " and ".join(f"{tool} {version}" for tool, version in manifest.toolchain.items())
            notes.append(
                f"{name} was made by other tools ({made}): its constants are compared, its machine code is not"
            )
            yield from _constant_differences(name, found, generated)


def _first_difference(name: str, found: bytes, expected: bytes, generated: Generated) -> tuple[str, str, str]:
    if len(found) != len(expected):
        return name, f"{len(found)} bytes", f"{len(expected)} bytes"
    at = next(index for index, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b)
    place = f"{name}, byte {at}"
    for kernel in generated.kernels:
        start = expected.find(kernel.blob)
        if 0 <= start <= at < start + len(kernel.blob):
            place += f", {_section_at(generated.sections[kernel.isa], at - start)} of {kernel.isa}"
            break
    else:
        place += ", machine code"
    return place, f"0x{found[at]:02x}", f"0x{expected[at]:02x}"


def _section_at(sections: Mapping[str, tuple[int, int]], offset: int) -> str:
    for section, (start, size) in sections.items():
        if start <= offset < start + size:
            return f"constant {section}, byte {offset - start}"
    return f"constants, byte {offset}"


def _constant_differences(name: str, found: bytes, generated: Generated) -> Iterator[tuple[str, str, str]]:
    for kernel in generated.kernels:
        if kernel.blob in found:
            continue
        for section, (start, size) in generated.sections[kernel.isa].items():
            if kernel.blob[start : start + size] not in found:
                yield f"{name}, constant {section} of {kernel.isa}", "other bytes", "those that the model gives"
                break
        else:
            yield f"{name}, constants of {kernel.isa}", "another order", "that which the model gives"

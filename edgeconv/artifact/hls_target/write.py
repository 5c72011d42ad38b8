"""Writing a high-level-synthesis project as an artifact, and checking that its files are those the program gives."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.artifact.backend import CodeOptions, Difference, first_difference
from edgeconv.artifact.manifest import CompiledIsa
from edgeconv.artifact.sources import identifier
from edgeconv.artifact.store import Artifact, publish
from edgeconv.artifact.write import Contents, make_manifest, seal, write_common
from edgeconv.hw.ends import split_ends
from edgeconv.hw.hls.build import require_stages
from edgeconv.hw.hls.project import Project, make_project
from edgeconv.integer import POLICY_OF_ISA, Certificate
from edgeconv.ir import Program
from edgeconv.targets import Target

if TYPE_CHECKING:
    from edgeconv.codegen.report import KernelReport

__all__ = ["BACKEND", "core_inputs", "make_target_project", "project_of"]

_ISA = "hls"
_GOLDEN_ELEMENTS = 100_000
"""Of golden data at most so many are compiled into the test bench, where one sample takes no more."""


class HlsBackend:
    """Implements `Backend`."""

    def require(self, program: Program) -> None:
        """Every operator must have a stage."""
        require_stages(split_ends(program).core)

    def generate(
        self, program: Program, certificates: Mapping[str, Certificate], target: Target, options: CodeOptions
    ) -> Project:
        """The stages; requantizations always stand in the stages before them."""
        (certificate,) = certificates.values()
        return make_target_project("model", program, certificate, target.settings)

    def reports(self, code: Project) -> Mapping[str, tuple[KernelReport, ...]]:
        """What was generated for each operator."""
        from edgeconv.codegen.report import KernelReport

        return {
            _ISA: tuple(
                KernelReport(
                    stage.outputs[0],
                    (stage.operator,),
                    "stage",
                    f"{stage.multipliers} multipliers, {stage.cycles} cycles",
                    0,
                )
                for stage in code.pipeline.stages
                if stage.operator not in ("copy", "reorder", "constant")
            )
        }

    def write(
        self, contents: Contents, code: Project, output: Path, check: Callable[[Artifact], None] | None = None
    ) -> Artifact:
        """Write the project with golden data for its test bench."""
        # Nothing but its files' names depends on the name, which was not known before.
        project = dataclasses.replace(code, name=identifier(contents.name))
        files = project.files()
        with publish(output) as folder:
            files["test/golden.h"] = _golden(project, contents.program, contents.golden_inputs)
            for name, text in files.items():
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_text(text, encoding="utf-8")
            write_common(folder, contents)
            source = files[f"src/{project.name}.cpp"].encode()
            isa = CompiledIsa(
                _ISA,
                POLICY_OF_ISA[_ISA].name,
                (),
                len(source),
                _constant_bytes(project),
                0,
                hashlib.sha256(source).hexdigest(),
            )
            manifest = make_manifest(
                contents,
                folder,
                library=f"src/{project.name}.cpp",
                executable="",
                executable_libc="",
                scratch=(0, 1),
                isas=(isa,),
            )
            seal(folder, manifest, check)
        return Artifact(output, manifest)

    def differences(
        self, artifact: Artifact, program: Program, certificates: Mapping[str, Certificate], notes: list[str]
    ) -> Iterator[Difference]:
        """Make the project again and compare its files with the artifact's."""
        certificate = certificates[POLICY_OF_ISA[_ISA].name]
        project = make_target_project(artifact.manifest.name, program, certificate, artifact.manifest.settings)
        inputs, _ = artifact.golden()
        files = project.files() | {"test/golden.h": _golden(project, program, inputs)}
        for name, expected in files.items():
            found = (artifact.path / name).read_text(encoding="utf-8")
            if found != expected:
                yield (name, *first_difference(found, expected))


BACKEND = HlsBackend()


def core_inputs(program: Program, samples: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """What a program's samples are to its core: integers as they are, floats quantized."""
    ends = split_ends(program)
    found = dict(samples)
    if ends.front is not None:
        found |= reference.run(ends.front, {name: samples[name] for name in ends.front.inputs})
    return {name: found[name] for name in ends.core.inputs}


def project_of(artifact: Artifact) -> Project:
    """The project that an artifact's program gives for its target."""
    certificate = artifact.certificate(POLICY_OF_ISA[_ISA].name)
    return make_target_project(artifact.manifest.name, artifact.program(), certificate, artifact.manifest.settings)


def make_target_project(name: str, program: Program, certificate: Certificate, settings: Mapping[str, Any]) -> Project:
    """The project of a program for a target with these settings."""
    return make_project(
        identifier(name),
        program,
        certificate.forms,
        certificate.ranges,
        part=str(settings["part"]),
        clock_mhz=float(settings["clock_mhz"]),
        multipliers=int(settings["multipliers"]),
    )


def _golden(project: Project, program: Program, samples: Mapping[str, NDArray[np.generic]]) -> str:
    """Golden data of the core: what the quantizers make of some samples, and what the core makes of that."""
    size = sum(port.stream.order.index.size for port in (*project.inputs, *project.outputs))
    count = max(1, min(len(next(iter(samples.values()))), _GOLDEN_ELEMENTS // size))
    some = {name: array[:count] for name, array in samples.items()}
    inputs = core_inputs(program, some)
    return project.golden(inputs, reference.run(project.core, inputs))


def _constant_bytes(project: Project) -> int:
    """Bytes of the weights and biases that the stages hold."""
    constants = project.core.constants.values()
    return sum(-(-constant.array.size * constant.dtype.bits // 8) for constant in constants)

"""Writing an artifact of C sources, and checking that its sources are those that the program gives."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgeconv._version import __version__
from edgeconv.artifact import layers
from edgeconv.artifact.backend import CodeOptions, Difference, first_difference
from edgeconv.artifact.c_target import extras, text
from edgeconv.artifact.c_target.host import compile_object
from edgeconv.artifact.manifest import CompiledIsa
from edgeconv.artifact.sources import identifier
from edgeconv.artifact.store import Artifact, publish
from edgeconv.artifact.write import Contents, make_manifest, seal, write_common
from edgeconv.integer import POLICY_OF_ISA, Certificate
from edgeconv.ir import ARITHMETIC_VERSION, Program

if TYPE_CHECKING:
    from edgeconv.codegen.c_source import GeneratedSource
    from edgeconv.codegen.emit import KernelReport
    from edgeconv.targets import Target

__all__ = ["BACKEND", "check_sources", "write_sources"]

_ISA = "generic"
_SCRATCH_ALIGNMENT = 8
_SMALL = ("-Os", "-ffunction-sections")


def write_sources(
    contents: Contents, source: GeneratedSource, output: Path, check: Callable[[Artifact], None] | None = None
) -> Artifact:
    """Write the artifact; what was at `output` is replaced in one step, if it was an artifact.

    Args:
        contents: without kernels.
        check: called with the finished artifact while it still lies beside its place; where it raises, nothing is
            put in place.

    Raises:
        UsageError: `output` is something else than an artifact, or cannot be written.
        ToolError: gcc is missing, or the sources do not pass it.
    """
    model = _model(contents.name, contents.program, contents.units, source)
    with publish(output) as folder:
        files = _sources(model) | {
            "test/golden.h": extras.golden_text(model, contents.golden_inputs, contents.golden_outputs),
            "test/self_test.c": extras.self_test_text(model),
            "example/main.c": extras.example_text(model),
            "Makefile": extras.makefile_text(model),
        }
        for name, content in files.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(content, encoding="utf-8")
        write_common(folder, contents)
        library = f"src/{model.name}.c"
        constants = files[f"src/{model.name}_constants.h"].encode()
        isa = CompiledIsa(
            _ISA,
            POLICY_OF_ISA[_ISA].name,
            (),
            _code_bytes(folder, library),
            source.constant_bytes,
            source.scratch_bytes,
            hashlib.sha256(constants).hexdigest(),
        )
        manifest = make_manifest(
            contents,
            folder,
            library=library,
            executable="",
            executable_libc="",
            scratch=(source.scratch_bytes, _SCRATCH_ALIGNMENT),
            isas=(isa,),
        )
        seal(folder, manifest, check)
    return Artifact(output, manifest)


def _model(name: str, program: Program, units: Mapping[str, str], source: GeneratedSource) -> text.CModel:
    return text.CModel(
        name=identifier(name),
        inputs=layers.describe_inputs(program, units),
        outputs=layers.describe_outputs(program, units),
        macs=sum(layers.macs_of(program, operator) for operator in program.operators),
        version=__version__,
        arithmetic=ARITHMETIC_VERSION,
        source=source,
    )


def _sources(model: text.CModel) -> dict[str, str]:
    """The files that the model's code consists of, by path."""
    return {
        f"include/{model.name}.h": text.header_text(model),
        f"src/{model.name}.c": text.source_text(model),
        f"src/{model.name}_constants.h": text.constants_text(model),
    }


def _code_bytes(folder: Path, library: str) -> int:
    """Bytes of machine code that this machine's gcc makes of the source with -Os."""
    with tempfile.TemporaryDirectory() as name:
        compiled = Path(name) / "model.o"
        compile_object(folder / library, folder / "include", compiled, _SMALL)
        done = subprocess.run(["size", "-A", str(compiled)], capture_output=True, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()]
    return sum(int(row[1]) for row in rows if row and row[0].startswith(".text"))


def check_sources(
    artifact: Artifact, program: Program, certificates: Mapping[str, Certificate]
) -> Iterator[tuple[str, str, str]]:
    """Generate the sources again and compare them with the artifact's.

    Yields:
        (place, found, expected) of the first difference of each file.
    """
    from edgeconv.codegen.c_source import generate_source

    manifest = artifact.manifest
    forms = certificates[POLICY_OF_ISA[_ISA].name].forms
    units = {tensor.name: tensor.unit for tensor in (*manifest.inputs, *manifest.outputs) if tensor.unit}
    source = generate_source(program, forms, fuse=manifest.fused)
    for name, expected in _sources(_model(manifest.name, program, units, source)).items():
        found = (artifact.path / name).read_text(encoding="utf-8")
        if found != expected:
            yield (name, *first_difference(found, expected))


class CSourceBackend:
    """C99 sources for any compiler; implements `Backend`."""

    def require(self, program: Program) -> None:
        """Every operator has a kernel."""

    def generate(
        self, program: Program, certificates: Mapping[str, Certificate], target: Target, options: CodeOptions
    ) -> GeneratedSource:
        """The sources' functions and constants."""
        from edgeconv.codegen.c_source import generate_source

        (certificate,) = certificates.values()
        return generate_source(program, certificate.forms, fuse=options.fuse)

    def reports(self, code: GeneratedSource) -> Mapping[str, tuple[KernelReport, ...]]:
        """What was generated for each step."""
        return {_ISA: code.report}

    def write(
        self, contents: Contents, code: GeneratedSource, output: Path, check: Callable[[Artifact], None] | None = None
    ) -> Artifact:
        """Write the sources with their header, test, example and Makefile."""
        return write_sources(contents, code, output, check)

    def differences(
        self, artifact: Artifact, program: Program, certificates: Mapping[str, Certificate], notes: list[str]
    ) -> Iterator[Difference]:
        """Generate the sources again and compare them with the artifact's."""
        return check_sources(artifact, program, certificates)


BACKEND = CSourceBackend()

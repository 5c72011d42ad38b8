"""Writing an artifact for the accelerator, and checking that its image is the one that the program gives."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgeconv.artifact.array_target.bitstream import add_bitstream
from edgeconv.artifact.backend import CodeOptions, Difference
from edgeconv.artifact.manifest import CompiledIsa
from edgeconv.artifact.sources import identifier
from edgeconv.artifact.store import Artifact, publish
from edgeconv.artifact.write import Contents, make_manifest, seal, write_common
from edgeconv.hw.compiler import CompiledNetwork, NetworkImage, compile_network, image_from_bytes
from edgeconv.hw.compiler.operators import require_operators
from edgeconv.hw.ends import split_ends
from edgeconv.hw.spec import configuration
from edgeconv.integer import POLICY_OF_ISA, Certificate
from edgeconv.ir import Program
from edgeconv.targets import Target

if TYPE_CHECKING:
    from edgeconv.codegen.report import KernelReport

__all__ = ["BACKEND", "ISA", "image_of"]

ISA = "array"


class ArrayBackend:
    """Implements `Backend`."""

    def require(self, program: Program) -> None:
        """Every operator must be one that the array has."""
        require_operators(split_ends(program).core)

    def generate(
        self, program: Program, certificates: Mapping[str, Certificate], target: Target, options: CodeOptions
    ) -> CompiledNetwork:
        """The image; requantizations always stand in the layers before them."""
        return _compiled(program, certificates, target.part)

    def reports(self, code: CompiledNetwork) -> Mapping[str, tuple[KernelReport, ...]]:
        """What each layer takes."""
        from edgeconv.codegen.report import KernelReport

        peak = code.image.config.multipliers
        return {
            ISA: tuple(
                KernelReport(
                    layer.output,
                    (layer.operator,),
                    "array",
                    f"{layer.cycles} cycles" + (f", {layer.macs / layer.cycles / peak:.0%}" if layer.macs else ""),
                    layer.weight_words * peak,
                )
                for layer in code.image.layers
            )
        }

    def write(
        self, contents: Contents, code: CompiledNetwork, output: Path, check: Callable[[Artifact], None] | None = None
    ) -> Artifact:
        """Write the image beside program, certificate and golden data, and the board's bitstream where there is one."""
        data = code.image.to_bytes()
        library = f"lib/{identifier(contents.name)}.img"
        with publish(output) as folder:
            (folder / "lib").mkdir()
            (folder / library).write_bytes(data)
            add_bitstream(contents.target, folder)
            write_common(folder, contents)
            isa = CompiledIsa(
                ISA,
                POLICY_OF_ISA[ISA].name,
                (),
                0,
                len(data),
                code.image.memory["activations"][0],
                hashlib.sha256(data).hexdigest(),
            )
            manifest = make_manifest(
                contents,
                folder,
                library=library,
                executable="",
                executable_libc="",
                scratch=(code.image.memory["activations"][0], 8),
                isas=(isa,),
            )
            seal(folder, manifest, check)
        return Artifact(output, manifest)

    def differences(
        self, artifact: Artifact, program: Program, certificates: Mapping[str, Certificate], notes: list[str]
    ) -> Iterator[Difference]:
        """Make the image again and compare its bytes with the artifact's."""
        expected = _compiled(program, certificates, artifact.manifest.settings.get("part")).image.to_bytes()
        found = artifact.library.read_bytes()
        name = artifact.manifest.library
        if len(found) != len(expected):
            yield name, f"{len(found)} bytes", f"{len(expected)} bytes"
        elif found != expected:
            at = next(index for index, (a, b) in enumerate(zip(found, expected, strict=True)) if a != b)
            yield f"{name}, byte {at}", f"0x{found[at]:02x}", f"0x{expected[at]:02x}"


BACKEND = ArrayBackend()


def image_of(artifact: Artifact) -> NetworkImage:
    """The image of an artifact.

    Raises:
        ArtifactError: the file is not an image.
    """
    return image_from_bytes(artifact.library.read_bytes(), str(artifact.library))


def _compiled(program: Program, certificates: Mapping[str, Certificate], part: str | None) -> CompiledNetwork:
    return compile_network(program, certificates[POLICY_OF_ISA[ISA].name].forms, configuration(part))

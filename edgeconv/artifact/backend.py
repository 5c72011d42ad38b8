"""How each family of targets makes an artifact and checks it again: the one place where families part ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pathlib import Path

    from edgeconv.artifact.manifest import Tuning
    from edgeconv.artifact.store import Artifact
    from edgeconv.artifact.write import Contents
    from edgeconv.codegen.emit import KernelReport
    from edgeconv.integer import Certificate
    from edgeconv.ir import Program
    from edgeconv.targets import Target

__all__ = ["Backend", "CodeOptions", "Difference", "backend_of", "first_difference"]

Difference = tuple[str, str, str]
"""(place, found, expected)."""


@dataclass(frozen=True)
class CodeOptions:
    """Choices that change the code and never the bits.

    Attributes:
        fuse: requantizations are fused into the operators before them.
        one_thread: no call is to be shared by threads.
        tuning: blockings that were measured; those of the cycle models when None.
    """

    fuse: bool = True
    one_thread: bool = False
    tuning: Tuning | None = None


class Backend(Protocol):
    """What a family of targets has to offer; a module of `_BACKENDS` has it as `BACKEND`.

    `generate` does all the work that needs a compiler and touches no file; what it returns goes unchanged to `write`.
    """

    def require(self, program: Program) -> None:
        """Check a program before anything is proved about it.

        Raises:
            UnsupportedModelError: the family has no means for an operator; all such operators are named.
        """

    def generate(
        self, program: Program, certificates: Mapping[str, Certificate], target: Target, options: CodeOptions
    ) -> Any:
        """Generate code, with requantizations in the forms of the certificates (by policy).

        Raises:
            ToolError: a compiler is missing or fails.
            UnsupportedModelError: the family cannot run an operator as it is used; says which and why.
        """

    def reports(self, code: Any) -> Mapping[str, tuple[KernelReport, ...]]:
        """Per instruction set, what was generated for each step."""

    def write(
        self, contents: Contents, code: Any, output: Path, check: Callable[[Artifact], None] | None = None
    ) -> Artifact:
        """Write the artifact; what was at `output` is replaced in one step, if it was an artifact.

        Args:
            contents: without kernels.
            check: called with the finished artifact while it still lies beside its place; where it raises, nothing is
                put in place.

        Raises:
            UsageError: `output` is something else than an artifact, or cannot be written.
        """

    def differences(
        self, artifact: Artifact, program: Program, certificates: Mapping[str, Certificate], notes: list[str]
    ) -> Iterator[Difference]:
        """Generate the code again and compare it with the artifact's.

        Args:
            notes: a line is added where something cannot be compared.
        """


_BACKENDS = {
    "cpu": "edgeconv.artifact.build",
    "c": "edgeconv.artifact.c_target.write",
    "hls": "edgeconv.artifact.hls_target.write",
    "fpga": "edgeconv.artifact.array_target.write",
    "cuda": "edgeconv.artifact.cuda_target.write",
}
"""Family -> the module of its backend; loaded when it is asked for."""


def backend_of(family: str) -> Backend:
    """The backend of a family of targets."""
    backend: Backend = import_module(_BACKENDS[family]).BACKEND
    return backend


def first_difference(found: str, expected: str) -> tuple[str, str]:
    """The first line in which two texts differ: what was found, and what was expected."""
    mine, theirs = found.splitlines(), expected.splitlines()
    for number, (a, b) in enumerate(zip(mine, theirs, strict=False), 1):
        if a != b:
            return f"line {number}: {a.strip()[:80]}", b.strip()[:80]
    return f"{len(mine)} lines", f"{len(theirs)} lines"

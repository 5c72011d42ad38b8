"""`edgeconv diff`: where two artifacts, programs or sets of arrays begin to differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgeconv.cli.console import Console
from edgeconv.cli.options import common_options, examples
from edgeconv.errors import UsageError

if TYPE_CHECKING:
    from edgeconv.artifact.compare import Difference
    from edgeconv.ir import Program

_ARRAY_SUFFIXES = (".npz", ".npy")


@click.command(
    epilog=examples(
        "edgeconv diff pulse.edge other.edge",
        "edgeconv diff results-here.npz results-board.npz --json",
    )
)
@click.argument("left", type=click.Path(path_type=Path))
@click.argument("right", type=click.Path(path_type=Path))
@common_options
def command(console: Console, left: Path, right: Path) -> int:
    """Compare LEFT and RIGHT and show where they begin to differ.

    Both are artifacts, ONNX models or folders with program.txt, or both are .npz or .npy files. Programs are
    compared operator by operator; where they differ, the reference runs both and names the first tensor whose values
    differ. Exit code 1 when something differs.
    """
    arrays = [path.suffix in _ARRAY_SUFFIXES for path in (left, right)]
    if arrays[0] != arrays[1]:
        raise UsageError(
            f"{left} and {right} are of different kinds",
            expected="two programs or artifacts, or two .npz or .npy files",
        )
    if arrays[0]:
        from edgeconv.artifact.compare import compare_arrays
        from edgeconv.runtime.files import load_arrays

        found = compare_arrays(load_arrays(left, "array"), load_arrays(right, "array"))
        note = "equal" if not found else ""
    else:
        found, note = _compare_programs(left, right, console.seed)
    result: dict[str, Any] = {"equal": not found, "differences": found, "note": note}
    console.result(result, text=_text(found, left, right, note))
    return 1 if found else 0


def _compare_programs(left: Path, right: Path, seed: int) -> tuple[list[Difference], str]:
    from edgeconv.artifact.compare import compare_programs, first_different_tensor

    mine, theirs = _load(left), _load(right)
    found = compare_programs(mine, theirs)
    if not found:
        return [], "the programs are equal"
    if dict(mine.inputs) != dict(theirs.inputs):
        return found, "the inputs differ, so no values are compared"
    from edgeconv.verify.inputs import random_inputs

    value, count = first_different_tensor(mine, theirs, random_inputs(mine, 8, seed))
    if value is None:
        return found, f"the reference gives the same values in {count} tensors on 8 random samples"
    return [*found, value], "values are those of the reference on 8 random samples"


def _load(path: Path) -> Program:
    from edgeconv.artifact import is_artifact, read
    from edgeconv.ir.storage import load_program

    if path.is_file():
        from edgeconv.importer import read_onnx
        from edgeconv.integer import lower

        return lower(read_onnx(path))
    return read(path).program() if is_artifact(path) else load_program(path)


def _text(found: list[Difference], left: Path, right: Path, note: str) -> str:
    lines = []
    for difference in found:
        lines.append(difference.place)
        if difference.count is not None:
            lines[-1] += f" (first of {difference.count} differing of {difference.total})"
        lines += [f"  {left}: {difference.left}", f"  {right}: {difference.right}"]
    return "\n".join([*lines, note] if note else lines)

"""Programs as C files, compiled with every warning and with sanitizers, and run on their inputs."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeconv import reference
from edgeconv.artifact import layers
from edgeconv.artifact.c_target import extras, text
from edgeconv.artifact.c_target.host import STRICT
from edgeconv.codegen.c_source import generate_source
from edgeconv.ir import Program
from edgeconv.ir.forms import ProvedForms
from tests.generate import Case

SANITIZE = ("-O1", "-g", "-fsanitize=undefined,address", "-fno-sanitize-recover=all")


@dataclass(frozen=True)
class Unit:
    """One program as a C file with a self-test in it, under names of its own."""

    name: str
    text: str


def c_model(name: str, program: Program, forms: Mapping[str, ProvedForms], *, fuse: bool = True) -> text.CModel:
    """The sources of a program."""
    return text.CModel(
        name=name,
        inputs=layers.describe_inputs(program, {}),
        outputs=layers.describe_outputs(program, {}),
        macs=0,
        version="test",
        arithmetic=0,
        source=generate_source(program, forms, fuse=fuse),
    )


def unit(name: str, case: Case, forms: Mapping[str, ProvedForms], *, fuse: bool = True) -> Unit:
    """A program with its inputs and the reference's outputs."""
    model = c_model(name, case.program, forms, fuse=fuse)
    wanted = reference.run(case.program, case.inputs)
    parts = [
        text.header_text(model),
        text.constants_text(model),
        text.source_text(model),
        extras.golden_text(model, case.inputs, wanted),
        extras.self_test_text(model).replace("int main(", f"int self_test_{name}(void);\nint self_test_{name}("),
    ]
    own = (f'#include "{model.name}.h"', f'#include "{model.name}_constants.h"', '#include "golden.h"')
    lines = [line for part in parts for line in part.splitlines() if line not in own]
    return Unit(name, "\n".join(lines) + "\n")


def run_units(units: Sequence[Unit], folder: Path, options: Sequence[str] = SANITIZE) -> list[str]:
    """Compile (a warning is an error) and run each in a process of its own; says what is wrong with which."""
    for one in units:
        (folder / f"{one.name}.c").write_text(one.text, encoding="utf-8")
    names = [one.name for one in units]
    calls = "".join(f'    if (strcmp(argv[1], "{name}") == 0) return self_test_{name}();\n' for name in names)
    declared = "".join(f"int self_test_{name}(void);\n" for name in names)
    body = f"int main(int argc, char **argv) {{\n    (void)argc;\n{calls}    return 9;\n}}\n"
    main = f"#include <string.h>\n{declared}{body}"
    (folder / "main.c").write_text(main, encoding="utf-8")
    files = [f"{name}.c" for name in (*names, "main")]
    command = ["gcc", *STRICT, "-Werror", *options, *files, "-o", "all"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        return [built.stderr[:3000]]
    problems = []
    for name in names:
        done = subprocess.run(["./all", name], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode != 0 or "0 outputs differ" not in done.stdout:
            problems.append(f"{name}: {done.stdout}{done.stderr[:2000]}")
    return problems

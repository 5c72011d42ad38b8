"""Programs as C++ projects, compiled with every warning as an error and compared with the reference."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.artifact.hls_target.write import core_inputs
from edgeconv.hw.hls.project import Project, make_project
from edgeconv.integer import POLICIES, prove
from edgeconv.ir import Program

STRICT = ("-std=c++14", "-O0", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-Ishim", "-Ilibrary", "-Isrc")


@dataclass(frozen=True)
class Simulation:
    """A project with golden data, as text files.

    Attributes:
        changes: of the library's files: name -> (what is replaced, by what).
    """

    project: Project
    inputs: Mapping[str, NDArray[np.generic]]
    changes: Mapping[str, tuple[str, str]] = field(default_factory=dict)

    def problem(self, folder: Path) -> str:
        """What the test bench says where something is wrong; empty where every element is the reference's."""
        files = self.project.files()
        files["test/golden.h"] = self.project.golden(self.inputs, reference.run(self.project.core, self.inputs))
        for name, (old, new) in self.changes.items():
            assert files[name].count(old) == 1, f"{name}: {old!r} is there {files[name].count(old)} times"
            files[name] = files[name].replace(old, new)
        for name, text in files.items():
            (folder / name).parent.mkdir(exist_ok=True, parents=True)
            (folder / name).write_text(text, encoding="utf-8")
        name = self.project.name
        command = ["g++", *STRICT, f"src/{name}.cpp", f"test/{name}_test.cpp", "-o", "run"]
        built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if built.returncode != 0:
            return built.stderr[:3000]
        done = subprocess.run(["./run"], cwd=folder, capture_output=True, text=True, check=False)
        return "" if done.returncode == 0 else f"{done.stdout}{done.stderr}" or f"ended with {done.returncode}"


def simulation(
    program: Program,
    inputs: Mapping[str, NDArray[np.generic]],
    *,
    multipliers: int = 30,
    changes: Mapping[str, tuple[str, str]] | None = None,
) -> Simulation:
    """A program and samples of its inputs; raises UnsupportedModelError where an operator has no stage."""
    certificate = prove(program, POLICIES["generic"])
    settings = {"part": "xc7z020clg400-1", "clock_mhz": 200.0}
    project = make_project("net", program, certificate.forms, certificate.ranges, multipliers=multipliers, **settings)
    return Simulation(project, core_inputs(program, inputs), changes or {})

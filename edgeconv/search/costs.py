"""What a network costs on a target: counted from its program, compiled, measured or simulated; never guessed.

`latency` is measured on the compiled network, one measurement at a time: on this machine and pinned to a core, or on a
board that is reached over ssh. The other costs are exact. Everything is cached under the hash of the model and of what
was asked, so a figure that was measured once replays.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgeconv._version import __version__
from edgeconv.errors import DeviceError, UsageError
from edgeconv.search.problem import Metric

if TYPE_CHECKING:
    from edgeconv.artifact import Artifact
    from edgeconv.ir import Program
    from edgeconv.search.board import Board

__all__ = [
    "COSTS",
    "COUNTED",
    "artifact_costs",
    "compiled_costs",
    "costs_of",
    "costs_of_export",
    "needs_powers_of_two",
    "one_measurement_at_a_time",
    "program_costs",
]

COSTS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("macs", "", "multiply-accumulates a sample"),
        Metric("mac_bits", "", "multiply-accumulates times the bits of both factors"),
        Metric("model_bytes", "B", "weights and constants, packed"),
        Metric("arena_bytes", "B", "working memory of a call of the compiled network"),
        Metric("latency", "s", "one call with the fastest instruction set of this machine or of a board, measured"),
        Metric("instructions", "", "instructions that one inference retires under emulation of the target"),
        Metric("cycles", "", "cycles a sample of the accelerator or of the HLS pipeline, by their exact models"),
        Metric("dsps", "", "multiplier blocks of the accelerator or of the HLS pipeline"),
    )
}
COUNTED = frozenset({"macs", "mac_bits", "model_bytes"})
"""Those that the integer program alone decides."""
_HARDWARE = {"cycles", "dsps"}
_COMPILED = {"arena_bytes", "latency", "instructions"}
_REPEATS, _ROUNDS = 15, 200


def needs_powers_of_two(wanted: Collection[str]) -> bool:
    """Whether networks get power-of-two scales for these costs.

    The accelerator multiplies by integers; not every ratio of free scales has one that is exact.
    """
    return bool(set(wanted) & _HARDWARE)


def costs_of(
    model: Path, target: str, wanted: Collection[str], cache: Path | None = None, board: Board | None = None
) -> dict[str, float]:
    """Costs of a quantized ONNX model by name.

    Args:
        target: name or file; it decides what costs of compiled networks and of hardware mean.
        wanted: keys of `COSTS`.
        cache: folder of results; two processes may use it at once.
        board: where `latency` is measured; this machine when None.

    Raises:
        UsageError: an unknown cost.
        DeviceError: a cost that this target does not have here.
        ModelError: the model cannot become a program, or does not fit the accelerator.
    """
    unknown = sorted(set(wanted) - set(COSTS))
    if unknown:
        raise UsageError(f"no cost {', '.join(unknown)}", expected=", ".join(COSTS))
    digest = hashlib.sha256(model.read_bytes()).hexdigest()
    key = "\n".join([digest, target, __version__, *sorted(wanted), *([board.place] if board else [])])
    place = cache / f"{hashlib.sha256(key.encode()).hexdigest()}.json" if cache else None
    if place is not None and place.is_file():
        found: dict[str, float] = json.loads(place.read_text())
        return found
    found = _compute(model, target, set(wanted), board)
    if place is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(found))
        partial.replace(place)
    return found


def costs_of_export(
    export: Callable[[Path], Path],
    target: str,
    wanted: Collection[str],
    cache: Path | None = None,
    board: Board | None = None,
) -> dict[str, float]:
    """As `costs_of`, of a network that is exported for that alone; it is not where no cost is wanted.

    Args:
        export: writes the model to a path, and returns it.
        wanted: names of metrics; those that are no costs are left to others.
    """
    costs = [name for name in wanted if name in COSTS]
    if not costs:
        return {}
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as folder:
        return costs_of(export(Path(folder) / "network.onnx"), target, costs, cache, board)


def _compute(model: Path, target: str, wanted: set[str], board: Board | None) -> dict[str, float]:
    found = _uncompiled_costs(model, target, wanted)
    if wanted & _COMPILED:
        from edgeconv.api import compile_model

        with tempfile.TemporaryDirectory(prefix="edgeconv-") as folder:
            artifact = compile_model(model, target, Path(folder) / "net.edge").artifact
            found |= _costs_on(board, artifact, target, wanted)
    return found


def compiled_costs(
    model: Path, artifact: Artifact, target: str, wanted: Collection[str], board: Board | None = None
) -> dict[str, float]:
    """As `costs_of`, of a model that is compiled already; nothing is cached."""
    return _uncompiled_costs(model, target, set(wanted)) | _costs_on(board, artifact, target, set(wanted))


def _uncompiled_costs(model: Path, target: str, wanted: set[str]) -> dict[str, float]:
    """What no compiled network is needed for."""
    found: dict[str, float] = {}
    if wanted & (COUNTED | _HARDWARE):
        from edgeconv.importer import read_onnx
        from edgeconv.integer import lower

        program = lower(read_onnx(model, None))
        found |= {name: value for name, value in program_costs(program).items() if name in wanted}
        if wanted & _HARDWARE:
            from edgeconv.search.hardware_costs import hardware_costs

            found |= {name: value for name, value in hardware_costs(program, target).items() if name in wanted}
    return found


def _costs_on(board: Board | None, artifact: Artifact, target: str, wanted: set[str]) -> dict[str, float]:
    """What only a compiled network has: on a board where there is one, the rest here."""
    if board is None or "latency" not in wanted:
        return artifact_costs(artifact, target, wanted)
    return {"latency": _latency_on(board, artifact), **artifact_costs(artifact, target, wanted - {"latency"})}


def program_costs(program: Program) -> dict[str, float]:
    """The costs that the integer program alone decides."""
    from edgeconv.artifact.layers import macs_of, weight_bytes

    macs = mac_bits = 0
    for operator in program.operators:
        count = macs_of(program, operator)
        if count:
            one, other = (program.types[name].dtype.bits for name in operator.operands[:2])
            macs, mac_bits = macs + count, mac_bits + count * one * other
    return {"macs": float(macs), "mac_bits": float(mac_bits), "model_bytes": float(weight_bytes(program))}


def artifact_costs(artifact: Artifact, target: str, wanted: Collection[str]) -> dict[str, float]:
    """What a compiled network costs where it runs here, on hardware or emulated.

    Args:
        target: that it was compiled for.
        wanted: names of costs; those that need no compiled network are left out.

    Raises:
        DeviceError: a cost that this target does not have here.
    """
    if not _COMPILED & set(wanted):
        return {}
    from edgeconv.runtime.emulated import is_native
    from edgeconv.runtime.ways import runnable_isas

    manifest = artifact.manifest
    runnable = runnable_isas(manifest)
    if not runnable:
        raise DeviceError(f"nothing of target {target} runs here, on hardware or emulated")
    fastest = next(isa for isa in manifest.isas if isa.name == runnable[-1])
    found = {"arena_bytes": float(fastest.scratch_bytes)}
    if "latency" in wanted:
        if not is_native(manifest) or not manifest.executable:
            raise DeviceError(
                f"latency of target {target} cannot be measured on this machine",
                advice="name a board that is reached over ssh, or use the cost 'instructions'",
            )
        found["latency"] = _measured_latency(artifact, fastest.name)
    if "instructions" in wanted:
        from edgeconv.bench import count_instructions

        if is_native(manifest):
            raise DeviceError(
                f"instructions of target {target} are counted under emulation only", advice="use the cost 'latency'"
            )
        found["instructions"] = float(count_instructions(artifact.path, fastest.name).counts[0].instructions)
    return {name: value for name, value in found.items() if name in wanted}


def _latency_on(board: Board, artifact: Artifact) -> float:
    """As `Board.latency`; processes of this machine wait for one another."""
    with _lock(f"board-{hashlib.sha256(board.place.encode()).hexdigest()[:16]}"):
        name = f"edgeconv-search-{socket.gethostname()}-{os.getpid()}.edge"
        return board.latency(artifact.path, name, rounds=_ROUNDS, repeats=_REPEATS)


def _measured_latency(artifact: Artifact, isa: str) -> float:
    """Seconds a call, from C: the smallest of several medians, because whatever else runs here only adds to them."""
    command = [str(artifact.executable.absolute()), "--bench", str(_ROUNDS), "--batch", "1", "--isa", isa]
    medians = []
    with one_measurement_at_a_time():
        for _ in range(_REPEATS):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise DeviceError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()}")
            medians.append(json.loads(done.stdout)["median_ns"] * 1e-9)
    return float(np.min(medians))


@contextlib.contextmanager
def one_measurement_at_a_time() -> Iterator[None]:
    """Wait for all other measurements on this machine, and stay on one core with all that is started meanwhile."""
    with _lock("measure"):
        before = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {max(before)})
        try:
            yield
        finally:
            os.sched_setaffinity(0, before)


@contextlib.contextmanager
def _lock(name: str) -> Iterator[None]:
    """Wait for all other processes of this user that hold the lock."""
    path = Path(tempfile.gettempdir()) / f"edgeconv-{name}-{os.getuid()}.lock"
    with open(path, "a", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield

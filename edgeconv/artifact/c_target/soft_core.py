"""Models of target `c` on the system's processor: what the array has no operators for runs there, in simulation.

The C that TVM generates for the model is the firmware, with a `main` that takes inputs from the serial line
(hw/soc/firmware/core.c). What it costs is counted by the system's timer: cycles of the processor, without the line.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.artifact.c_target.text import Port, ports_of
from edgeconv.artifact.sources import identifier
from edgeconv.artifact.store import Artifact
from edgeconv.errors import DeviceError, UnsupportedModelError
from edgeconv.hw.soc.firmware import PLACE, RAM_BYTES, firmware_words
from edgeconv.hw.soc.simulator import Clocks, SimulatedSoc

__all__ = ["CoreRun", "run_on_core"]

_STACK_BYTES = 1024
_LINE_BYTES = 2048
"""What the serial port keeps while the processor does not look (`UART_RECEIVED` of soc.sv)."""
_CYCLE_BYTES = 4
_SILENCE_SECONDS = 60.0
"""Of the simulated processor, which takes its clock for 1 MHz: a model that sends nothing for so long has hung."""
_ARRAY_RESTS = Clocks(cpu=1, array=1 << 30)


@dataclass(frozen=True)
class CoreRun:
    """What the processor gave.

    Attributes:
        outputs: (n, *shape) by name.
        cycles: of the processor, of each sample.
    """

    outputs: dict[str, NDArray[Any]]
    cycles: NDArray[np.int64]


def run_on_core(artifact: Artifact, inputs: Mapping[str, NDArray[Any]]) -> CoreRun:
    """Run samples one after the other.

    Args:
        artifact: of target `c`.
        inputs: (n, *shape) by name, in the types that the manifest names.

    Raises:
        UnsupportedModelError: model, inputs and outputs are larger than the processor's memory, or a sample is larger
            than what its serial port keeps.
        ToolError: the compiler for RISC-V or the simulation is missing, or the code does not fit beside the rest.
        DeviceError: no answer came.
    """
    manifest = artifact.manifest
    ports = ports_of(manifest.inputs, manifest.outputs)
    _require_room(artifact, ports)
    given, wanted = ([port for port in ports if port.kind == kind] for kind in ("input", "output"))
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as name:
        folder = Path(name)
        (folder / "core_model.h").write_text(_glue(identifier(manifest.name), given, wanted), encoding="utf-8")
        sources = (artifact.library, PLACE / "core.c")
        words = firmware_words(RAM_BYTES, sources, (artifact.path / "include", artifact.library.parent, folder))
    soc = SimulatedSoc(firmware=words)
    soc.set_clocks(_ARRAY_RESTS)
    arrays = [np.ascontiguousarray(inputs[port.tensor.name], port.tensor.dtype) for port in given]
    results: dict[str, list[NDArray[Any]]] = {port.tensor.name: [] for port in wanted}
    cycles = []
    for sample in zip(*arrays, strict=True):
        soc.write(b"".join(array.tobytes() for array in sample))
        answer = _answer(soc, _CYCLE_BYTES + sum(map(_size, wanted)))
        cycles.append(int.from_bytes(answer[:_CYCLE_BYTES], "little"))
        at = _CYCLE_BYTES
        for port in wanted:
            part = np.frombuffer(answer[at : at + _size(port)], port.tensor.dtype)
            results[port.tensor.name].append(part.reshape(port.tensor.shape))
            at += _size(port)
    return CoreRun({name: np.stack(rows) for name, rows in results.items()}, np.asarray(cycles, np.int64))


def _size(port: Port) -> int:
    return port.elements * np.dtype(port.tensor.dtype).itemsize


def _require_room(artifact: Artifact, ports: Sequence[Port]) -> None:
    manifest = artifact.manifest
    (isa,) = manifest.isas
    needed = isa.blob_bytes + isa.scratch_bytes + sum(map(_size, ports)) + _STACK_BYTES
    if needed > RAM_BYTES:
        raise UnsupportedModelError(
            f"model '{manifest.name}' needs {needed} bytes of the processor's memory, and its code",
            expected=f"at most {RAM_BYTES}",
            advice="compile for --target cpu, or make the model smaller",
        )
    sample = sum(_size(port) for port in ports if port.kind == "input")
    if sample > _LINE_BYTES:
        raise UnsupportedModelError(
            f"a sample of model '{manifest.name}' has {sample} bytes",
            expected=f"at most {_LINE_BYTES}, which the serial port keeps",
            advice="compile for --target cpu, or make the model's inputs smaller",
        )


def _glue(model: str, given: Sequence[Port], wanted: Sequence[Port]) -> str:
    """What core.c does not know of a model: its buffers, and its call."""
    arguments = ", ".join([*(port.name for port in (*given, *wanted)), "&scratch"])
    lines = [f'#include "{model}.h"', f"static {model}_scratch scratch;"]
    lines += [f"static {port.type} {port.name}[{port.elements}];" for port in (*given, *wanted)]
    for verb, ports, kind in (("receive", given, "void *"), ("send", wanted, "const void *")):
        calls = " ".join(f"{verb}({port.name}, sizeof {port.name});" for port in ports)
        lines.append(f"static void core_{verb}(void (*{verb})({kind}, uint32_t)) {{ {calls} }}")
    return "\n".join([*lines, f"static void core_run(void) {{ {model}_run({arguments}); }}", ""])


def _answer(soc: SimulatedSoc, count: int) -> bytes:
    found = b""
    while len(found) < count:
        part = soc.read(_SILENCE_SECONDS)
        if not part:
            raise DeviceError(
                f"the processor sent {len(found)} of {count} bytes",
                advice="report it as a fault of edgeconv, with the model",
            )
        found += part
    return found

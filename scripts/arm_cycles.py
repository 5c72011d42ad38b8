"""Cycles of the hot loops of convolutions on three Arm cores, as LLVM's machine models predict them.

    python scripts/arm_cycles.py [--json]

Each one-dimensional convolution is compiled as a Raspberry Pi target compiles it; the innermost loop with the most
multiplications is cut out of the object code (aarch64-linux-gnu-objdump) and simulated by llvm-mca-19 over 200 trips.
No board takes part; docs/arm.md says what the figures mean and where the peaks come from.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction

import numpy as np

from edgeconv.codegen import generate
from edgeconv.integer import POLICY_OF_ISA, prove
from edgeconv.ir import Constant, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops

_TRIPS = 200
_POSITIONS = 64
_JUMP = re.compile(r"(?:b\.\w+|b|cbn?z\s+\w+,|tbn?z\s+\w+, \S+)\s+([0-9a-f]+) <")
# Multiply-accumulates of one instruction; sadalp adds what smull and smlal have multiplied.
_MACS = ((re.compile(r"sdot\s"), 16), (re.compile(r"sm(ull|lal)2?\s+v\d+\.8h"), 8), (re.compile(r"sm(ull|lal)2?\s"), 4))


@dataclass(frozen=True)
class Core:
    """A processor core.

    Attributes:
        board: whose it is.
        isa, cpu: instruction set and LLVM's name of the core that code is generated for.
        model: LLVM's name of the core whose machine model is asked.
        peak: int8 multiply-accumulates a cycle of the multiplying instruction alone (docs/arm.md).
        wanted: share of the peak that is the goal.
    """

    board: str
    isa: str
    cpu: str
    model: str
    peak: int
    wanted: float


CORES = (
    Core("Raspberry Pi 3", "neon", "cortex-a53", "cortex-a53", 8, 0.6),
    Core("Raspberry Pi 4", "neon", "cortex-a72", "cortex-a72", 8, 0.6),
    # LLVM 19 models the A76 as an older core; Neoverse N1 is its sibling with the same pipelines.
    Core("Raspberry Pi 5", "neon+dotprod", "cortex-a76", "neoverse-n1", 32, 0.7),
)
CONVOLUTIONS = tuple((taps, channels) for taps in (3, 5, 7) for channels in (32, 64, 128))
WEIGHT_BITS = (8, 7)  # weights of 7 bits let four products be added in 16 bits


@dataclass(frozen=True)
class Prediction:
    """The hot loop of one convolution on one core: per trip, and as a share of the core's peak."""

    core: str
    weight_bits: int
    taps: int
    channels: int
    instructions: int
    macs: int
    cycles: float
    macs_per_cycle: float
    share: float


def convolution(taps: int, channels: int, weight_bits: int = 8) -> Program:
    """u8 (1, channels, 64) → conv of `taps`, as many output channels → u8, with random weights and scales."""
    rng = np.random.default_rng(0)
    most = (1 << (weight_bits - 1)) - 1
    constants = {
        "w": Constant(dtype("i8"), rng.integers(-most, most, (channels, channels, taps), endpoint=True)),
        "b": Constant(dtype("i32"), rng.integers(-1000, 1000, channels)),
    }
    spread = 3000 * np.sqrt(taps * channels)
    factors = tuple(Fraction(float(np.float32(factor))) for factor in rng.uniform(40, 120, channels) / spread)
    linear = Linear((factors,), (Fraction(0),) * channels, (Fraction(1),) * channels, (Fraction(0),) * channels, 1)
    pads = (taps // 2, taps // 2)
    operators = (
        ops.Conv("acc", "x", "w", "b", dtype("i32"), (1,), (1,), pads, 1, 128),
        ops.Requant("y", "acc", linear, Grid.full(dtype("u8"))),
    )
    return Program({"x": TensorType((1, channels, _POSITIONS), dtype("u8"))}, ("y",), operators, constants)


def hot_loop(object_code: bytes) -> list[str]:
    """The instructions of the innermost loop with the most multiply-accumulates, its jump last."""
    with tempfile.NamedTemporaryFile(suffix=".o") as file:
        file.write(object_code)
        file.flush()
        command = ["aarch64-linux-gnu-objdump", "-d", "--no-show-raw-insn", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [(int(m[1], 16), m[2].split("//")[0].strip()) for m in re.finditer(r"^\s+([0-9a-f]+):\t(.*)$", text, re.M)]
    places = {address: index for index, (address, _) in enumerate(lines)}
    jumps = {index: int(m[1], 16) for index, (_, line) in enumerate(lines) if (m := _JUMP.match(line))}
    loops = [
        [line for _, line in lines[places[target] : index + 1]]
        for index, target in jumps.items()
        if target <= lines[index][0] and not any(places[target] <= other < index for other in jumps)
    ]
    return max(loops, key=macs_of)


def macs_of(loop: Sequence[str]) -> int:
    """Multiply-accumulates of one trip."""
    return sum(next((macs for pattern, macs in _MACS if pattern.match(line)), 0) for line in loop)


def cycles_of(loop: Sequence[str], model: str) -> float:
    """Cycles of one trip in a core's machine model, mean over many."""
    body = "\n".join(["start:", *loop[:-1], re.sub(r"[0-9a-f]+ <.*", "start", loop[-1])])
    command = ["llvm-mca-19", "-mtriple=aarch64", "-mattr=+dotprod", f"-mcpu={model}", f"-iterations={_TRIPS}"]
    done = subprocess.run(command, input=body, capture_output=True, text=True, check=True)
    found = re.search(r"Total Cycles:\s+(\d+)", done.stdout)
    assert found is not None
    return int(found[1]) / _TRIPS


def loop_of(core: Core, taps: int, channels: int, weight_bits: int = 8) -> list[str]:
    """Compile a convolution for a core; its hot loop."""
    program = convolution(taps, channels, weight_bits)
    forms = prove(program, POLICY_OF_ISA[core.isa]).forms
    return hot_loop(generate(program, forms, core.isa, architecture="aarch64", cpu=core.cpu).object_bytes)


def predict(core: Core, taps: int, channels: int, weight_bits: int) -> Prediction:
    """Compile a convolution for a core and simulate its hot loop."""
    loop = loop_of(core, taps, channels, weight_bits)
    macs, cycles = macs_of(loop), cycles_of(loop, core.model)
    rate = macs / cycles
    return Prediction(core.cpu, weight_bits, taps, channels, len(loop), macs, cycles, rate, rate / core.peak)


def main() -> int:
    """Print the table; exit code 4 where a tool is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for tool, package in (("llvm-mca-19", "llvm-19"), ("aarch64-linux-gnu-objdump", "binutils-aarch64-linux-gnu")):
        if shutil.which(tool) is None:
            print(f"{tool} is not installed; apt-get install {package}", file=sys.stderr)
            return 4
    found = [(core, predict(core, *shape, bits)) for core in CORES for bits in WEIGHT_BITS for shape in CONVOLUTIONS]
    if options.json:
        print(json.dumps([asdict(prediction) for _, prediction in found]))
        return 0
    print("core        weights  kernel  channels  instructions  MACs  cycles  MACs a cycle  of peak  goal")
    for core, p in found:
        figures = f"{p.instructions:12}  {p.macs:4}  {p.cycles:6.1f}  {p.macs_per_cycle:12.2f}  {p.share:6.1%}"
        print(f"{p.core:10}  {p.weight_bits:2} bits  {p.taps:6}  {p.channels:8}  {figures}  {core.wanted:.0%}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

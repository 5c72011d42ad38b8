"""How many instructions a sample takes on a GPU: an estimate for machines without one, no measurement.

    python -m scripts.gpu.estimate ARTIFACT [--samples 32]

The kernels are compiled for one architecture with line numbers and without unrolled loops, and the very text is
compiled as C with counters (tests/cuda_machine). A line's instructions times its executions, divided by the 32 lanes of
a warp, are the instructions that warps issue. Unrolled loops, which the real code has, take fewer. What is printed as
bound is the rate at which all schedulers of the GPU would issue them without ever waiting.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from edgeconv.artifact import read
from edgeconv.codegen.cuda import FIRST_KERNEL, GeneratedCuda, generate_cuda
from edgeconv.codegen.cuda.nvcc import find_nvcc
from edgeconv.codegen.cuda.team import WARP
from edgeconv.integer import POLICY_OF_ISA
from edgeconv.verify.inputs import random_inputs
from scripts.gpu.sass import INSTRUCTION_BYTES, INSTRUCTIONS, instructions_of, kernels_of
from tests.cuda_machine.direct import run_directly

_SCHEDULERS, _PROCESSORS, _HERTZ = 4, 132, 1.755e9  # H200: multiprocessors, schedulers in each, base to boost clock
_FOR = re.compile(r"^( *)for \(", re.MULTILINE)
_ROW = re.compile(r"^\S+\s+(\d+)\s+(0x[0-9a-f]+|0)\s", re.MULTILINE)


@dataclass(frozen=True)
class Estimate:
    """Instructions that warps issue for a sample, by number of the instruction."""

    counts: Counter[int]

    @property
    def total(self) -> float:
        """All of them."""
        return sum(self.counts.values())

    def of(self, name: str) -> float:
        """Those of one kind of `INSTRUCTIONS`."""
        return self.counts[INSTRUCTIONS[name]]


def estimate(path: Path, samples: int, architecture: str, folder: Path) -> Estimate:
    """Estimate the instructions of an artifact, with so many random samples."""
    artifact = read(path)
    program = artifact.program()
    forms = artifact.certificate(POLICY_OF_ISA["cuda"].name).forms
    code = generate_cuda(program, forms, fuse=artifact.manifest.fused)
    if not code.samples:
        raise SystemExit(f"{path} is {len(code.launches)} kernels; those of one kernel are counted")
    run_directly(code, program, random_inputs(program, samples, 0), folder, counted=True)
    executions = _executions(folder)
    # The C text begins with one line of its own where the CUDA text has its prelude.
    first = code.source[: code.source.index(FIRST_KERNEL)].count("\n") + 1
    counts: Counter[int] = Counter()
    for line, instruction in _instructions(code, architecture, first):
        counts[instruction] += executions.get(line - first + 2, 0) / WARP / samples
    return Estimate(counts)


def _instructions(code: GeneratedCuda, architecture: str, first: int) -> list[tuple[int, int]]:
    """(line of the source, number) of every instruction; what the prelude's functions became is of the line before."""
    rolled = _FOR.sub(r'\1_Pragma("unroll 1") for (', code.source)
    cubin = find_nvcc().run(rolled, ["-cubin", "-lineinfo", f"-arch={architecture}"], "cubin")
    found = []
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        text = subprocess.run(["readelf", "-wL", file.name], capture_output=True, text=True, check=False).stdout
    table: dict[int, int] = {}
    for line, address in _ROW.findall(text):
        table.setdefault(int(address, 16), int(line))
    ((_, machine_code),) = kernels_of(cubin)
    at = first
    for index, number in enumerate(instructions_of(machine_code)):
        line = table.get(INSTRUCTION_BYTES * index, at)
        at = line if line >= first else at
        found.append((at, number))
    return found


def _executions(folder: Path) -> dict[int, int]:
    """How often each line of kernels.c ran, over all threads."""
    subprocess.run(["gcov", "kernels.so-kernels.gcda"], cwd=folder, capture_output=True, check=True)
    counts = {}
    for row in (folder / "kernels.c.gcov").read_text(encoding="utf-8").splitlines():
        count, line, _ = row.split(":", 2)
        if count.strip().rstrip("*").isdigit():
            counts[int(line)] = int(count.strip().rstrip("*"))
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--samples", type=int, default=32)
    parser.add_argument("--architecture", default="sm_90")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = estimate(options.artifact, options.samples, options.architecture, Path(name))
    kinds = ", ".join(f"{found.of(kind):,.0f} {kind}" for kind in INSTRUCTIONS if found.of(kind))
    bound = _PROCESSORS * _SCHEDULERS * _HERTZ / found.total
    print(f"{found.total:,.0f} instructions of warps a sample, of {options.samples} samples at once: {kinds}")
    print(f"estimate, not measured: at most {bound:,.0f} samples a second on an H200, if nothing ever waits")
    return 0


if __name__ == "__main__":
    sys.exit(main())

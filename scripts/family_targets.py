"""Every family of models for every kind of target: what runs, with which bits, and what is refused why.

    python -m scripts.family_targets                          # writes docs/families.md
    python -m scripts.family_targets pulse --targets x86-64 ulx3s-85f --page /tmp/families.md

Each family's network is made by its own recipe, cut down to a few steps: bits do not depend on how well it is trained.
Its twin in torch and its export in onnxruntime are compared with the reference interpreter on random inputs, and each
target's artifact is run on its golden samples, natively, emulated or simulated; see docs/families.md.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv import reference
from edgeconv.api import compile_model
from edgeconv.errors import EdgeconvError, ToolError
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.quantize.family import find_family
from edgeconv.quantize.settings import apply_settings
from edgeconv.verify.inputs import random_inputs
from edgeconv.verify.onnx_peer import OnnxPeer

Arrays = Mapping[str, NDArray[Any]]

FAMILIES: dict[str, dict[str, Any]] = {
    "pulse": {"float_stage": {"steps": 2}, "twin_stage": {"steps": 2}, "rounding_pulses": 256},
    "ecg_mamba": {
        "records": 24,
        "calibration": 16,
        "float_stage": {"steps": 2},
        "twin_stage": {"steps": 2},
        "batch": 8,
    },
    "mininet": {"train_drives": 2, "settle": 1, "float_stage": {"steps": 2}, "twin_stage": {"steps": 2}},
    "oneway_wave": {"train_records": 4, "float_stage": {"steps": 2}, "twin_stage": {"steps": 2}},
}
"""Settings of each recipe that leave a few steps of it."""
TARGETS = {
    "x86-64": "x86: generic, AVX2, AVX512-VNNI",
    "aarch64": "64-bit Arm under qemu: NEON, dot product",
    "c": "C99 by gcc",
    "cuda": "CUDA, threads as loops",
    "hls": "HLS C++ by g++",
    "ulx3s-85f": "FPGA array, RTL simulation",
    "ecp5-25f": "a smaller array, RTL simulation",
}
"""A target of each kind, and how its artifacts are run here."""
_SAMPLES = 4
_PAGE = """# Families and targets

    python -m scripts.family_targets

Each family's network, made by a few steps of its recipe (bits do not depend on how well it is trained), beside its
peers and for a target of each kind. Written by that script.

## Beside torch and onnxruntime

Output values that differ from the reference interpreter's, on random inputs biased to ties and saturation. The
quantization-aware network in torch and its export in onnxruntime compute in float32: a sum that lies nearly half-way
between two steps may round to the other one there, and what follows differs. The artifacts are held to the reference.

{peers}

onnxruntime 1.31 with all optimizations does not open the ECG network: it copies a quantizer of signed bytes behind a
slice and then finds its types at odds (its issue 25526). With `ORT_ENABLE_BASIC` it runs.

## Targets

Every artifact is run on its golden samples before it is put in place, and each bit compared with the reference; the
cell names the instruction sets, or the simulation, that ran. What a target cannot run is refused when it is compiled.

{targets}

## Parts on the accelerator

Where a whole network is too much for the array or lacks an operator there, parts of it were run on it, or on the
processor beside it ([soc.md](soc.md#models-on-the-processor)), by tests: `tests/hw/test_families.py` with random
weights, `tests/hw/soc/test_core.py`. Every bit equals the reference, every cycle of the array the model's.

| part | runs on | sample | result |
|---|---|---|---|
| one-way filters on a line, 3→16→1 channels, 5 taps, rank 2 | array | 3 fields of 128 points | equal, 3,639 cycles |
| stem, mean and head of the ECG network | array | 12 leads of 512 points, 16 bits | equal, 12,258 cycles |
| integer selective scan, 8 channels, 4 states | processor | 16 times | equal, 1.65 million cycles |
| the scans of the ECG network | processor | 2,560 points | refused: 2,100 million cycles |
| MiniNet | array | 64 × 192 pixels | refused: no thresholds; the picture alone has 36,864 of 32,768 bytes |
| the wave network | array | fields of the plane | refused: 184,320 of 32,768 bytes of activations |

The stem has power-of-two scales: with others, sums of 16-bit inputs over 84 products have roundings that no multiplier
of 31 bits makes. The ECG network's own windows of 2,560 points, 61,440 bytes, do not fit the activation memory.

No GPU, board or FPGA was at hand: CUDA kernels ran with their threads as loops, Arm code under qemu's user-mode
emulation, the array and the C++ for synthesis in simulation.
"""


@dataclass
class Row:
    """What a family showed.

    Attributes:
        constants, macs: numbers that the program holds, multiply-accumulates of a sample.
        peers: how torch and onnxruntime differ from the reference.
        targets: what became of each target.
    """

    family: str
    constants: int
    macs: int = 0
    peers: dict[str, str] = field(default_factory=dict)
    targets: dict[str, str] = field(default_factory=dict)


def examine(family: str, targets: Iterable[str], folder: Path) -> Row:
    """Make a network of the family, compare it with its peers, and compile it for the targets."""
    chosen = find_family(family)
    config = apply_settings(chosen.config, FAMILIES[family], source=f"a few steps of '{family}'")
    print(f"{family}: network", flush=True)
    trained = chosen.train(config)
    model = trained.export_qcdq(folder / f"{family}.onnx")
    program = lower(read_onnx(model))
    row = Row(family, sum(constant.array.size for constant in program.constants.values()))
    inputs = random_inputs(program, _SAMPLES)
    wanted = reference.run(program, inputs)
    (given,) = (array.reshape(-1, *array.shape[2:]) for array in inputs.values())
    row.peers["torch"] = _beside(wanted, {name: trained.predict_quantized(given) for name in wanted})
    for name, optimized in (("onnxruntime, plain", False), ("onnxruntime, optimized", True)):
        try:
            row.peers[name] = _beside(wanted, OnnxPeer(model, optimized=optimized).run(inputs))
        except ToolError as error:
            row.peers[name] = f"fails: {error.problem.rsplit('] ', 1)[-1]}"
    for target in targets:
        print(f"{family}: {target}", flush=True)
        row.targets[target] = _compiled(row, model, target, folder / f"{family}-{target}.edge")
    return row


def _beside(wanted: Arrays, found: Arrays) -> str:
    total = sum(array.size for array in wanted.values())
    pairs = [(array, np.asarray(found[name]).reshape(array.shape)) for name, array in wanted.items()]
    different = sum(int((a != b).sum()) for a, b in pairs)
    if not different:
        return f"0 of {total:,}"
    largest = max(float(np.abs(a.astype(float) - b).max() / (np.abs(a).max() or 1)) for a, b in pairs)
    return f"{different:,} of {total:,}, by {largest:.1g} of the largest value at most"


def _compiled(row: Row, model: Path, target: str, output: Path) -> str:
    try:
        report = compile_model(model, target, output)
    except EdgeconvError as error:
        return f"refused: {_short(error.problem)}"
    _, golden = report.artifact.golden()
    samples = len(next(iter(golden.values())))
    row.macs = report.artifact.manifest.macs
    return f"equal, {samples} sample{'s' if samples > 1 else ''}: {', '.join(report.tested_isas)}"


def _short(problem: str) -> str:
    """The first of several operators, and how many more; without the ONNX nodes they came from."""
    first, *more = re.sub(r" \(from [^)]*\)", "", problem).split("; ")
    return f"{first} and {len(more)} more" if more else first


def page(rows: Sequence[Row]) -> str:
    """The page in Markdown."""
    peers = [("family", "weights, biases, tables", "MACs", *rows[0].peers)]
    peers += [(row.family, f"{row.constants:,}", f"{row.macs:,}", *row.peers.values()) for row in rows]
    cells = [("target", "run here by", *(row.family for row in rows))]
    cells += [(name, TARGETS[name], *(row.targets[name] for row in rows)) for name in rows[0].targets]
    return _PAGE.format(peers=_table(peers), targets=_table(cells))


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = ("| " + " | ".join(row) + " |" for row in rows)
    return "\n".join([head, "|" + "---|" * len(rows[0]), *body])


def main(arguments: Sequence[str] | None = None) -> None:
    """Examine the families and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", default=list(FAMILIES), metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument("--targets", nargs="+", default=list(TARGETS), choices=TARGETS, metavar="TARGET")
    parser.add_argument("--page", type=Path, default=Path("docs/families.md"))
    options = parser.parse_args(arguments)
    if unknown := set(options.families) - set(FAMILIES):
        parser.error(f"unknown {', '.join(sorted(unknown))}; known: {', '.join(FAMILIES)}")
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as folder:
        rows = [examine(family, options.targets, Path(folder)) for family in options.families]
    options.page.write_text(page(rows), encoding="utf-8")
    print(options.page)


if __name__ == "__main__":
    main()

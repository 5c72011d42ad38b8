"""Generated kernels run on this CPU without an artifact around them."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from edgeconv.codegen.cuda import GeneratedCuda
from edgeconv.ir import Program
from tests.cuda_machine import kernels_as_c

_FOLDER = Path(__file__).parent
_LAUNCH = """
void launch(int kernel, unsigned x, unsigned y, unsigned threads, void **parameters) {
    edge_run_grid(&edge_kernels[kernel], x, y, threads, parameters);
}
"""
_WRITE_COUNTS = """
extern void __gcov_dump(void);
void write_counts(void) { __gcov_dump(); }
"""


def run_directly(
    code: GeneratedCuda, program: Program, inputs: Mapping[str, np.ndarray], folder: Path, *, counted: bool = False
) -> dict[str, np.ndarray]:
    """Every launch of a program, in order, as the host library makes them.

    Args:
        counted: leave behind how often each line of kernels.c ran, for gcov.

    Returns:
        arrays (n, *shape) by output name.
    """
    library = _build(code, folder, counted)
    count = len(next(iter(inputs.values()))) if inputs else 1
    arrays = [np.ascontiguousarray(inputs[name]) for name in program.inputs]
    outputs = {
        name: np.zeros((count, *program.types[name].shape), program.types[name].dtype.container)
        for name in program.outputs
    }
    memory = [*arrays, *outputs.values(), np.frombuffer(code.blob, np.uint8).copy()]
    memory.append(np.full(max(1, code.scratch_bytes * count) + 64, 0xAB, np.uint8))
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in memory]
    names = list(dict.fromkeys(launch.symbol for launch in code.launches))
    for launch in code.launches:
        blocks = -(-count // code.samples) if code.samples else launch.blocks
        size = ctypes.c_int32(count if code.samples else launch.blocks)
        arguments = [*pointers, size, ctypes.c_int32(launch.number)]
        table = (ctypes.c_void_p * len(arguments))(*(ctypes.addressof(argument) for argument in arguments))
        rows = 1 if code.samples else count
        library.launch(names.index(launch.symbol), blocks, rows, code.threads, table)
    if counted:
        library.write_counts()
    return outputs


def _build(code: GeneratedCuda, folder: Path, counted: bool) -> ctypes.CDLL:
    text = kernels_as_c(code.source) + _LAUNCH + (_WRITE_COUNTS if counted else "")
    (folder / "kernels.c").write_text(text, encoding="utf-8")
    command = [
        "gcc",
        "-std=gnu11",
        *(["-O0", "--coverage"] if counted else ["-O1"]),
        "-fPIC",
        "-shared",
        "-w",
        "-fno-strict-aliasing",
        "-ffp-contract=off",
    ]
    sources = ["kernels.c", str(_FOLDER / "device.c")]
    subprocess.run([*command, f"-I{_FOLDER}", *sources, "-o", "kernels.so", "-lm"], cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "kernels.so"))

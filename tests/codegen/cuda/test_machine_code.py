"""Machine code of the benchmark networks: products on tensor cores and by dp4a, nothing in local memory."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import pytest

from edgeconv.codegen.cuda import GeneratedCuda, generate_cuda
from edgeconv.codegen.cuda.nvcc import find_nvcc
from edgeconv.importer import read_onnx
from edgeconv.integer import FMA, lower, prove
from scripts.bench_networks import write
from scripts.gpu.sass import INSTRUCTIONS, instructions_of, kernels_of

pytestmark = pytest.mark.needs_nvcc
_MMA = (
    "mma.sync.aligned.m16n8k32.row.col.s32.u8.s8.s32 {%0, %1, %2, %3}, {%4, %4, %4, %4}, {%5, %5}, {%0, %1, %2, %3};",
    '"+r"(p[0]), "+r"(p[1]), "+r"(p[2]), "+r"(p[3]) : "r"(p[4]), "r"(p[5])',
)
# Kernels of which each has one kind of instruction that the others lack.
_ONE_OF_EACH = {
    "IMMA": f'asm("{_MMA[0]}" : {_MMA[1]});',
    "IDP": 'asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(p[3]) : "r"(p[0]), "r"(p[1]), "r"(p[2]));',
    "FFMA": "p[0] = __float_as_int(__fmaf_rn(__int_as_float(p[1]), __int_as_float(p[2]), __int_as_float(p[3])));",
    "LDS": "__shared__ int s[64]; s[threadIdx.x] = p[threadIdx.x]; __syncthreads(); p[0] = s[threadIdx.x ^ p[1]];",
    "LDL": "int a[64]; for (int i = 0; i < 64; i++) a[i] = p[i];"
    "for (int i = 0; i < p[99]; i++) a[p[i] & 63] += i; p[1] = a[p[2] & 63];",
}
_WITH = {"LDS": "STS", "LDL": "STL"}


def _kernels(source: str, architecture: str) -> dict[str, list[int]]:
    cubin = find_nvcc().run(source, ["-cubin", f"-arch={architecture}"], "cubin")
    return {name: instructions_of(code) for name, code in kernels_of(cubin)}


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_each_number_stands_for_what_its_name_says(architecture: str) -> None:
    source = "\n".join(f'extern "C" __global__ void {name}(int* p) {{ {body} }}' for name, body in _ONE_OF_EACH.items())
    found = _kernels(source, architecture)
    for name in _ONE_OF_EACH:
        seen = {kind for kind, number in INSTRUCTIONS.items() if number in found[name]}
        assert seen - {"LDG", "STG"} == {name, _WITH.get(name, name)}
        assert {"LDG", "STG"} <= seen


@cache
def _network(name: str) -> GeneratedCuda:
    folder = Path(mkdtemp(prefix="edgeconv-test-"))
    # Types and shapes of the machine code do not depend on how well the ranges were calibrated.
    path = write(name, folder, ("u8s8",), calibration=2)["u8s8"]
    program = lower(read_onnx(path))
    return generate_cuda(program, prove(program, FMA).forms)


@pytest.mark.parametrize("architecture", ["sm_75", "sm_90"])
@pytest.mark.parametrize(
    "name", ["pulse", *(pytest.param(n, marks=pytest.mark.slow) for n in ("ecg", "depth", "wave"))]
)
def test_products_of_the_benchmark_networks_are_those_of_the_hardware(name: str, architecture: str) -> None:
    code = _network(name)
    found = _kernels(code.source, architecture)
    for symbol, numbers in found.items():
        assert not {INSTRUCTIONS["LDL"], INSTRUCTIONS["STL"]} & set(numbers), f"{symbol} uses local memory"
    wanted = {"mma": "IMMA", "dp4a": "IDP"}
    products = [(i, re.split("[ ,]", entry.detail)[0]) for i, entry in enumerate(code.report)]
    products = [(i, kind) for i, kind in products if kind in wanted]
    assert {kind for _, kind in products} == {"mma", "dp4a"}
    for step, kind in products:
        symbol = "edge_kernel" if code.samples else f"edge_kernel_{step}"
        assert INSTRUCTIONS[wanted[kind]] in found[symbol], f"{symbol} has no {wanted[kind]}"

"""Artifacts whose kernels are a few lines of C, so that folder, C interface and runner are tested without TVM."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from edgeconv.artifact import Artifact
from edgeconv.artifact.link import CompiledKernel
from edgeconv.artifact.write import Contents, write
from edgeconv.integer import POLICIES, prove
from edgeconv.ir import Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.reference import run

STEP = 0.5
SHAPE = (1, 1, 8)

# q = clip(round(x / 0.5), -128, 127); y = q · 0.5. The conversion rounds as MXCSR says, and the blob holds the step.
_QUANTIZE = """
#include <immintrin.h>
#include <stdint.h>
void {symbol}(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch, int64_t n) {{
    const char *x = in[0];
    char *y = out[0];
    float step = *(const float *)weights;
    for (int64_t i = 0; i < 8 * n; i++) {{
        __m128 value = _mm_castsi128_ps(_mm_loadu_si32(x + 4 * i));
        __m128 ratio = _mm_div_ss(value, _mm_set_ss(step));
        float real = _mm_cvtss_f32(ratio);
        int q = real != real ? 0 : real > 127 ? 127 : real < -128 ? -128 : _mm_cvtss_si32(ratio);
        scratch[0] = (uint8_t)q;
        _mm_storeu_si32(y + 4 * i, _mm_castps_si128(_mm_set_ss((float)(int8_t)scratch[0] * step)));
    }}
}}
"""
_COPY = """
#include <stdint.h>
#include <string.h>
void {symbol}(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch, int64_t n) {{
    (void)weights, (void)scratch;
    memcpy(out[0], in[0], 8 * n);
    memcpy(out[1], in[1], 3 * n);
}}
"""


_COPY_ONE = """
#include <stdint.h>
#include <string.h>
void {symbol}(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch, int64_t n) {{
    (void)weights, (void)scratch;
    memcpy(out[0], in[0], 16 * n);
}}
"""


def quantize_program() -> Program:
    """f32 (1, 1, 8) → i8 with step 0.5 → f32."""
    full = Grid.full(dtype("i8"))
    linear = Linear(((Fraction(1, 2),),))
    return Program(
        {"x": TensorType(SHAPE, dtype("f32"))},
        ("y",),
        (ops.Quantize("q", "x", (STEP,), full), ops.Dequantize("y", ("q",), linear)),
    )


def copy_program() -> Program:
    """Inputs `adc` i12 (1, 4) and `gain` u8 (1, 3); outputs `wide` (4, 1) and `thin` (1, 3, 1), the same values."""
    return Program(
        {"adc": TensorType((1, 4), dtype("i12")), "gain": TensorType((1, 3), dtype("u8"))},
        ("wide", "thin"),
        (ops.Reshape("wide", "adc", (1, 2, 2)), ops.Reshape("thin", "gain", (1, 3, 1))),
    )


def narrow_program() -> Program:
    """Input `adc` i12 (1, 2, 4), two channels of four points; output `same`, the same values."""
    return Program({"adc": TensorType((1, 2, 4), dtype("i12"))}, ("same",), (ops.Reshape("same", "adc", (1, 8)),))


PROGRAMS = {
    "quantize": (quantize_program, _QUANTIZE),
    "copy": (copy_program, _COPY),
    "narrow": (narrow_program, _COPY_ONE),
}


@cache
def _object_code(source: str, symbol: str) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "kernel.c").write_text(source.format(symbol=symbol))
        subprocess.run(["gcc", "-O1", "-fPIC", "-c", "kernel.c"], cwd=folder, check=True)
        return (folder / "kernel.o").read_bytes()


def kernels(source: str, *isas: str) -> tuple[CompiledKernel, ...]:
    """The same C function for each instruction set; its blob is the step."""
    blob = np.float32(STEP).tobytes() + bytes(60)
    symbols = {isa: f"edge_main_{isa}" for isa in isas}
    return tuple(CompiledKernel(isa, symbol, _object_code(source, symbol), blob, 64) for isa, symbol in symbols.items())


def golden(program: Program, seed: int = 0) -> dict[str, NDArray[np.generic]]:
    """Six samples for every input; every fifth float is a tie."""
    rng = np.random.default_rng(seed)
    arrays: dict[str, NDArray[np.generic]] = {}
    for name, type_ in program.inputs.items():
        shape = (6, *type_.shape)
        if type_.dtype.is_float:
            arrays[name] = (rng.integers(-600, 600, shape) / 8).astype(np.float32)
        else:
            arrays[name] = rng.integers(type_.dtype.lo, type_.dtype.hi + 1, shape).astype(type_.dtype.container)
    return arrays


def write_double(
    output: Path,
    program: Program | None = None,
    isas: tuple[str, ...] = ("generic", "avx2"),
    stream: Mapping[str, str | int | bool | None] = MappingProxyType({}),
) -> Artifact:
    """Write the artifact of `quantize_program()`, or of another of `PROGRAMS` when that is given."""
    chosen = program or quantize_program()
    source = next(source for make, source in PROGRAMS.values() if make() == chosen)
    policies = {"generic": POLICIES["generic"], "avx2": POLICIES["fma"], "avx512vnni": POLICIES["fma"]}
    certificates = {policies[isa].name: prove(chosen, policies[isa]) for isa in isas}
    inputs = golden(chosen)
    contents = Contents(
        "double",
        "x86-64",
        "x86_64-linux-gnu",
        chosen,
        certificates,
        kernels(source, *isas),
        inputs,
        run(chosen, inputs),
        {"file": "double.onnx", "sha256": "0" * 64},
        {"y": "ns"} if program in (None, quantize_program()) else {},
        stream=stream,
    )
    return write(contents, output)


@cache
def built(program_name: str = "quantize") -> Path:
    """One artifact for all tests that only read it: a key of `PROGRAMS`."""
    folder = Path(tempfile.mkdtemp(prefix="edgeconv-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return write_double(folder / "double.edge", PROGRAMS[program_name][0]()).path


def copied(to: Path, program_name: str = "quantize") -> Path:
    """A copy of the artifact that a test may alter."""
    return Path(shutil.copytree(built(program_name), to / "double.edge", symlinks=True))

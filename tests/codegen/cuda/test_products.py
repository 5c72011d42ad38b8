"""Products of bytes, on tensor cores and by dot products of four: shapes that fill tiles, and shapes that do not."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen.cuda import generate_loops
from edgeconv.codegen.cuda.shape import Shape
from edgeconv.ir import Grid, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.reference import run
from tests.codegen.native import Native
from tests.codegen.programs import Draft

pytestmark = pytest.mark.needs_gcc
_KINDS = ("fma_f32", "mul_shift", "fma_f64", "steps")
_SHAPES = {
    "16 samples": Shape(whole=True, threads=64, samples=16),
    "1 sample": Shape(whole=True, threads=128),
    "grid": Shape(whole=False, threads=64),
}
# x type, extents, input and output channels, kernel, stride, dilation, pads
_CONVOLUTIONS = (
    ("u8", (40,), 1, 16, (5,), 2, 1, (2, 1)),
    ("i8", (17,), 16, 33, (3,), 1, 2, (2, 2)),
    ("u8", (9, 11), 3, 8, (3, 3), 2, 1, (1, 1, 1, 0)),
    ("u8", (6, 7), 12, 20, (1, 1), 1, 1, (0, 0, 0, 0)),
    ("i8", (5, 8), 4, 3, (3, 2), 1, 1, (0, 1, 0, 1)),
)


def _convolutions() -> Draft:
    parts = Draft(np.random.default_rng(7))
    for number, (x, extents, inputs, outputs, kernel, stride, dilation, pads) in enumerate(_CONVOLUTIONS):
        rank = len(extents)
        parts.inputs[f"x{number}"] = TensorType((1, inputs, *extents), dtype(x))
        parts.constant(f"w{number}", "i8", outputs, inputs, *kernel)
        parts.constant(f"b{number}", "i16", outputs)
        names = (f"a{number}", f"x{number}", f"w{number}", f"b{number}")
        strides, dilations = (stride,) * rank, (dilation,) * rank
        parts.operators.append(ops.Conv(*names, dtype("i32"), strides, dilations, pads, 1, 11))
        grid = Grid.full(dtype("u8"), 20)
        parts.outputs.append(parts.requant(f"y{number}", f"a{number}", outputs, 1 << 23, grid, _KINDS, axis=1))
    return parts


@pytest.mark.parametrize("samples", [1, 5, 33])
@pytest.mark.parametrize("shape", _SHAPES)
def test_convolutions_equal_the_reference(shape: str, samples: int, tmp_path: Path) -> None:
    parts = _convolutions()
    program, inputs = parts.program(), parts.arrays(samples)
    code = generate_loops(program, parts.forms, shape=_SHAPES[shape], backwards=samples == 5)
    found, expected = Native(code, program, tmp_path)(inputs), run(program, inputs)
    wrong = {name: int((found[name] != expected[name]).sum()) for name in program.outputs}
    assert not any(wrong.values()), wrong
    used = [re.split("[ ,]", entry.detail)[0] for entry in code.report if entry.kernel == "conv.products"]
    assert used == ["mma", "mma", "mma", "mma", "dp4a"]


# x type, extents, channels, kernel, stride, dilation, pads
_DEPTHWISE = (
    ("u8", (9, 11), 8, (3, 3), 1, 1, (1, 1, 1, 1)),
    ("i8", (12, 7), 20, (5, 3), 2, 1, (2, 1, 2, 1)),
    ("u8", (31,), 4, (7,), 1, 2, (6, 6)),
)


@pytest.mark.parametrize("shape", _SHAPES)
def test_depthwise_convolutions_by_words_equal_the_reference(shape: str, tmp_path: Path) -> None:
    parts = Draft(np.random.default_rng(6))
    for number, (x, extents, channels, kernel, stride, dilation, pads) in enumerate(_DEPTHWISE):
        rank = len(extents)
        parts.inputs[f"x{number}"] = TensorType((1, channels, *extents), dtype(x))
        parts.constant(f"w{number}", "i8", channels, 1, *kernel)
        names = (f"a{number}", f"x{number}", f"w{number}", None)
        strides, dilations = (stride,) * rank, (dilation,) * rank
        parts.operators.append(ops.Conv(*names, dtype("i32"), strides, dilations, pads, channels, 11))
        grid = Grid.full(dtype("i8" if number else "u8"), 3)
        parts.outputs.append(parts.requant(f"y{number}", f"a{number}", channels, 1 << 20, grid, _KINDS, axis=1))
    parts.outputs.append("a2")
    program, inputs = parts.program(), parts.arrays(5)
    code = generate_loops(program, parts.forms, shape=_SHAPES[shape], backwards=shape == "grid")
    found, expected = Native(code, program, tmp_path)(inputs), run(program, inputs)
    wrong = {name: int((found[name] != expected[name]).sum()) for name in program.outputs}
    assert not any(wrong.values()), wrong
    assert [entry.kernel for entry in code.report].count("conv.depthwise_words") == 3


@pytest.mark.parametrize(("shape", "used"), [("16 samples", "mma"), ("1 sample", "dp4a"), ("grid", "dp4a")])
def test_a_fully_connected_layer_fills_tiles_with_samples(shape: str, used: str, tmp_path: Path) -> None:
    parts = Draft(np.random.default_rng(8))
    parts.inputs["x"] = TensorType((1, 70), dtype("u8"))
    parts.constant("w", "i8", 70, 33)
    parts.operators.append(ops.MatMul("a", "x", "w", None, dtype("i32"), 7, 0))
    parts.outputs.append(parts.requant("y", "a", 33, 1 << 21, Grid.full(dtype("i8"), 3), _KINDS, axis=1))
    program, inputs = parts.program(), parts.arrays(19)
    code = generate_loops(program, parts.forms, shape=_SHAPES[shape])
    found = Native(code, program, tmp_path)(inputs)
    assert (found["y"] == run(program, inputs)["y"]).all()
    assert [re.split("[ ,]", e.detail)[0] for e in code.report if e.kernel == "matmul.products"] == [used]


def test_quantize_with_nan_infinities_and_ties(tmp_path: Path) -> None:
    parts = Draft(np.random.default_rng(9))
    parts.inputs["x"] = TensorType((1, 1, 12), dtype("f32"))
    grid = Grid.full(dtype("u8"), 3)
    parts.operators.append(ops.Quantize("q", "x", (0.25,), grid, 0.0, 1))
    parts.outputs.append("q")
    values = [np.nan, np.inf, -np.inf, 0.125, 0.375, -0.125, -0.0, 1e-45, 1e38, -1e38, 62.9, 0.62500006]
    program, inputs = parts.program(), {"x": np.array(values, np.float32).reshape(1, 1, 1, 12)}
    code = generate_loops(program, {})
    assert "quantize.float" in {entry.kernel for entry in code.report}
    assert (Native(code, program, tmp_path)(inputs)["q"] == run(program, inputs)["q"]).all()

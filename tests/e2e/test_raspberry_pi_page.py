"""The program of docs/raspberry-pi.md does what the page says."""

from __future__ import annotations

import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.api import compile_program
from edgeconv.ir import Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops

PAGE = Path(__file__).parents[2] / "docs" / "raspberry-pi.md"
STEP = 1 / 256


def blue_channel() -> Program:
    """f32 (1, 3, 128, 416) to its last channel in steps of 1/256: a picture with the shapes of the depth network."""
    full = Grid.full(dtype("u8"))
    return Program(
        {"x": TensorType((1, 3, 128, 416), dtype("f32"))},
        ("y",),
        (
            ops.Quantize("q", "x", (STEP,), full),
            ops.Slice("s", "q", (0, 2, 0, 0), (1, 1, 128, 416), (1, 1, 1, 1)),
            ops.Dequantize("y", ("s",), Linear(((Fraction(1, 256),),))),
        ),
    )


@pytest.mark.slow
@pytest.mark.needs_gcc
def test_a_frame_becomes_a_picture(tmp_path: Path) -> None:
    compile_program(blue_channel(), tmp_path / "depth.edge", "generic")
    (program,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "depth.py").write_text(program, encoding="utf-8")
    done = subprocess.run([sys.executable, "depth.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("generic: (1, 3, 128, 416) float32 -> (1, 1, 128, 416) float32, ")
    names: dict[str, object] = {"__name__": "page"}
    exec(program[: program.index("\nmodel = Model")].replace("from edge_runtime import Model", ""), names)
    frame = names["generated_frame"]()  # type: ignore[operator]
    x = names["frame_to_input"](frame)  # type: ignore[operator]
    # 720 × 1280 is 3 × (128, 416) and a border: (720 - 384) / 2 rows, (1280 - 1248) / 2 columns.
    block = frame[168 + 3 * 100 : 168 + 3 * 101, 16 + 3 * 7 : 16 + 3 * 8]
    assert np.allclose(x[0, :, 100, 7], block.mean((0, 1)) / 255)
    magic, width, height, _, pixels = (tmp_path / "depth.pgm").read_bytes().split(None, 4)
    assert (magic, width, height, len(pixels)) == (b"P5", b"416", b"128", 416 * 128)
    plane = np.clip(np.rint(x[0, 2] / np.float32(STEP)), 0, 255) / 256
    grey = np.frombuffer(pixels, np.uint8).reshape(128, 416)
    low, high = np.percentile(plane, (1, 99))
    assert np.abs(grey - np.clip((plane - low) / (high - low) * 255, 0, 255)).max() <= 1

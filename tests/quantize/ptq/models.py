"""Float ONNX models for tests of post-training quantization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeconv.importer.read import read_model
from edgeconv.quantize.ptq.placement import Placement, place
from edgeconv.quantize.ptq.prepare import prepare
from tests.importer.models import model, save

RNG = np.random.default_rng(11)
IMAGE = {"x": ("n", 3, 8, 8)}


def weights(*shape: int) -> NDArray[np.float32]:
    """Random weights of a size that keeps activations near 1."""
    return (RNG.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


CONSTANTS: dict[str, Any] = {
    "w": weights(4, 3, 3, 3), "w1": weights(4, 4, 1, 1), "w2": weights(4, 4, 3, 3), "w2_": weights(4, 3, 3, 3),
    "b": weights(4, 4)[:, 0],
    "wt": weights(4, 4, 2, 2), "head": weights(4, 5), "square": weights(8, 8), "square2": weights(8, 8),
    "half": np.float32(0.5),
    "one": np.float32(1), "six": np.float32(6), "zero": np.float32(0), "root2": np.float32(1.41421356),
    "gamma": np.abs(weights(4, 4)[0]) + 0.5, "beta": weights(4, 4)[1], "mean": weights(4, 4)[2],
    "var": np.abs(weights(4, 4)[3]) + 0.5, "ln_g": np.abs(weights(8, 8)[0]) + 0.5, "ln_b": weights(8, 8)[1],
    "rows": np.array([0, 4, 64], np.int64),
    "border": np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64), "map": weights(1, 4, 8, 8),
}  # fmt: skip
"""Constants that the texts of tests name."""


def write(
    folder: Path, nodes: str, *, inputs: Mapping[str, Sequence[int | str]] = IMAGE, outputs: Sequence[str] = ("y",)
) -> Path:
    """A float model with the constants that its nodes use."""
    used = {name: array for name, array in CONSTANTS.items() if f"{name}," in nodes or f"{name})" in nodes}
    return save(model(nodes, inputs, used, outputs=outputs), folder)


def placed(path: Path, *, share_concat: bool = False) -> Placement:
    """Where quantizers go in a model."""
    return place(read_model(prepare(path), str(path), {}), share_concat=share_concat)


def operators(path: Path) -> list[str]:
    """The node types of a file."""
    return [node.op_type for node in onnx.load(str(path)).graph.node]

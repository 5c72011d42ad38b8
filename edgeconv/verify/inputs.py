"""Random inputs that bring out differences: ties, saturation and borders are likely."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import Program, TensorType
from edgeconv.ir import operators as ops


def random_inputs(program: Program, samples: int, seed: int = 0) -> dict[str, NDArray[np.generic]]:
    """Inputs of shape (samples, *shape) for every input of a program.

    A float input is mixed, sample by sample, from smooth curves, noise, values on the grid of its quantizer, values
    half-way between two grid points (ties), and values far outside (saturation). An integer input is uniform, smooth,
    or sits at the ends of its type.
    """
    rng = np.random.default_rng(seed)
    return {name: _one(rng, program, name, type_, samples) for name, type_ in program.inputs.items()}


def _one(rng: np.random.Generator, program: Program, name: str, type_: TensorType, samples: int) -> NDArray[np.generic]:
    shape = (samples, *type_.shape)
    kind = rng.integers(0, 5, (samples,) + (1,) * len(type_.shape))
    if not type_.dtype.is_float:
        lo, hi = type_.dtype.lo, type_.dtype.hi
        uniform = rng.integers(lo, hi, shape, endpoint=True)
        ends = np.where(rng.integers(0, 2, shape) == 0, lo, hi)
        smooth = np.rint(np.clip((lo + hi) / 2 + (hi - lo) / 2.2 * _smooth(rng, shape), lo, hi)).astype(np.int64)
        return np.where(kind < 2, uniform, np.where(kind == 2, ends, smooth)).astype(type_.dtype.container)
    quantizers = [op for op in program.consumers[name] if isinstance(op, ops.Quantize)]
    scale = np.float32(quantizers[0].scale[0]) if quantizers else np.float32(1)
    grid = quantizers[0].grid if quantizers else None
    lo, hi = (grid.lo - grid.zero_point, grid.hi - grid.zero_point) if grid else (-128, 127)
    steps = rng.integers(lo - 2, hi + 3, shape).astype(np.float32)
    middle, half = np.float32((lo + hi) / 2), np.float32((hi - lo) / 2)
    noise = rng.standard_normal(shape).astype(np.float32) * half / np.float32(2) + middle
    curve = _smooth(rng, shape).astype(np.float32) * half + middle
    kinds = [curve, noise, steps, steps + np.float32(0.5), noise * np.float32(20)]
    return np.choose(kind, kinds).astype(np.float32) * scale


def _smooth(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Sums of a few sines along the last axis, within about [-1, 1]."""
    position = np.linspace(0, 1, shape[-1])
    frequency = rng.uniform(0.3, 6, (3, *shape[:-1], 1))
    phase = rng.uniform(0, 2 * np.pi, (3, *shape[:-1], 1))
    return np.asarray(np.sin(2 * np.pi * frequency * position + phase).mean(0) * 1.2)

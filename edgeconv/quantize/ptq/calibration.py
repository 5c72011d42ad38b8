"""The samples that ranges are found from, and what each tensor of a model did on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeconv.errors import InputError, UsageError
from edgeconv.importer.graph import GraphInput
from edgeconv.quantize.ptq.ranges import BINS, Histogram
from edgeconv.runtime.files import load_arrays
from edgeconv.verify.onnx_peer import OnnxPeer

__all__ = ["DRAWN", "Samples", "draw_samples", "observe", "read_samples", "take_samples"]

Array = NDArray[np.generic]
Samples = Mapping[str, Array]
"""Arrays of shape (n, *shape of one sample) by input name; shapes of one sample have a batch axis of 1."""
DRAWN = ("normal", "uniform")
# Values of all observed tensors that are held at a time.
_CHUNK_ELEMENTS = 16_000_000


def draw_samples(inputs: Sequence[GraphInput], distribution: str, count: int, seed: int) -> Samples:
    """Random samples: `normal` (mean 0, deviation 1) or `uniform` (0 to 1); integers over the range of their type.

    Raises:
        UsageError: another distribution.
    """
    if distribution not in DRAWN:
        raise UsageError(f"calibration drawn as '{distribution}'", expected=" or ".join(DRAWN))
    rng = np.random.default_rng(seed)
    drawn: dict[str, Array] = {}
    for each in inputs:
        shape = (count, *each.shape)
        if not each.dtype.is_float:
            drawn[each.name] = rng.integers(
                each.dtype.lo, each.dtype.hi, shape, endpoint=True, dtype=each.dtype.container
            )
        else:
            values = rng.standard_normal(shape) if distribution == "normal" else rng.uniform(0, 1, shape)
            drawn[each.name] = values.astype(np.float32)
    return drawn


def read_samples(source: Path, inputs: Sequence[GraphInput]) -> tuple[Samples, dict[str, Array]]:
    """Samples of a .npz or .npy file, or of all such files of a folder in the order of their names.

    Returns:
        the samples, and the arrays of other names (labels, expected outputs).

    Raises:
        InputError: no such files, missing inputs, shapes or types that do not fit.
    """
    files = sorted(source.glob("*.np[yz]")) if source.is_dir() else [source]
    if not files:
        raise InputError(f"{source}: no .npy or .npz files in this folder", expected="files of samples")
    parts: dict[str, list[Array]] = {}
    for file in files:
        taken, rest = take_samples(load_arrays(file, inputs[0].name), inputs, str(file), single=source.is_dir())
        for name, array in {**taken, **rest}.items():
            parts.setdefault(name, []).append(array)
    try:
        joined = {name: np.concatenate(arrays) for name, arrays in parts.items()}
    except ValueError as error:
        raise InputError(f"{source}: the files hold arrays of different shapes: {error}") from error
    names = {each.name for each in inputs}
    samples = {name: joined[name] for name in names}
    return samples, {name: array for name, array in joined.items() if name not in names}


def take_samples(
    arrays: Mapping[str, Array], inputs: Sequence[GraphInput], place: str, *, single: bool = False
) -> tuple[Samples, dict[str, Array]]:
    """Arrays as samples, shaped (n, *shape of one sample), and the arrays that are no input.

    Args:
        place: where they come from, for messages.
        single: an array of one sample's shape is one sample.

    Raises:
        InputError: see `read_samples`; also NaN or infinite values, or different numbers of samples.
    """
    samples: dict[str, Array] = {}
    for each in inputs:
        array = arrays.get(each.name)
        if array is None:
            found = ", ".join(arrays) or "nothing"
            raise InputError(f"{place}: input '{each.name}' is missing", expected=each.name, advice=f"it holds {found}")
        samples[each.name] = _shaped(np.asarray(array), each, place, single)
    counts = {name: len(array) for name, array in samples.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise InputError(
            f"{place}: numbers of samples {counts}", expected="the same number, at least 1, for each input"
        )
    return samples, {name: np.asarray(array) for name, array in arrays.items() if name not in samples}


def _shaped(array: Array, source: GraphInput, place: str, single: bool) -> Array:
    shape, kind = source.shape, np.float32 if source.dtype.is_float else source.dtype.container
    if single and array.shape in (shape, shape[1:]):
        array = array.reshape(1, *shape)
    # With a batch axis in the model both (n, 1, …) and (n, …) are n samples, as for `edgeconv run`.
    fits = array.shape[1:] == shape or (shape[:1] == (1,) and array.shape[1:] == shape[1:])
    # Floats may be narrowed; integers may not, for they would wrap around.
    casts = np.can_cast(array.dtype, kind, "same_kind" if source.dtype.is_float else "safe")
    if not array.ndim or not fits or not casts:
        raise InputError(
            f"{place}: input '{source.name}' has shape {array.shape} and type {array.dtype}",
            expected=f"(n, {', '.join(map(str, shape))}) of {np.dtype(kind)}",
        )
    taken = np.ascontiguousarray(array.reshape(len(array), *shape), dtype=kind)
    if source.dtype.is_float and not np.isfinite(taken).all():
        raise InputError(f"{place}: input '{source.name}' holds NaN or infinity", advice="clean the samples")
    return taken


def chunks(samples: Samples, elements: int) -> Iterator[Samples]:
    """Samples in pieces, so that `elements` values a sample fit in memory."""
    step = max(1, min(256, _CHUNK_ELEMENTS // max(1, elements)))
    count = len(next(iter(samples.values())))
    for start in range(0, count, step):
        yield {name: array[start : start + step] for name, array in samples.items()}


@dataclass
class _Range:
    lo: float = np.inf
    hi: float = -np.inf


def observe(
    model: onnx.ModelProto,
    values: Sequence[str],
    samples: Samples,
    elements: int,
    *,
    counts: bool,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Histogram]:
    """The range of each value of a float model on samples, and how often each part of it occurs.

    Args:
        elements: values of all these tensors together, per sample.
        counts: a second pass counts; without it the counts are zero.

    Raises:
        InputError: a value becomes NaN or infinite.
    """
    inputs = [name for name in values if name in samples]
    peer = OnnxPeer(model, optimized=True)
    peer.also(set(values) - set(inputs))
    ranges = {name: _Range() for name in values}
    for chunk in chunks(samples, elements):
        progress("finding ranges")
        for name, array in _run(peer, chunk, values):
            lo, hi = float(array.min()), float(array.max())
            if not np.isfinite(lo) or not np.isfinite(hi):
                raise InputError(f"'{name}' becomes NaN or infinite on the calibration samples")
            ranges[name] = _Range(min(ranges[name].lo, lo), max(ranges[name].hi, hi))
    found = {name: Histogram(seen.lo, seen.hi, np.zeros(BINS, np.int64)) for name, seen in ranges.items()}
    if counts:
        for chunk in chunks(samples, elements):
            progress("counting values")
            for name, array in _run(peer, chunk, values):
                seen = found[name]
                # numpy wants some width; a constant tensor then falls into one bin.
                bounds = (seen.lo, seen.hi if seen.hi > seen.lo else seen.lo + 1)
                seen.counts[:] += np.histogram(array, BINS, bounds)[0]
    return found


def _run(peer: OnnxPeer, chunk: Samples, values: Sequence[str]) -> Iterator[tuple[str, Array]]:
    results = peer.run(chunk)
    for name in values:
        yield name, chunk[name] if name in chunk else results[name]

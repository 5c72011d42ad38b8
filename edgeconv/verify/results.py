"""What a verification found, as plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Comparison:
    """One output of the reference beside the same output of a peer.

    Attributes:
        peer: who was compared, such as "artifact (avx2)" or "onnxruntime".
        values, different: how many values, and how many of them differ: in any bit where `required`, else in value.
        largest: largest absolute difference.
        first: index of the first difference, sample first, or None.
        first_values: the reference's and the peer's value there.
        required: whether a difference makes the verification fail (true for the artifact alone).
    """

    peer: str
    output: str
    values: int
    different: int
    largest: float
    first: tuple[int, ...] | None
    first_values: tuple[float, float] | None
    required: bool


@dataclass(frozen=True)
class LayerComparison:
    """One rounding operator of the reference beside the node of onnxruntime that it came from.

    Attributes:
        saturated: share of the reference's values at a clip bound that does not mean zero.
        causes: number of differences by cause (edgeconv.verify.causes.CAUSES).
        sqnr_db: signal-to-quantization-noise ratio against the float model in dB, where one was given.
    """

    operator: str
    origin: str
    values: int
    different: int
    saturated: float
    causes: Mapping[str, int] = field(default_factory=dict)
    sqnr_db: float | None = None


@dataclass(frozen=True)
class Problem:
    """Something that is not as the compiler promised: where, what was found, what was expected."""

    place: str
    found: str
    expected: str = ""

    def __str__(self) -> str:
        return f"{self.place}: {self.found}" + (f", expected {self.expected}" if self.expected else "")


@dataclass(frozen=True)
class Metric:
    """A figure of the whole model against the float model."""

    name: str
    value: float
    unit: str = ""


@dataclass(frozen=True)
class VerifyReport:
    """The result of `edgeconv.verify`.

    Attributes:
        ok: no difference between artifact and reference, and no problem.
        notes: what was left out, and why.
        certificate_seconds: time taken to check the certificates again.
    """

    artifact: str
    samples: int
    comparisons: tuple[Comparison, ...]
    layers: tuple[LayerComparison, ...]
    problems: tuple[Problem, ...]
    metrics: tuple[Metric, ...]
    notes: tuple[str, ...]
    proved: int
    certificate_seconds: float

    @property
    def ok(self) -> bool:
        return not self.problems and not any(c.required and c.different for c in self.comparisons)

    def as_json(self) -> dict[str, object]:
        """Plain data for `--json`."""
        return {"ok": self.ok, **asdict(self)}


def compare_arrays(
    peer: str, output: str, mine: NDArray[np.generic], theirs: NDArray[np.generic], *, required: bool
) -> Comparison:
    """Compare what has to be equal bit by bit, anything else by value (where zeros have no sign and NaN equals NaN).

    Arrays of another shape, or of another dtype where that has to be equal, differ in every value.
    """
    if mine.shape != theirs.shape or (required and mine.dtype != theirs.dtype):
        return Comparison(peer, output, mine.size, mine.size, float("inf"), None, None, required)
    if required:
        same = _bits(mine) == _bits(theirs)
    else:
        same = mine == theirs
        if np.issubdtype(mine.dtype, np.floating):
            same |= np.isnan(mine) & np.isnan(theirs)
    different = int(mine.size - np.count_nonzero(same))
    if not different:
        return Comparison(peer, output, mine.size, 0, 0.0, None, None, required)
    first = tuple(int(i) for i in np.argwhere(~same)[0])
    gap = np.abs(mine.astype(np.float64) - theirs.astype(np.float64))
    pair = (float(mine[first]), float(theirs[first]))
    return Comparison(peer, output, mine.size, different, float(gap.max()), first, pair, required)


def _bits(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """The bits of floats as integers of their size, integers as they are."""
    floating = np.issubdtype(array.dtype, np.floating)
    return array.view(np.dtype(f"u{array.dtype.itemsize}")) if floating else array


def merge(parts: list[Comparison]) -> Comparison:
    """One comparison of several chunks of samples (indices of `first` are those of the chunk that holds it)."""
    differing = [part for part in parts if part.different]
    head = differing[0] if differing else parts[0]
    return Comparison(
        head.peer,
        head.output,
        sum(part.values for part in parts),
        sum(part.different for part in parts),
        max(part.largest for part in parts),
        head.first,
        head.first_values,
        head.required,
    )

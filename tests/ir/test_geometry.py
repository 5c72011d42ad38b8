"""Phases of transposed windows, against the definition by scattering."""

from __future__ import annotations

from collections import defaultdict

import pytest

from edgeconv.errors import ProgramError
from edgeconv.ir.geometry import TransposedWindow


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize(("begin", "end", "longer"), [(0, 0, 0), (1, 2, 0), (2, 0, 3)])
def test_phases_read_what_scattering_writes(
    kernel: int, dilation: int, stride: int, begin: int, end: int, longer: int
) -> None:
    extent = 4
    window = TransposedWindow((kernel,), (stride,), (dilation,), (begin, end), (longer,))
    (outputs,) = window.output_shape((extent,))
    scattered = defaultdict(set)
    for source in range(extent):
        for tap in range(kernel):
            scattered[source * stride + tap * dilation - begin].add((source, tap))
    gathered = defaultdict(set)
    for phase in window.phases(0, outputs):
        assert list(phase.offsets) == sorted(phase.offsets)
        for m in range(phase.count):
            output = phase.first + stride * m
            pairs = zip(phase.offsets, phase.taps, strict=True)
            gathered[output] |= {(m + offset, tap) for offset, tap in pairs if 0 <= m + offset < extent}
    assert sorted(gathered) == list(range(outputs))
    assert all(gathered[output] == scattered[output] for output in range(outputs))


@pytest.mark.parametrize(
    ("window", "said"),
    [
        (TransposedWindow((3,), (2,), (1,), (9, 9), (0,)), "leave nothing"),
        (TransposedWindow((3,), (0,), (1,), (0, 0), (0,)), "at least 1"),
        (TransposedWindow((3, 3), (1,), (1,), (0, 0), (0,)), "over 1 spatial axes"),
    ],
)
def test_windows_that_do_not_fit_are_refused(window: TransposedWindow, said: str) -> None:
    with pytest.raises(ProgramError, match=said):
        window.output_shape((4,))

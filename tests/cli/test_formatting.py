"""Figures for people."""

from __future__ import annotations

import pytest

from edgeconv.cli.formatting import readable_time


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (2.4e-9, "2.4 ns"), (1.5e-6, "1.5 µs"), (0.0123, "12.3 ms"), (1.0, "1 s"), (99.9, "99.9 s"),
        (99.96, "2 min"), (150.0, "2 min"), (5969.0, "99 min"), (5971.0, "1 h 40 min"), (9000.0, "2 h 30 min"),
    ],
)  # fmt: skip
def test_times_have_the_unit_that_keeps_them_short(seconds: float, text: str) -> None:
    assert readable_time(seconds) == text

"""Pictures of records."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("skfem", reason="scikit-fem comes with the extras data and dev")
pytest.importorskip("matplotlib", reason="matplotlib comes with the extra report")

from edgeconv.models.oneway_wave import WaveConfig, simulate_many
from edgeconv.models.oneway_wave.plots import plot_records


def test_records_become_a_picture_with_a_row_each(tmp_path: Path) -> None:
    records = simulate_many(WaveConfig(size=16, frames=6, frame_s=1 / 16), 2, seed=0)
    one, two = (plot_records(records[:n], tmp_path / f"{n}.png").read_bytes() for n in (1, 2))
    assert one.startswith(b"\x89PNG")
    heights = [int.from_bytes(picture[20:24], "big") for picture in (one, two)]
    assert heights[1] == 2 * heights[0]

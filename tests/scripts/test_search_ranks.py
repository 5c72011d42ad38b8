"""The script that compares inherited networks with those trained alone: it measures, goes on, and measures no more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts.search_ranks import geometric_mean, main

pytestmark = pytest.mark.needs_torch


@pytest.mark.slow
def test_a_run_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [str(tmp_path), "--supernet-steps", "2", "--fine-tune", "2", "--alone", "2", "2", "--networks"]
    main([*arguments, "2"])
    first = (tmp_path / "ranks.jsonl").read_text()
    assert len(first.splitlines()) == 2
    main([*arguments, "3"])
    assert (tmp_path / "ranks.jsonl").read_text().startswith(first)
    printed = capsys.readouterr().out
    assert printed.count("inherited ") == 3
    assert "fine-tuned: Kendall's tau with 3 networks trained alone" in printed
    assert "alone: seeds 0 and 1 with one another" in printed


def test_seeds_count_by_their_geometric_mean() -> None:
    assert geometric_mean(np.array([[2.0, 8.0], [3.0, 3.0]])) == pytest.approx([4.0, 3.0])

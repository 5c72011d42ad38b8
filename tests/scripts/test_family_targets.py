"""The page of families and targets says what was found, and refusals in short."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scripts import family_targets


@pytest.mark.slow
def test_a_family_is_compared_and_compiled(tmp_path: Path) -> None:
    pytest.importorskip("brevitas")
    page = tmp_path / "families.md"
    family_targets.main(["pulse", "--targets", "c", "--page", str(page)])
    rows = [line for line in page.read_text().splitlines() if line.startswith(("| pulse", "| c "))]
    assert rows[0].startswith("| pulse | 51,106 | 283,776 | ")
    assert rows[1] == "| c | C99 by gcc | equal, 16 samples: generic |"


def test_differences_are_counted_and_scaled() -> None:
    wanted = {"y": np.array([[1.0, -4.0, 2.0]], np.float32)}
    assert family_targets._beside(wanted, wanted) == "0 of 3"
    found = {"y": np.array([1.0, -4.0, 2.5], np.float32)}
    assert family_targets._beside(wanted, found) == "1 of 3, by 0.1 of the largest value at most"


def test_a_refusal_names_the_first_operator_and_the_number_of_others() -> None:
    problem = "no stage exists for scan %a (from /blocks/0); scan %b (from /blocks/1); flip %c"
    assert family_targets._short(problem) == "no stage exists for scan %a and 2 more"
    assert family_targets._short("needs 40 descriptors") == "needs 40 descriptors"

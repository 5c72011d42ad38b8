"""docs/results.md: sections are put in place of those before, and others stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeconv.quantize.family import Comparison
from scripts.reproduce_results import FAMILIES, main
from scripts.results.page import Figure, Section, Table, write_sections


def section(family: str, value: str, folder: Path) -> Section:
    table = Table("What it says.", Comparison(("name", "value"), (("float", value),), ("measured once",)))
    return Section(family, (f"edgeconv train {family}",), (table, Figure(folder / "plots/a.png", "a plot"), "Read on."))


def test_a_section_takes_the_place_of_the_one_before_and_others_stay(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    write_sections(page, [section("pulse", "1", tmp_path), section("waves", "2", tmp_path)])
    write_sections(page, [section("pulse", "3", tmp_path)])
    text = page.read_text()
    assert text.count("## pulse") == text.count("## waves") == text.count("# Results") == 1
    assert "| float | 3 |" in text
    assert "| float | 2 |" in text
    assert "| float | 1 |" not in text
    assert text.index("## pulse") < text.index("## waves")
    assert "![a plot](plots/a.png)\n\nRead on." in text
    assert "measured once." in text


def test_a_family_that_is_not_known_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["puls"])
    assert f"unknown puls; known: {', '.join(FAMILIES)}" in capsys.readouterr().err

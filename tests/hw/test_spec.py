"""The one definition, and everything generated from it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edgeconv.hw import export
from edgeconv.hw.spec import (
    DESCRIPTOR,
    PARAMETER,
    PARAMETER_BITS,
    SMALL,
    WORD_BITS,
    ArrayConfig,
    Field,
    pack,
)

DOCS = Path(__file__).parents[2] / "docs"
TABLES = [(page, table) for page, tables in export.pages().items() for table in tables]


@pytest.mark.parametrize("path", export.generated_files(), ids=str)
def test_generated_files_are_those_of_the_definition(path: Path) -> None:
    assert (export.FOLDER / path).read_text() == export.generated_files()[path], "run python -m edgeconv.hw.export"


@pytest.mark.parametrize(("page", "name"), TABLES)
def test_tables_of_the_documentation_are_those_of_the_definition(page: str, name: str) -> None:
    text = (DOCS / page).read_text()
    found = text.split(export.begin_mark(name))[1].split(export.end_mark(name))[0]
    assert found.strip() == export.pages()[page][name], "run python -m edgeconv.hw.export"


def test_every_field_has_one_name_and_every_word_fits() -> None:
    names = [field.name for word in DESCRIPTOR for field in word]
    assert len(names) == len(set(names))
    assert all(sum(field.bits for field in word) <= WORD_BITS for word in DESCRIPTOR)
    assert PARAMETER_BITS == sum(field.bits for field in PARAMETER) <= 2 * WORD_BITS


def test_the_package_places_fields_where_pack_does() -> None:
    structs = export.package().split("typedef struct packed {")
    widths = [int(bits) + 1 for bits in re.findall(r"logic (?:signed )?\[(\d+):0\]", structs[1].split("}")[0])]
    singles = len(re.findall(r"logic (?:signed )?[a-z_]+;", structs[1].split("}")[0]))
    assert sum(widths) + singles == WORD_BITS * len(DESCRIPTOR)
    names = re.findall(r"([a-z_0-9]+);  //", structs[1])
    fields = [field.name for word in DESCRIPTOR for field in word]
    assert [name for name in reversed(names) if not name.startswith("unused")] == fields


def test_a_record_packs_least_significant_field_first() -> None:
    fields = (Field("a", 4, ""), Field("b", 5, "", signed=True), Field("c", 1, ""))
    assert pack(fields, {"a": 9, "b": -3, "c": 1}) == 1 << 9 | 0b11101 << 4 | 9


@pytest.mark.parametrize(("value", "text"), [(16, r"b = 16, -16…15 possible"), (-17, r"b = -17, -16…15 possible")])
def test_a_value_that_does_not_fit_is_refused_by_name(value: int, text: str) -> None:
    with pytest.raises(OverflowError, match=text):
        pack((Field("b", 5, "", signed=True),), {"b": value})


@pytest.mark.parametrize(("config", "blocks"), [(ArrayConfig(), 156), (SMALL, 28)], ids=["85f", "25f"])
def test_a_configuration_has_whole_halves_and_fits_its_chip(config: ArrayConfig, blocks: int) -> None:
    assert config.halves * config.beat == config.elements
    assert config.multiplier_blocks <= blocks

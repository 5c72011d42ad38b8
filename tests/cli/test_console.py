"""Results go to stdout, everything else to stderr, and JSON holds what JSON can."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.cli.console import Console, format_table, to_plain


@dataclass(frozen=True)
class Result:
    name: str
    values: tuple[int, ...]


def test_a_result_is_text_or_json(capsys: pytest.CaptureFixture[str]) -> None:
    Console().result(Result("a", (1, 2)), text="a: 1 2")
    assert capsys.readouterr().out == "a: 1 2\n"
    Console(json=True).result(Result("a", (1, 2)), text="a: 1 2")
    assert json.loads(capsys.readouterr().out) == {"name": "a", "values": [1, 2]}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (float("nan"), None),
        (float("inf"), None),
        (0.5, 0.5),
        (True, True),
        (np.int8(3), 3),
        (np.float32("inf"), None),
        (np.array([[1, 2]], np.int16), [[1, 2]]),
        (Path("a/b"), "a/b"),
        (Fraction(3, 10), "3/10"),
        ({1: {"x"}}, {"1": ["x"]}),
        ((Result("a", ()),), [{"name": "a", "values": []}]),
    ],
)
def test_values_become_what_json_knows(value: object, plain: object) -> None:
    assert to_plain(value) == plain
    assert json.loads(json.dumps(to_plain(value), allow_nan=False)) == plain


@pytest.mark.parametrize(
    ("verbosity", "expected"),
    [(-1, ["error: e"]), (0, ["i", "warning: w", "error: e"]), (1, ["d", "i", "warning: w", "error: e"])],
)
def test_verbosity_chooses_what_is_logged(
    capsys: pytest.CaptureFixture[str], verbosity: int, expected: list[str]
) -> None:
    Console(verbosity=verbosity).configure_logging()
    logger = logging.getLogger("edgeconv.somewhere")
    logger.debug("d")
    logger.info("i")
    logger.warning("w")
    logger.error("e")
    captured = capsys.readouterr()
    assert captured.err.splitlines() == expected
    assert captured.out == ""


def test_progress_is_silent_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with Console().progress("training", total=2) as advance:
        advance(1)
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_table_columns_are_aligned_without_trailing_blanks() -> None:
    assert format_table([("a", "bb"), ("ccc", "")], header=("x", "y")) == "x    y\na    bb\nccc"
    assert format_table([("a", "b")]) == "a  b"

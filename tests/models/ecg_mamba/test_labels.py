"""The scored classes, their merged codes, and the table of weights."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import InputError, UsageError
from edgeconv.models.ecg_mamba import EXTENDED, SCORED, read_weights

ROOT = Path(__file__).parents[3]
REAL = [Path(os.environ.get("EDGECONV_CINC_WEIGHTS", "."))]
REAL += [base / "shared/data/cinc2021" for base in (ROOT, ROOT.parent, ROOT.parents[1])]
real = next((folder for folder in REAL if (folder / "weights.csv").exists()), None)


def test_thirty_codes_are_twenty_six_classes() -> None:
    assert len(SCORED) == 26
    assert len(SCORED.column_of) == 30
    assert len(set(SCORED.short_names)) == 26
    for pair in ("733534002 164909002", "713427006 59118001", "284470004 63593006", "427172004 17338001"):
        first, second = pair.split()
        assert SCORED.column_of[first] == SCORED.column_of[second]
    assert EXTENDED.short_names[:26] == SCORED.short_names


def test_codes_become_labels_and_unknown_ones_are_left_out() -> None:
    labels = SCORED.encode(("63593006", "164889003", "54016002"))
    assert [SCORED.short_names[i] for i in np.flatnonzero(labels)] == ["AF", "PAC"]
    assert EXTENDED.encode(("54016002",)).sum() == 1
    assert SCORED.index("AF") == SCORED.index("164889003") == 0
    with pytest.raises(UsageError, match="class 'XYZ'"):
        SCORED.index("XYZ")


@pytest.mark.skipif(real is None, reason="no weights.csv of the challenge; EDGECONV_CINC_WEIGHTS names its folder")
def test_the_weights_of_the_challenge_are_read_by_code_and_by_abbreviation() -> None:
    assert real
    weights = read_weights(real / "weights.csv")
    assert weights.shape == (26, 26)
    assert (np.diag(weights) == 1).all()
    assert weights[SCORED.index("AF"), SCORED.index("NSR")] == 0.25
    assert (read_weights(real / "weights_abbreviations.csv") == weights).all()


def table(order: list[int], values: np.ndarray) -> str:
    names = ["|".join(SCORED.classes[i].codes) for i in order]
    rows = [f"{name},{','.join(str(v) for v in values[i][order])}" for name, i in zip(names, order, strict=True)]
    return "\n".join([f",{','.join(names)}", *rows])


def test_weights_may_stand_in_any_order(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values, order = rng.uniform(0, 1, (26, 26)), rng.permutation(26).tolist()
    (tmp_path / "weights.csv").write_text(table(order, values))
    assert (read_weights(tmp_path / "weights.csv") == values).all()


def test_weights_that_are_no_table_of_the_classes_are_refused(tmp_path: Path) -> None:
    path, values = tmp_path / "weights.csv", np.eye(26)
    for text, message in (
        ("", "not a square table"),
        (table(list(range(25)), values), "names 25 classes\n  expected: all of the set once; here: TInv"),
        (table([*range(25), 3], values), "expected: all of the set once"),
        (table(list(range(26)), values).replace("164889003", "164889009"), "names class '164889009'"),
        (table(list(range(26)), values).replace("1.0", "nan", 1), "not finite"),
        (table(list(range(26)), values).replace("1.0", "x", 1), "could not convert"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            read_weights(path)

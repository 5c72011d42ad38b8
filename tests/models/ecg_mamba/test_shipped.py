"""The trained network that comes with the family: it compiles to what the reference says, and knows new patients."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeconv.api import load
from edgeconv.models.ecg_mamba import EXTENDED, EcgDataset, auprc, auroc, macro, simulate_records, trained_model
from tests.models.compiling import differences

pytestmark = [pytest.mark.needs_gcc, pytest.mark.slow]


@pytest.fixture(scope="module")
def data() -> EcgDataset:
    """300 records of patients that no training met."""
    return EcgDataset.build((one.record for one in simulate_records(300, 2**31 + 77)), classes=EXTENDED)


@pytest.fixture(scope="module")
def edge(data: EcgDataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """The artifact, and in how many values it differs from the reference on 6 windows."""
    edge = tmp_path_factory.mktemp("trained") / "ecg.edge"
    return edge, differences(trained_model(), data.inputs[:6], edge)[0]


def test_it_is_small_and_every_instruction_set_is_equal_to_the_reference(edge: tuple[Path, int]) -> None:
    assert trained_model().stat().st_size < 1_000_000
    assert edge[1] == 0


def test_it_knows_the_diagnoses_of_new_patients(edge: tuple[Path, int], data: EcgDataset) -> None:
    logits = data.by_record(np.reshape(load(edge[0])(data.inputs), (len(data), -1)))
    rare = EXTENDED.index("MoI"), EXTENDED.index("VBig")  # what only long context shows
    assert macro(auroc(data.labels, logits)) > 0.98
    assert macro(auprc(data.labels, logits)) > 0.9
    assert auprc(data.labels, logits)[list(rare)].min() > 0.8

"""The goals of the family, held by a whole training: `make accept-pulse`. It goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brevitas")

from edgeconv.cli.console import format_table
from edgeconv.models.pulse.configurations import POLICIES, PRECISE
from edgeconv.models.pulse.evaluation import RANGE_SNR_DB, Report
from edgeconv.models.pulse.study import resolution_tables, resolutions, train_policies

pytestmark = [pytest.mark.needs_torch, pytest.mark.accept, pytest.mark.timeout(4 * 3600)]

FOLDER = Path(__file__).parents[3] / "build/accept-pulse"
AT = RANGE_SNR_DB.index(47.4)


@pytest.fixture(scope="module")
def found() -> Report:
    """10,000 held-out pulses for each noise, the same for every network."""
    trained = train_policies(
        PRECISE, POLICIES, FOLDER, progress=lambda at: print(f"{at.stage} {at.step}/{at.steps}: {at.loss:.4f}")
    )
    report = resolutions(trained, n=10_000)
    for title, table in zip(("time", "energy"), resolution_tables(report), strict=True):
        print(f"\n{title}, root mean square errors in units of the Cramér–Rao bound")
        print(format_table(table.rows, header=table.header))
    return report


def both(report: Report, name: str) -> np.ndarray:
    """Root mean square errors of time (ps) and energy (%), by noise: (noise, 2)."""
    return np.array([(one.time_ps, one.energy_percent) for one in report.resolutions[name]])


@pytest.mark.parametrize("snr_db", RANGE_SNR_DB)
def test_int8_stays_within_3_percent_of_float_from_20_to_60_db(found: Report, snr_db: float) -> None:
    assert (both(found, "int8") / both(found, "float"))[RANGE_SNR_DB.index(snr_db)].max() < 1.03


def test_int8_is_within_1_2_of_the_bound_at_47_db(found: Report) -> None:
    one = found.resolutions["int8"][AT]
    assert max(one.time_over_bound, one.energy_over_bound) < 1.2


def test_4_bit_weights_are_within_10_percent_of_int8_at_47_db(found: Report) -> None:
    assert (both(found, "4-bit weights") / both(found, "int8"))[AT].max() < 1.1


def test_float_itself_comes_near_the_bound_where_noise_is_what_limits(found: Report) -> None:
    """A poor float network would be easy to keep up with."""
    middle = [i for i, ratio in enumerate(found.snr_db) if 35 <= ratio <= 55]
    for i in middle:
        one = found.resolutions["float"][i]
        assert max(one.time_over_bound, one.energy_over_bound) < 1.1

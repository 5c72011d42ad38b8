"""The goals of the family, held by trainings of three seeds: `make accept-ecg`. It goes on where it was stopped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brevitas")

from edgeconv.cli.console import format_table
from edgeconv.models.ecg_mamba.configurations import CONVOLUTIONAL, FULL
from edgeconv.models.ecg_mamba.labels import EXTENDED
from edgeconv.models.ecg_mamba.network import EcgNet
from edgeconv.models.ecg_mamba.study import SeedStudy
from edgeconv.quantize.family import TrainingProgress
from edgeconv.quantize.layers import FloatLayers

pytestmark = [pytest.mark.needs_torch, pytest.mark.accept, pytest.mark.timeout(6 * 3600)]

FOLDER = Path(__file__).parents[3] / "build/accept-ecg"
RECIPES = {"full": FULL, "convolutional": CONVOLUTIONAL}
SEEDS = (0, 1, 2)


def show(at: TrainingProgress) -> None:
    if at.step % 100 == 0:
        print(f"{at.stage} {at.step}/{at.steps}: {at.loss:.4f}", flush=True)


@pytest.fixture(scope="module")
def study() -> SeedStudy:
    """4,000 generated records for each training, 1,500 of other patients for judging."""
    found = SeedStudy.run(RECIPES, SEEDS, FOLDER, progress=show)
    table = found.table()
    print("\n" + format_table(table.rows, header=table.header))
    means = [found.auprc(name, "float") for name in RECIPES]
    rows = [(one, *(f"{mean[i]:.3f}" for mean in means)) for i, one in enumerate(EXTENDED.short_names)]
    print("\n" + format_table([row for row in rows if "nan" not in row], header=("AUPRC, float", *RECIPES)))
    return found


def test_int8_keeps_what_float_knows(study: SeedStudy) -> None:
    lost = study.macro("full", "float") - study.macro("full", "quantized")
    assert (lost[:, 0] < 0.005).all(), lost
    assert (lost[:, 1] < 0.01).all(), lost


@pytest.mark.parametrize("form", ["float", "quantized"])
def test_scans_beside_convolutions_of_as_many_parameters(study: SeedStudy, form: str) -> None:
    """Whichever is better is what docs/models-ecg.md says; what is held here is that the comparison is a fair one."""
    parameters = [
        sum(one.numel() for one in EcgNet(FloatLayers(), config.network, config.signal).parameters())
        for config in RECIPES.values()
    ]
    assert abs(parameters[0] / parameters[1] - 1) < 0.05
    found = study.compare("full", "convolutional", form)
    print(
        f"\n{form}: macro AUPRC {found.first:.4f} with scans, {found.second:.4f} with convolutions; difference "
        f"{found.difference:+.4f}, 95 % of resamplings from {found.low:+.4f} to {found.high:+.4f}, p = {found.p:.3f}"
    )
    assert min(np.min(study.macro(name, form)) for name in RECIPES) > 0.9

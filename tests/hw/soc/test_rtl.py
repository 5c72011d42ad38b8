"""The system's RTL itself: lint."""

from __future__ import annotations

import pytest

from edgeconv.hw.soc.build import soc_lint
from edgeconv.hw.spec import SMALL, ArrayConfig

pytestmark = [pytest.mark.needs_verilator, pytest.mark.needs_riscv]


@pytest.mark.parametrize(
    "config", [ArrayConfig(), ArrayConfig(elements=8, weight_words=512), SMALL], ids=["16", "8", "4"]
)
def test_verilator_has_nothing_to_say_about_the_rtl(config: ArrayConfig) -> None:
    assert soc_lint(config) == ""

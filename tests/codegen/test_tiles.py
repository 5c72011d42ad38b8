"""The choice of register tiles: what the measurements of docs/performance.md say, for every instruction set."""

from __future__ import annotations

import pytest

from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels.tiles import pairs_rows, rank_rows

VNNI = ISAS["avx512vnni"]


@pytest.mark.parametrize(
    ("blocks", "groups", "positions", "least", "most"),
    [
        (2, 56, 2000, 8, 12),  # two channels a cycle need 16 accumulators: 92 % of the peak, 84 % with 8
        (3, 60, 96, 4, 8),  # 4×3 loads least for its products
        (1, 2, 64, 8, 8),  # short windows are written out, and small tiles overlap
        (2, 40, 8, 8, 8),  # never longer than the row
    ],
)
def test_tiles_of_measured_layers(blocks: int, groups: int, positions: int, least: int, most: int) -> None:
    assert least <= rank_rows(VNNI, VNNI.dots[0], blocks, False, groups, positions)[0] <= most


@pytest.mark.parametrize("name", [name for name, isa in ISAS.items() if isa.lanes > 1])
@pytest.mark.parametrize("positions", [1, 2, 3, 7, 96, 250])
def test_tiles_fit_registers_and_rows(name: str, positions: int) -> None:
    isa = ISAS[name]
    for dot in isa.dots:
        for blocks in (1, 2, 3, 4, 6):
            for groups in (1, 6, 300):
                rows = rank_rows(isa, dot, blocks, False, groups, positions)[0]
                assert 1 <= rows <= positions
                assert rows == 1 or rows * blocks <= isa.accumulators
                if positions > 1:
                    paired = rank_rows(isa, dot, blocks, True, groups, positions)[0]
                    assert paired % 2 == 0
                    assert 2 <= paired <= positions
                    assert paired == 2 or paired * (2 * blocks - 1) <= 2 * isa.accumulators


def test_half_vectors_are_paired() -> None:
    assert pairs_rows(24, 16, 96)
    assert pairs_rows(1, 16, 2)
    assert not pairs_rows(25, 16, 96)
    assert not pairs_rows(32, 16, 96)
    assert not pairs_rows(24, 16, 1)

"""The hot loops for 64-bit Arm hold what they are tuned to hold: the products and little else."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

_SCRIPT = Path(__file__).parents[2] / "scripts" / "arm_cycles.py"
_SPEC = importlib.util.spec_from_file_location("arm_cycles", _SCRIPT)
assert _SPEC is not None
assert _SPEC.loader is not None
arm_cycles = importlib.util.module_from_spec(_SPEC)
sys.modules["arm_cycles"] = arm_cycles
_SPEC.loader.exec_module(arm_cycles)


@pytest.mark.needs_qemu
@pytest.mark.parametrize(
    ("board", "weight_bits", "macs", "products", "most"),
    [
        # 20 loads, 4 exclusive-ors; for the A72 16 table lookups, and a few reloads of constants.
        ("Raspberry Pi 5", 8, 1024, {"sdot": 64}, 90),
        ("Raspberry Pi 4", 8, 1024, {"smull": 64, "smlal2": 64, "sadalp": 64}, 240),
        # By hand: 18 loads, and an addition for each of the 15 pointers.
        ("Raspberry Pi 3", 8, 1024, {"smull": 64, "smlal2": 64, "sadalp": 64, "ld1": 14, "tbl": 0}, 227),
        # 14 loads, and nothing else; for the core that issues in order LLVM unrolls.
        ("Raspberry Pi 4", 7, 384, {"smull": 12, "smlal": 12, "smlal2": 24, "sadalp": 12}, 76),
        ("Raspberry Pi 3", 7, 768, {"smull": 24, "smlal": 24, "smlal2": 48, "sadalp": 24}, 150),
    ],
)
def test_a_trip_holds_the_products_and_little_else(
    board: str, weight_bits: int, macs: int, products: dict[str, int], most: int
) -> None:
    core = next(core for core in arm_cycles.CORES if core.board == board)
    loop = arm_cycles.loop_of(core, 5, 32, weight_bits)
    counts = Counter(line.split()[0] for line in loop)
    assert {name: counts[name] for name in products} == products
    assert len(loop) <= most
    assert arm_cycles.macs_of(loop) == macs


@pytest.mark.needs_qemu
@pytest.mark.needs_llvm_mca
@pytest.mark.parametrize("core", arm_cycles.CORES, ids=lambda core: core.cpu)
@pytest.mark.parametrize(("taps", "channels"), [(3, 32), (5, 32), (7, 128)])
def test_the_predicted_share_of_the_peak(core: Any, taps: int, channels: int) -> None:
    for weight_bits in arm_cycles.WEIGHT_BITS:
        assert arm_cycles.predict(core, taps, channels, weight_bits).share >= core.wanted

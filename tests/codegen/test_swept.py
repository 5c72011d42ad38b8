"""Weights of 8 bits on a core that issues in order: the loop that is scheduled by hand is exact and stays in bounds."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen.isa.neon_sweep import sweep_function
from edgeconv.codegen.isa.table import ISAS, find_isa
from edgeconv.codegen.kernels import long_products
from edgeconv.codegen.kernels.long_products import split_panels
from edgeconv.codegen.kernels.panels import Panel
from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees

NEON = ISAS["neon"]
SWEPT = NEON.long_dots[-1]
SHORT = NEON.dots[0]
SINGLE = NEON.dots[1]
_POINTERS = ("w", "a0", "a1", "a2", "a3")
_APART = 1 << 20  # bytes between what the pointers point to
_OVER = 32


def test_taken_by_cores_in_order_where_it_pays() -> None:
    panels = [Panel(0, 16, 4)]
    long, short = np.full((16, 1, 160), 127), np.full((16, 1, 64), 127)
    swept, looked_up = [(SWEPT, panels)], [(SHORT, panels)]
    assert split_panels(NEON, SHORT, panels, long, (0, 255), 4) == swept
    assert split_panels(NEON, SHORT, panels, short, (0, 255), 4) == looked_up
    assert split_panels(NEON, SHORT, panels, long, (0, 255), 3) == looked_up
    for cpu, parts in (("cortex-a53", swept), ("cortex-a72", looked_up)):
        assert split_panels(find_isa("neon", "aarch64", cpu), SHORT, panels, long, (0, 255), 4) == parts


def reads_of(steps: int, *, fresh: bool) -> dict[str, list[tuple[int, int]]]:
    """(place, bytes) of every load of a sweep, by the pointer that it was made from: its instructions on addresses."""
    text = re.search(r'asm sideeffect "([^"]*)"', sweep_function(steps, fresh=fresh))
    assert text is not None
    first = 16 if fresh else 32
    names = {f"${first + index}": name for index, name in enumerate(_POINTERS)}
    registers = {operand: index * _APART for index, operand in enumerate(names)}
    lines, at = text[1].split("\\0A"), 0
    reads: dict[str, list[tuple[int, int]]] = {name: [] for name in _POINTERS}
    while at < len(lines):
        line = lines[at]
        at += 1
        name, *operands = line.replace("[", "").replace("]", "").replace(",", " ").split()
        if name == "mov":
            registers[operands[0]] = int(operands[1][1:])
        elif name in ("add", "subs"):
            amount = int(operands[2][1:])
            registers[operands[0]] = registers[operands[1]] + (amount if name == "add" else -amount)
        elif name == "b.ne" and registers["x15"]:
            at = lines.index("1:")
        elif name.startswith("ld"):
            place = line[line.index("[") + 1 :].rstrip("]").split(", ")
            address = registers[place[0]] + (int(place[1][1:]) if len(place) > 1 else 0)
            index = (address + _APART // 2) // _APART
            reads[_POINTERS[index]].append((address - index * _APART, 16 if name == "ldr" else 32))
    return reads


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("steps", [2, 4, 6, 8, 10, 12, 14, 56])
def test_every_byte_is_read_once_and_few_beyond(steps: int, fresh: bool) -> None:
    for name, reads in reads_of(steps, fresh=fresh).items():
        size = steps * (64 if name == "w" else 16)
        assert min(place for place, _ in reads) == 0
        assert max(place + count for place, count in reads) <= size + _OVER
        inside = [place + byte for place, count in reads for byte in range(count) if place < size]
        assert sorted(inside) == list(range(size))


CASES = (
    # input channels, outputs, extents, kernel, strides, dilations, pads, groups
    (16, 12, (9,), (2,), (1,), (1,), (0, 1), 1),  # 2 steps: the first block alone
    (16, 16, (10,), (3,), (1,), (1,), (1, 1), 1),  # 3: and a step beside it
    (64, 20, (6,), (1,), (1,), (1,), (0, 0), 1),  # 4: and one block
    (32, 32, (40,), (3,), (1,), (1,), (1, 1), 1),  # 6: and a trip
    (128, 8, (4,), (1,), (1,), (1,), (0, 0), 1),  # 8: and both
    (24, 20, (21,), (7,), (2,), (1,), (3, 3), 1),  # 11, the last one not full
    (32, 64, (17,), (9,), (1,), (1,), (4, 4), 1),  # 18: several trips
    (32, 16, (5, 7), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1),  # three runs
    (32, 9, (11,), (9,), (1,), (2,), (8, 8), 1),  # nine runs, in a loop
    (96, 32, (9, 6), (3, 1), (2, 1), (1, 1), (1, 0, 0, 0), 2),
    (48, 16, (5, 3), (3, 3), (1, 1), (1, 1), (1, 1, 1, 1), 1),  # rows too short
)


@pytest.mark.needs_qemu
@pytest.mark.parametrize("fused", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_shapes(fused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, also where it would not pay; weights of the whole range but for the pair -128, -128."""
    monkeypatch.setattr(long_products, "_pays", lambda *_: True)
    parts = Parts(seed=8)
    for number, (channels, outputs, extents, kernel, strides, dilations, pads, groups) in enumerate(CASES):
        x = parts.input(("u8", "i8")[number % 2], 1, channels, *extents)
        w = parts.rng.integers(-127, 127, (outputs, channels // groups, *kernel), endpoint=True)
        extreme = parts.rng.random(w.shape) < 0.3
        w[extreme] = parts.rng.choice([-127, 127], int(extreme.sum()))
        w[0, 0, 0] = -128
        weights, bias = parts.constant("i8", w), parts.constant("i32", parts.rng.integers(-3000, 3000, outputs))
        zero = int(parts.rng.integers(0, 9))
        acc = parts.add(ops.Conv(parts.fresh, x, weights, bias, dtype("i32"), strides, dilations, pads, groups, zero))
        if fused:
            factors = tuple(parts.factor(30_000 / float(np.abs(w).sum())) for _ in range(outputs))
            parts.add(ops.Requant(parts.fresh, acc, Linear((factors,)), Grid.full(dtype("u8"), 90)))
    code = assert_agrees(parts, "neon", tmp_path)
    taken = [SWEPT.name in entry.detail for entry in code.report if entry.operators[0] == "conv"]
    assert taken == [extents[-1] >= SWEPT.swept_rows for _, _, extents, *_ in CASES]


@pytest.mark.needs_qemu
@pytest.mark.parametrize("total", [255, 256])
def test_sums_of_extremes_at_the_edge(total: int, tmp_path: Path) -> None:
    """Both products of every lane have one sign and the largest size: 255·128 fits 16 bits, 256·128 does not."""
    parts = Parts(seed=total)
    outputs, channels = 16, 160
    signs = np.where(np.arange(outputs) % 2, 1, -1)[:, None] * np.ones((1, channels), np.int64)
    signs[-1, : channels // 2] *= -1
    w = signs * np.where(np.arange(channels) % 16 < 8, 127, 128)
    w = np.where(w == 128, 127, w)
    if total == 256:
        w[w < -100] = -128
    # Stored 0 and 255 are -128 and 127 to the products: each output meets inputs of its weights' signs.
    x = np.where(signs < 0, 255, 0).T
    values = np.concatenate([x, 255 - x], 1)
    name = parts.input("u8", 1, channels, 2 * outputs, values=np.stack([values, values[:, ::-1]])[:, None])
    bias = parts.constant("i32", np.zeros(outputs, np.int64))
    weights = parts.constant("i8", w[..., None])
    parts.add(ops.Conv(parts.fresh, name, weights, bias, dtype("i32"), (1,), (1,), (0, 0), 1, 0))
    code = assert_agrees(parts, "neon", tmp_path)
    (detail,) = [entry.detail for entry in code.report if entry.kernel == "conv.panels"]
    assert (SWEPT.name in detail) == (total == 255)
    assert (SINGLE.name in detail) == (total == 256)

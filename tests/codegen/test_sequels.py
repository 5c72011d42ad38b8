"""Additions and tables behind requantizations, computed before anything is stored: where, and the same bits."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen import fusion
from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels import load_all
from edgeconv.codegen.plan import Plan, Step, make_plan
from edgeconv.integer import POLICY_OF_ISA, prove
from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees, assert_threads_agree
from .test_bands import EVERY_CHAIN


@dataclass(frozen=True)
class Block:
    """A product that is rounded and added to another tensor.

    Attributes:
        spatial: none for a matrix product of (1, channels).
        shortcut: the other tensor is a second product, not the operand of the first.
        following: taps of one more convolution, whose padding the sum has to carry.
        channelwise: the accumulator of the product is added, with a factor for each channel.
    """

    channels: int
    outputs: int
    spatial: tuple[int, ...] = ()
    taps: int = 1
    x: str = "u8"
    rounded: str = "u8"
    total: str = "u8"
    shortcut: bool = False
    following: int = 0
    channelwise: bool = False


BLOCKS = (
    Block(16, 16, (40,), 7),
    Block(32, 32, (41,), 3, rounded="i8", total="i8", following=5),
    Block(12, 48, (37,), 3, x="i8", shortcut=True),
    Block(24, 24, (4, 9), 3, rounded="u6", following=3),
    Block(8, 40, (6, 7), 1, shortcut=True, following=3),
    Block(16, 20, (3, 21), 1, rounded="i4", total="i12", shortcut=True),
    Block(5, 17, (3,), 1, shortcut=True),
    Block(1, 3, (2, 2), 1, shortcut=True),
    Block(40, 40),
    Block(9, 64, shortcut=True, total="i8"),
)
UNROUNDED = (
    Block(16, 16, (40,), 7, channelwise=True),
    Block(32, 32, (41,), 3, total="i8", following=5, channelwise=True),
    Block(24, 24, (4, 9), 3, x="i4", following=3, channelwise=True),
    Block(8, 40, (6, 7), 1, shortcut=True, following=3, channelwise=True),
    Block(16, 20, (3, 21), 1, rounded="i4", total="i12", shortcut=True, channelwise=True),
    Block(40, 40, channelwise=True),
)
"""Blocks whose sums read accumulators."""


def _product(parts: Parts, x: str, shape: tuple[int, ...], outputs: int, taps: int, grid: Grid) -> str:
    """A product whose positions are those of x, rounded."""
    acc = _accumulator(parts, x, shape, outputs, taps)
    spread = (grid.hi - grid.lo) / _reach(shape, taps)
    factors = tuple(parts.factor(spread) for _ in range(outputs))
    return parts.add(ops.Requant(parts.fresh, acc, Linear((factors,)), grid))


def _reach(shape: tuple[int, ...], taps: int) -> float:
    """About the extent of a product of random numbers."""
    return float(60 * 128 * (shape[1] * taps ** (len(shape) - 2)) ** 0.5)


def _accumulator(parts: Parts, x: str, shape: tuple[int, ...], outputs: int, taps: int) -> str:
    """The same, not rounded."""
    channels, spatial = shape[1], shape[2:]
    bias = parts.constant("i32", parts.rng.integers(-3000, 3000, outputs))
    zero = int(parts.rng.integers(0, 9))
    if spatial:
        kernel, ones = (taps,) * len(spatial), (1,) * len(spatial)
        w = parts.constant("i8", parts.rng.integers(-128, 127, (outputs, channels, *kernel), endpoint=True))
        pads = (taps // 2,) * (2 * len(spatial))
        product: ops.Operator = ops.Conv(parts.fresh, x, w, bias, dtype("i32"), ones, ones, pads, 1, zero)
    else:
        w = parts.constant("i8", parts.rng.integers(-128, 127, (channels, outputs), endpoint=True))
        product = ops.MatMul(parts.fresh, x, w, bias, dtype("i32"), zero)
    return parts.add(product)


def _sum(parts: Parts, names: tuple[str, ...], grid: Grid, sizes: tuple[float, ...], channels: int = 1) -> str:
    width = grid.hi - grid.lo
    factors = tuple(tuple(parts.factor(0.8 * width / size) for _ in range(channels)) for size in sizes)
    return parts.add(ops.Add(parts.fresh, names, Linear(factors), grid))


def _grid(parts: Parts, type_: str) -> Grid:
    whole = dtype(type_)
    return Grid(whole, whole.lo + int(parts.rng.integers(0, 2)), whole.hi, (whole.lo + whole.hi) // 3)


def _block(parts: Parts, block: Block) -> str:
    shape = (1, block.channels, *block.spatial)
    x, rounded, total = parts.input(block.x, *shape), _grid(parts, block.rounded), _grid(parts, block.total)
    if block.channelwise:
        first, first_size = _accumulator(parts, x, shape, block.outputs, block.taps), _reach(shape, block.taps)
    else:
        first = _product(parts, x, shape, block.outputs, block.taps, rounded)
        first_size = float(rounded.hi - rounded.lo)
    other, other_size = x, 255.0
    if block.shortcut:
        other, other_size = _product(parts, x, shape, block.outputs, 1, rounded), float(rounded.hi - rounded.lo)
    names = (first, other) if parts.rng.random() < 0.5 else (other, first)
    sizes = {first: first_size, other: other_size}
    channels = block.outputs if block.channelwise else 1
    added = _sum(parts, names, total, tuple(sizes[name] for name in names), channels)
    if block.following:
        _product(parts, added, (1, block.outputs, *block.spatial), 8, block.following, Grid.full(dtype("u8")))
    return added


def _chained(parts: Parts) -> None:
    """A sum behind a sum, and a table; twice the same number; a sum that only division gives."""
    shape = (1, 16, 19)
    x, grid = parts.input("u8", *shape), Grid.full(dtype("u8"), 100)
    one = _sum(parts, (_product(parts, x, shape, 16, 3, grid), x), Grid.full(dtype("u8"), 3), (500.0, 500.0))
    two = _sum(parts, (x, one), Grid(dtype("i8"), -100, 90, -4), (300.0, 300.0))
    values = parts.constant("u8", parts.rng.integers(0, 255, 256, endpoint=True))
    parts.add(ops.Table(parts.fresh, two, values))
    first = _product(parts, x, shape, 16, 3, grid)
    _sum(parts, (first, first), grid, (500.0, 500.0))
    first = _product(parts, x, shape, 16, 1, grid)
    parts.add(ops.Add(parts.fresh, (first, x), Linear(((Fraction(1, 3),), (Fraction(1, 6),))), grid))


def _all(seed: int) -> Parts:
    parts = Parts(seed=seed)
    for block in BLOCKS:
        _block(parts, block)
    _chained(parts)
    return parts


@pytest.mark.needs_gcc
def test_equals_reference(any_isa: str, tmp_path: Path) -> None:
    code = assert_agrees(_all(41), any_isa, tmp_path)
    fused = [entry.operators for entry in code.report if "requant" in entry.operators and "add" in entry.operators]
    # A sum that only division gives is fused where everything is computed one by one.
    assert len(fused) >= len(BLOCKS) + (3 if any_isa == "generic" else 1)
    assert any(operators.count("add") == 2 for operators in fused)


@pytest.mark.needs_gcc
def test_sums_of_accumulators_equal_the_reference(any_isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=49)
    for block in UNROUNDED:
        _block(parts, block)
    # A sum behind such a sum.
    shape = (1, 24, 19)
    x, grid = parts.input("i8", *shape), Grid.full(dtype("i8"), 3)
    first = _accumulator(parts, x, shape, 24, 3)
    one = _sum(parts, (first, x), grid, (_reach(shape, 3), 500.0), 24)
    _sum(parts, (x, one), Grid(dtype("u8"), 3, 250, 90), (300.0, 300.0))
    code = assert_agrees(parts, any_isa, tmp_path)
    fused = [entry.operators for entry in code.report if entry.operators[1:] and "requant" not in entry.operators]
    assert len([operators for operators in fused if operators[1] == "add"]) >= len(UNROUNDED)
    assert any(operators[1:] == ("add", "add") for operators in fused)


@pytest.mark.needs_gcc
def test_threads_give_the_same_bits(isa: str) -> None:
    parts = Parts(seed=42)
    for block in (*BLOCKS[3:5], UNROUNDED[2]):
        _block(parts, block)
    assert_threads_agree(parts, isa)


@pytest.mark.needs_gcc
def test_in_bands_of_rows(isa: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "LIMITS", EVERY_CHAIN)
    parts = Parts(seed=43)
    blocks = (
        Block(8, 8, (9, 7), 3, following=3),
        Block(6, 20, (8, 7), 3, shortcut=True),
        Block(16, 16, (9, 7), 3, following=3, channelwise=True),
    )
    for block in blocks:
        _block(parts, block)
    code = assert_agrees(parts, isa, tmp_path)
    banded = [entry for entry in code.report if "add" in entry.operators and "in bands of" in entry.detail]
    assert len(banded) == (0 if ISAS[isa].lanes == 1 else len(blocks))


def _plan(parts: Parts, isa: str = "avx2", *, fuse: bool = True) -> Plan:
    load_all()
    program = parts.program()
    return make_plan(program, prove(program, POLICY_OF_ISA[isa]).forms, ISAS[isa], fuse=fuse)


def _fused(plan: Plan) -> list[Step]:
    return [step for step in plan.steps if step.sequel]


def test_what_is_read_twice_or_leaves_the_program_is_stored() -> None:
    block = Block(32, 32, (40,), 3)
    alone = Parts(seed=44)
    _block(alone, block)
    assert [len(step.sequel) for step in _fused(_plan(alone))] == [1]
    assert _fused(_plan(alone, fuse=False)) == []
    rounded = next(op for op in alone.operators if isinstance(op, ops.Requant)).output
    alone.add(ops.Slice(alone.fresh, rounded, (0, 0, 0), (1, 4, 4), (1, 1, 1)))
    assert _fused(_plan(alone)) == []


def test_accumulators_that_vectors_cannot_add_are_stored() -> None:
    shape = (1, 32, 40)
    for unlike in (False, True):
        parts = Parts(seed=50)
        x = parts.input("u8", *shape)
        first = _accumulator(parts, x, shape, 32, 3)
        other = parts.input("i20", *shape) if unlike else x
        parts.add(ops.Add(parts.fresh, (first, other), Linear(((Fraction(1, 1 << 13),),) * 2), Grid.full(dtype("i8"))))
        assert len(_fused(_plan(parts))) == (0 if unlike else 1)
        assert len(_fused(_plan(parts, "generic"))) == 1


def test_a_broadcast_operand_and_a_constant_are_added_apart() -> None:
    for shape in ((1, 32, 1), (1, 32, 40)):
        parts = Parts(seed=45)
        x = parts.input("u8", 1, 32, 40)
        first = _product(parts, x, (1, 32, 40), 32, 3, Grid.full(dtype("u8")))
        other = parts.constant("u8", np.ones(shape, np.int64)) if shape[2] > 1 else parts.input("u8", *shape)
        _sum(parts, (first, other), Grid.full(dtype("u8")), (500.0, 500.0))
        assert _fused(_plan(parts)) == []


def test_the_longer_product_goes_on_where_all_operands_are_there() -> None:
    """Of two products that are added, the one of more terms keeps the sum, and it stands behind the other then."""
    parts = Parts(seed=46)
    x = parts.input("u8", 1, 32, 40)
    grid = Grid.full(dtype("u8"))
    long = _product(parts, x, (1, 32, 40), 32, 5, grid)
    short = _product(parts, x, (1, 32, 40), 32, 1, grid)
    _sum(parts, (short, long), grid, (500.0, 500.0))
    plan = _plan(parts)
    (step,) = _fused(plan)
    assert (step.rounded, step.others) == (long, (short,))
    assert [made.output for made in plan.steps].index(short) < plan.steps.index(step)


@pytest.mark.parametrize("isa", ["generic", "avx2", "avx512vnni"])
def test_a_sum_takes_the_memory_of_an_operand_that_dies(isa: str) -> None:
    parts = Parts(seed=47)
    shape = (1, 32, 43)  # of no whole number of tiles
    x = parts.input("u8", *shape)
    grid = Grid.full(dtype("u8"))
    first = _product(parts, x, shape, 32, 1, grid)
    between = _product(parts, first, shape, 32, 1, grid)
    second = _product(parts, between, shape, 32, 1, grid)
    total = _sum(parts, (second, first), grid, (500.0, 500.0))
    plan = _plan(parts, isa)
    assert plan.places[total] == plan.places[first]
    # The operand of a convolution is read again for later positions: it stays as it is.
    own = Parts(seed=48)
    x = own.input("u8", *shape)
    first = _product(own, x, shape, 32, 1, grid)
    total = _sum(own, (_product(own, first, shape, 32, 1, grid), first), grid, (500.0, 500.0))
    plan = _plan(own, isa)
    assert [step.output for step in _fused(plan)] == [total]
    assert plan.places[total] != plan.places[first]

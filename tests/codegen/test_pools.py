"""Pools: every window, with and without padding in the average."""

from __future__ import annotations

from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen import generate
from edgeconv.integer import POLICY_OF_ISA, prove
from edgeconv.ir import Constant, Grid, Linear, dtype, from_text
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees, kernels

pytestmark = pytest.mark.needs_gcc

WINDOWS = (
    ((23,), (3,), (2,), (1,), (1, 1)),
    ((24,), (2,), (2,), (1,), (0, 0)),
    ((19,), (3,), (1,), (2,), (2, 2)),
    ((9, 11), (3, 3), (2, 2), (1, 1), (1, 1, 1, 1)),
    ((8, 7), (2, 3), (1, 2), (1, 1), (1, 0, 0, 2)),
    ((5, 6), (5, 6), (1, 1), (1, 1), (0, 0, 0, 0)),
)


CHANNELS = (17, 70, 1)


def test_max_pool(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=9)
    for number, (extents, kernel, strides, dilations, pads) in enumerate(WINDOWS):
        element = ("u8", "i8", "i16", "i3", "u16", "i32")[number]
        x = parts.input(element, 1, CHANNELS[number % 3], *extents)
        parts.add(ops.MaxPool(parts.fresh, x, kernel, strides, dilations, pads))
    code = assert_agrees(parts, isa, tmp_path)
    assert ("max_pool.rows" in kernels(code)) == (isa != "generic")


def test_avg_pool(isa: str, tmp_path: Path) -> None:
    parts = Parts(seed=10)
    for number, (extents, kernel, strides, dilations, pads) in enumerate(WINDOWS):
        for counted in {pads, (0,) * len(pads)}:
            x = parts.input(("u8", "i8", "i16")[number % 3], 1, CHANNELS[number // 2], *extents)
            pool = ops.AvgPool(parts.fresh, x, dtype("i32"), kernel, strides, dilations, pads, counted, 3)
            acc = parts.add(pool)
            multiple = pool.window.count_multiple(extents, counted)
            grid = Grid.full(dtype(("u8", "i8", "i16")[number % 3]), 2)
            if number != 1:
                parts.add(ops.Requant(parts.fresh, acc, Linear(((parts.factor(1.1) / multiple,),)), grid))
    assert_agrees(parts, isa, tmp_path)


_POOLED = """program 1
input %x: u3[1,4,5]
constant %w: i2[24,16]
%max: u3[1,4,6] = max_pool(%x) {kernel=[3], strides=[1], dilations=[1], pads=[1, 2]}
%flat: u3[1,24] = reshape(%max) {shape=[1, 24]}
%acc: i32[1,16] = matmul(%flat, %w, none) {dtype=i32, x_zero_point=2, w_zero_point=0}
%wide: i16[1,16] = requant(%acc) {linear=linear(factors=[[4139997342471/7471955968]], offset=[0/1], radicand=[1/1], \
shift=[0/1], axis=1), grid=grid(dtype=i16, lo=-31980, hi=13098, zero_point=-21748, rounding=half_even)}
%y: u8[1,16] = requant(%wide) {linear=linear(factors=[[195396447830989/8848906087563264]], offset=[461/1], \
radicand=[1/1], shift=[0/1], axis=1), grid=grid(dtype=u8, lo=0, hi=255, zero_point=0, rounding=half_even)}
return %y
""".replace("\\\n", "")
_SECONDS = 60


def test_code_for_a_few_pooled_channels_before_a_product_comes_to_an_end() -> None:
    """LLVM 22 selected instructions for AVX-512 without end where the pool's vectors had 64 bytes for four channels."""
    weights = np.random.default_rng(3).integers(-2, 2, (24, 16)).astype(np.int8)
    program = from_text(_POOLED, {"w": Constant(dtype("i2"), weights)})
    forms = prove(program, POLICY_OF_ISA["avx512vnni"]).forms
    child = get_context("fork").Process(target=generate, args=(program, forms, "avx512vnni"))
    child.start()
    child.join(_SECONDS)
    child.kill()
    child.join()
    assert child.exitcode == 0

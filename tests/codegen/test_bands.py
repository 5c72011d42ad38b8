"""Row-wise fusion: chains of images by bands of rows equal the reference, whatever their strides, pads and joins."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.codegen import fusion
from edgeconv.codegen.isa.table import ISAS
from edgeconv.codegen.kernels import load_all
from edgeconv.codegen.plan import make_plan
from edgeconv.integer import POLICY_OF_ISA, prove
from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops

from .agreement import Parts, assert_agrees
from .depth_network import DepthNetwork

EVERY_CHAIN = fusion.Limits(
    heights=(3, 2, 5, 1), stretches=30, bands=2, rows=1, cache_bytes=1 << 30, large_bytes=0, part_bytes=-(1 << 20)
)
"""Limits under which every chain that can be computed by bands is."""


class Chains:
    """Random chains of operators over images."""

    def __init__(self, seed: int) -> None:
        self.parts = Parts(seed=seed)
        self.rng = self.parts.rng
        channels, height, width = int(self.rng.choice([3, 5, 16, 24])), *self.rng.integers([6, 17], [24, 30])
        self.shape = (channels, int(height), int(width))
        self.now = self.parts.input("u8" if self.rng.random() < 0.5 else "i8", 1, *self.shape)
        self.signed = self.parts.inputs[self.now].dtype.signed
        self.same: list[str] = [self.now]  # images of the present shape

    def requantized(self, acc: str, channels: int, reach: float) -> None:
        factors = tuple(self.parts.factor(1 / reach) for _ in range(channels))
        grid = Grid.full(dtype("u8"), int(self.rng.integers(0, 200)))
        self.now, self.signed = self.parts.add(ops.Requant(self.parts.fresh, acc, Linear((factors,)), grid)), False

    def conv(self, depthwise: bool) -> None:
        channels, *extents = self.shape
        outputs = channels if depthwise else int(self.rng.choice([1, 2, 8, 24, 33]))
        kernel, strides, dilations, begins, ends = [], [], [], [], []
        for extent in extents:
            taps, dilation = int(self.rng.choice([1, 3, 3, 5])), 1 if depthwise else int(self.rng.choice([1, 1, 2]))
            pads = self.rng.integers(0, taps, 2)
            if (taps - 1) * dilation + 1 > extent + pads.sum() or extent < 4:
                taps, dilation, pads = 1, 1, np.zeros(2, int)
            kernel.append(taps)
            strides.append(int(self.rng.choice([1, 1, 2])))
            dilations.append(dilation)
            begins.append(int(pads[0]))
            ends.append(int(pads[1]))
        w = self.rng.integers(-128, 127, (outputs, 1 if depthwise else channels, *kernel), endpoint=True)
        operator = ops.Conv(
            self.parts.fresh,
            self.now,
            self.parts.constant("i8", w),
            self.parts.constant("i32", self.rng.integers(-3000, 3000, outputs)),
            dtype("i32"),
            tuple(strides),
            tuple(dilations),
            (*begins, *ends),
            channels if depthwise else 1,
            int(self.rng.integers(0, 9)),
        )
        acc = self.parts.add(operator)
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        after = [(e + b + z - s) // t + 1 for e, b, z, s, t in zip(extents, begins, ends, spans, strides, strict=True)]
        self.shape = (outputs, *after)
        self.requantized(acc, outputs, 30.0 * np.prod(w.shape[1:]) ** 0.5)
        self.same = [self.now]

    def upsample(self) -> None:
        channels, *extents = self.shape
        indices = tuple(tuple(j // 2 for j in range(2 * extent)) for extent in extents)
        self.now = self.parts.add(ops.Resize(self.parts.fresh, self.now, indices))
        self.shape, self.same = (channels, *(2 * extent for extent in extents)), [self.now]

    def add(self) -> None:
        other = str(self.rng.choice(self.same))
        linear = Linear(((Fraction(3, 4),), (Fraction(1, 2),)), (Fraction(0),))
        self.now = self.parts.add(ops.Add(self.parts.fresh, (self.now, other), linear, Grid.full(dtype("u8"))))
        self.signed = False
        self.same.append(self.now)

    def table(self) -> None:
        values = self.parts.constant("u8", self.rng.integers(0, 255, 256, endpoint=True))
        self.now, self.signed = self.parts.add(ops.Table(self.parts.fresh, self.now, values)), False
        self.same.append(self.now)

    def finished(self) -> Parts:
        """With a float output, and now and then an inner image as an output as well."""
        self.parts.add(ops.Dequantize(self.parts.fresh, (self.now,), Linear(((Fraction(1, 8),),))))
        return self.parts


def chain_of(seed: int) -> Parts:
    chains = Chains(seed)
    for _ in range(int(chains.rng.integers(3, 8))):
        kind = chains.rng.choice(["depthwise", "conv", "conv", "upsample", "add", "table"])
        if kind in ("depthwise", "conv"):
            chains.conv(kind == "depthwise")
        elif kind == "upsample" and np.prod(chains.shape[1:]) < 900:
            chains.upsample()
        elif kind == "add":
            chains.add()
        else:
            chains.table()
    return chains.finished()


@pytest.mark.needs_gcc
@pytest.mark.parametrize("seed", range(3))
def test_random_chains(seed: int, isa: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "LIMITS", EVERY_CHAIN)
    code = assert_agrees(chain_of(seed), isa, tmp_path)
    assert any("in bands of" in entry.detail for entry in code.report) == (ISAS[isa].lanes > 1)


def test_bands_only_where_requants_are_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fusion, "LIMITS", EVERY_CHAIN)
    load_all()
    program = chain_of(0).program()
    forms = prove(program, POLICY_OF_ISA["avx2"]).forms
    assert make_plan(program, forms, ISAS["avx2"], fuse=True).chains
    assert not make_plan(program, forms, ISAS["avx2"], fuse=False).chains
    assert not make_plan(program, forms, ISAS["generic"], fuse=True).chains


@pytest.mark.parametrize("isa", ["avx2", "avx512vnni"])
def test_arena_of_a_depth_network(isa: str) -> None:
    """The arena of a 128×416 network is at most 40 % of its activations: lifetimes do that, bands come to 15 %."""
    load_all()
    draft = DepthNetwork().finished()
    program = draft.program()
    whole = make_plan(program, draft.forms, ISAS[isa], fuse=True, bands=False)
    activations = sum(
        program.types[step.output].size * whole.layouts[step.output].storage.bytes
        for step in whole.steps
        if step.output not in program.outputs
    )
    assert activations > 6_000_000
    assert whole.arena_bytes <= 0.4 * activations
    banded = make_plan(program, draft.forms, ISAS[isa], fuse=True)
    assert banded.arena_bytes <= 0.15 * activations

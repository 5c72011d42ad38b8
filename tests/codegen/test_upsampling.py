"""Depthwise convolutions that read an upsampled image from the small one: when they do, and the same bits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgeconv.codegen.upsampling import find_upsamplings
from edgeconv.ir import Grid, Linear, dtype
from edgeconv.ir import operators as ops
from edgeconv.runtime.cpu_features import supported_isas

from .agreement import Parts, assert_threads_agree

# channels, extents of the small image, x, zero point, output
CASES = (
    (24, (3, 9), "u8", 7, "u8"),
    (48, (2, 5), "i8", -3, "u6"),
    (96, (4, 3), "u8", 0, "i8"),
    (20, (1, 17), "u7", 12, "u8"),
    (64, (5, 1), "i8", 0, "u8"),
    (160, (2, 6), "u8", 255, "u8"),
    (7, (3, 70), "u8", 1, "u8"),  # of no whole words: the image is upsampled after all
    (24, (3, 5), "u8", 1, "u8"),  # shorter than what is shuffled together: likewise
)


def _upsampled(parts: Parts, case: tuple[int, tuple[int, ...], str, int, str], pads: int = 1) -> str:
    channels, extents, x_type, zero, y_type = case
    x = parts.input(x_type, 1, channels, *extents)
    doubled = tuple(tuple(index // 2 for index in range(2 * extent)) for extent in extents)
    up = parts.add(ops.Resize(parts.fresh, x, doubled))
    w = parts.constant("i8", parts.rng.integers(-128, 127, (channels, 1, 3, 3), endpoint=True))
    bias = parts.constant("i32", parts.rng.integers(-3000, 3000, channels))
    ones = (1, 1)
    conv = ops.Conv(parts.fresh, up, w, bias, dtype("i32"), ones, ones, (pads,) * 4, channels, zero)
    acc = parts.add(conv)
    factors = tuple(parts.factor(300 / (9 * 64 * 256)) for _ in range(channels))
    parts.add(ops.Requant(parts.fresh, acc, Linear((factors,)), Grid.full(dtype(y_type), 20)))
    return up


@pytest.mark.needs_gcc
@pytest.mark.parametrize("isa", [isa for isa in supported_isas() if isa in ("avx2", "avx512vnni")])
def test_equals_reference(isa: str) -> None:
    parts = Parts(seed=31)
    for case in CASES:
        _upsampled(parts, case)
    code = assert_threads_agree(parts, isa)
    taken = [entry.operators for entry in code.report if entry.kernel == "conv.depthwise_doubled"]
    assert taken == [("resize", "conv", "requant")] * (len(CASES) - 2 if isa == "avx512vnni" else 0)


def test_other_readers_and_other_windows_need_the_image() -> None:
    plain = Parts(seed=32)
    up = _upsampled(plain, CASES[0])
    program = plain.program()
    assert list(find_upsamplings(program)) == [up]
    other = Parts(seed=32)
    _upsampled(other, CASES[0], pads=0)
    assert find_upsamplings(other.program()) == {}
    plain.add(ops.Slice(plain.fresh, up, (0,) * 4, (1, 1, 2, 2), (1,) * 4))
    assert find_upsamplings(plain.program()) == {}


def test_other_upsamplings_stay() -> None:
    parts = Parts(seed=33)
    _upsampled(parts, CASES[0])
    resize = parts.operators[0]
    assert isinstance(resize, ops.Resize)
    rows, columns = resize.indices
    parts.operators[0] = replace(resize, indices=((*rows[1:], rows[-1]), columns))
    assert find_upsamplings(parts.program()) == {}

"""The selective scan of the interpreter: the definition written out, the bound of its exponential, its accuracy."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from edgeconv import reference
from edgeconv.integer.ranges import program_ranges
from edgeconv.ir import Constant, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.ir.operators.scan import decay_tables
from edgeconv.reference.scan import decays


def _half_even(numerator: int, shift: int) -> int:
    return round(Fraction(numerator, 1 << shift))  # Python rounds ties to even


def _program(
    channels: int, states: int, length: int, rng: np.random.Generator, exp_bits: int, state_bits: int
) -> Program:
    shapes = {"x": ("i8", channels), "delta": ("u16", channels), "b": ("i8", states), "c": ("i8", states)}
    inputs = {name: TensorType((1, rows, length), dtype(kind)) for name, (kind, rows) in shapes.items()}
    constants = {
        "a": Constant(dtype("u8"), rng.integers(0, 256, (channels, states))),
        "skip": Constant(dtype("i16"), rng.integers(-(1 << 15), 1 << 15, channels)),
    }
    decay_shifts = tuple(int(shift) for shift in rng.integers(4, 12, channels))
    scan = ops.SelectiveScan(
        "y", "x", "delta", "a", "b", "c", "skip", decay_shifts, (30 - state_bits,), exp_bits, state_bits
    )
    return Program(inputs, ("y",), (scan,), constants)


def _inputs(program: Program, samples: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    return {
        name: rng.integers(t.dtype.lo, t.dtype.hi, (samples, *t.shape), endpoint=True).astype(t.dtype.container)
        for name, t in program.inputs.items()
    }


@pytest.mark.parametrize(("exp_bits", "state_bits"), [(15, 16), (12, 14), (9, 8)])
def test_the_scan_follows_its_definition(exp_bits: int, state_bits: int) -> None:
    rng = np.random.default_rng(exp_bits)
    channels, states, length = 3, 2, 7
    program = _program(channels, states, length, rng, exp_bits, state_bits)
    arrays = _inputs(program, 2, rng)
    got = reference.run(program, arrays)["y"]
    (scan,) = program.operators
    assert isinstance(scan, ops.SelectiveScan)
    a, skip = (program.constants[name].array.astype(int) for name in ("a", "skip"))
    high, low = decay_tables(exp_bits)
    half = 1 << (state_bits - 1)
    expected = np.zeros_like(got)
    for sample, d in np.ndindex(2, channels):
        x, delta = (arrays[name][sample, 0, d].tolist() for name in ("x", "delta"))
        h = [0] * states
        for t in range(length):
            total = int(skip[d]) * x[t]
            for n in range(states):
                v = min(_half_even(delta[t] * int(a[d, n]), scan.decay_shifts[d]), (1 << (exp_bits + 4)) - 1)
                index, rest = divmod(v, 1 << (exp_bits - 8))
                decay = _half_even(high[index // 64] * low[index % 64], exp_bits)
                decay = _half_even(decay * ((1 << exp_bits) - rest), exp_bits)
                driven = _half_even(delta[t] * x[t] * int(arrays["b"][sample, 0, n, t]), scan.input_shifts[0])
                h[n] = min(max(_half_even(decay * h[n], exp_bits) + driven, -half), half - 1)
                total += h[n] * int(arrays["c"][sample, 0, n, t])
            expected[sample, 0, d, t] = total
    assert np.array_equal(got, expected)
    assert np.abs(got).max() > half  # states were driven far


@pytest.mark.parametrize("exp_bits", [9, 12, 15])
def test_the_decay_stays_within_its_bound(exp_bits: int) -> None:
    v = np.arange(1 << (exp_bits + 4))
    found = decays(v * 2, np.array(1), exp_bits)
    error = np.abs(found - np.exp(-v / 2.0**exp_bits) * 2.0**exp_bits)
    assert error.max() < 2 + 2.0 ** (exp_bits - 17) + 2.0**-exp_bits
    assert found[0] == 1 << exp_bits
    assert found.min() >= 0
    assert decays(np.array([1 << 24]), np.array(1), exp_bits) == found[-1]


def test_sums_stay_inside_the_range_that_proofs_rely_on() -> None:
    rng = np.random.default_rng(3)
    program = _program(5, 3, 40, rng, 15, 16)
    bounds = program_ranges(program)["y"].bounds
    got = reference.run(program, _inputs(program, 20, rng))["y"]
    assert len(bounds) == 5
    for channel, ((lo, hi), skip) in enumerate(zip(bounds, program.constants["skip"].array.tolist(), strict=True)):
        assert lo <= got[:, 0, channel].min() <= got[:, 0, channel].max() <= hi
        assert hi == 3 * (1 << 15) * 128 + max(-128 * skip, 127 * skip)  # all states and x at their ends

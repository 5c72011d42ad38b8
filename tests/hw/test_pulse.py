"""The pulse network of 0.284 million multiply-accumulates: bits, cycles, speed of the array."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from edgeconv.hw.spec import LANES, ArrayConfig
from edgeconv.ir import Constant, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from tests.hw.running import check, compile_for_array

MACS = 5120 + 3 * 81920 + 512 * 64 + 128
CYCLES = {"i8": 2398, "i4": 1312}
"""Of a sample, by the type of the weights (docs/accelerator.md); that of the samples makes no difference."""
CONVOLUTIONS = ((1, 16), (16, 32), (32, 32), (32, 64))


def pulse_program(input_type: str, weight_type: str) -> Program:
    """128 samples; convolutions 1→16→32→32→64 of 5 taps and stride 2; 512→64→2; raw sums at the end."""
    rng = np.random.default_rng(5)
    constants: dict[str, Constant] = {}
    operators: list[ops.Operator] = []
    types = {"x": TensorType((1, 1, 128), dtype(input_type))}
    grid = Grid(dtype("u8"), 0, 255, 0)

    def add(operator: ops.Operator) -> str:
        operators.append(operator)
        types[operator.output] = operator.infer(types)
        return operator.output

    def weights(*shape: int) -> str:
        name, type_ = f"w{len(constants)}", dtype(weight_type)
        constants[name] = Constant(type_, rng.integers(type_.lo, type_.hi, shape, endpoint=True))
        types[name] = constants[name].type
        return name

    def rounded(acc: str, terms: int) -> str:
        reach = 128 * 2 ** (dtype(weight_type).bits - 1) * np.sqrt(terms) / 255
        factors = tuple(Fraction(float(np.float32(rng.uniform(0.5, 1.5) / reach))) for _ in range(types[acc].shape[1]))
        return add(ops.Requant(f"q{len(operators)}", acc, Linear((factors,)), grid))

    last, zero = "x", 205 if input_type == "u16" else 11
    for inputs, outputs in CONVOLUTIONS:
        w = weights(outputs, inputs, 5)
        acc = ops.Conv(f"a{len(operators)}", last, w, None, dtype("i32"), (2,), (1,), (2, 2), 1, zero)
        last, zero = rounded(add(acc), 5 * inputs * (256 if last == "x" and input_type == "u16" else 1)), 0
    last = add(ops.Reshape("flat", last, (1, 512)))
    last = rounded(add(ops.MatMul("hidden", last, weights(512, 64), None, dtype("i32"))), 512)
    add(ops.MatMul("y", last, weights(64, 2), None, dtype("i32")))
    return Program({"x": types["x"]}, ("y",), tuple(operators), constants)


@pytest.mark.parametrize(("input_type", "weight_type"), [("u8", "i8"), ("u16", "i8"), ("u8", "i4")])
@pytest.mark.needs_verilator
def test_the_pulse_network_is_exact_in_its_cycles(input_type: str, weight_type: str) -> None:
    program = pulse_program(input_type, weight_type)
    type_ = dtype(input_type)
    values = np.random.default_rng(1).integers(type_.lo, type_.hi, (40, 1, 1, 128), endpoint=True)
    compiled = check(program, {"x": values.astype(type_.container)})
    assert compiled.image.cycles == CYCLES[weight_type]


def test_the_array_works_at_nine_tenths_of_its_peak() -> None:
    image = compile_for_array(pulse_program("u8", "i8")).image
    assert sum(layer.macs for layer in image.layers) == MACS
    assert MACS / (image.cycles * ArrayConfig().elements * LANES) >= 0.88

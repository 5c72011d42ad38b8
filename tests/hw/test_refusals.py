"""What the accelerator cannot run is refused with the layer or memory and the limit, before anything is computed."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from edgeconv.api import compile_program
from edgeconv.errors import ProgramError, UnsupportedModelError
from edgeconv.hw.spec import ArrayConfig
from edgeconv.ir import Constant, Grid, Linear, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from tests.hw.running import compile_for_array

U8 = Grid(dtype("u8"), 0, 255, 0)


def program(
    *operators: ops.Operator, shape: tuple[int, ...] = (1, 4, 6), type_: str = "u8", **constants: Constant
) -> Program:
    """A program with one input; its last operator is the output."""
    return Program({"x": TensorType(shape, dtype(type_))}, (operators[-1].output,), operators, constants)


def conv(outputs: int = 4, inputs: int = 4, kernel: int = 3, **changes: object) -> tuple[ops.Conv, Constant]:
    """A convolution whose weights are all 9."""
    fields = {"strides": (1,), "dilations": (1,), "pads": (0, 0), "groups": 1} | changes
    operator = ops.Conv("a", "x", "w", None, dtype("i32"), **fields)  # type: ignore[arg-type]
    return operator, Constant(dtype("i8"), np.full((outputs, inputs, kernel), 9, np.int8))


def half(x: str = "a") -> ops.Requant:
    """A requantization by a half."""
    return ops.Requant("q", x, Linear(((Fraction(1, 2),),)), U8)


def test_more_activations_than_memory() -> None:
    big = program(half("x"), shape=(1, 64, 400))
    with pytest.raises(
        UnsupportedModelError, match=r"needs 25600 bytes of activation memory\n  expected: at most 1024"
    ):
        compile_for_array(big, ArrayConfig(activation_bytes=1024))


def test_more_weights_than_memory() -> None:
    operator, w = conv(outputs=64, kernel=6)
    with pytest.raises(UnsupportedModelError, match=r"needs \d+ words of each processing element of weight memory"):
        compile_for_array(program(operator, half(), w=w), ArrayConfig(weight_words=8))


def test_more_results_than_memory() -> None:
    with pytest.raises(UnsupportedModelError, match="of result memory"):
        compile_for_array(program(half("x"), shape=(1, 4, 600)))


def test_more_descriptors_than_memory() -> None:
    rows = program(half("x"), shape=(1, 1, 40, 2))
    with pytest.raises(UnsupportedModelError, match="needs 40 descriptors"):
        compile_for_array(rows, ArrayConfig(descriptors=32))


def test_an_activation_of_more_than_8_bits_between_layers() -> None:
    operator, w = conv()
    wide = ops.Requant("q", "a", Linear(((Fraction(1, 2),),)), Grid(dtype("i16"), -32768, 32767, 0))
    again = ops.Requant("r", "q", Linear(((Fraction(1, 2),),)), U8)
    with pytest.raises(UnsupportedModelError, match=r"%q has 16 bits\n.*8 bits between the layers"):
        compile_for_array(program(operator, wide, again, w=w))


def test_an_input_of_more_than_16_bits() -> None:
    with pytest.raises(UnsupportedModelError, match="has 24 bits"):
        compile_for_array(program(half("x"), type_="u24"))


def test_an_operator_that_the_array_lacks() -> None:
    product = ops.Mul("a", "x", "x", dtype("i32"))
    with pytest.raises(UnsupportedModelError, match=r"the accelerator has no such operator: mul %a"):
        compile_for_array(program(product, half()))


def test_a_selective_scan_is_refused_with_what_it_would_cost_the_processor() -> None:
    inputs = {
        name: TensorType((1, rows, 50), dtype(kind))
        for name, rows, kind in (("x", 8, "i8"), ("delta", 8, "u16"), ("b", 4, "i8"), ("c", 4, "i8"))
    }
    constants = {"a": Constant(dtype("u8"), np.ones((8, 4), np.uint8)), "s": Constant(dtype("i8"), np.ones(8, np.int8))}
    scan = ops.SelectiveScan("y", "x", "delta", "a", "b", "c", "s", (8,), (14,))
    with pytest.raises(UnsupportedModelError, match=r"would take its processor 5\.1 million cycles a sample"):
        compile_for_array(Program(inputs, ("y",), (scan,), constants))


@pytest.mark.parametrize(("target", "message"), [("ulx3s-85f", "no such operator"), ("hls", "no stage exists for")])
def test_all_operators_that_a_target_lacks_are_named_before_anything_is_proved(
    target: str, message: str, tmp_path: Path
) -> None:
    product = ops.Mul("a", "x", "x", dtype("i32"))
    unprovable = ops.Requant("q", "a", Linear(((Fraction(3, 10),),)), U8)
    first, second = ops.ArgMax("f", "q", 1), ops.ArgMax("g", "q", 2)
    with pytest.raises(UnsupportedModelError, match=rf"{message}:? (mul %a; )?argmax %f; argmax %g"):
        compile_program(program(product, unprovable, first, second), tmp_path / "m.edge", target)
    assert not list(tmp_path.iterdir())


def test_sums_that_may_leave_the_accumulator() -> None:
    operator, _ = conv(inputs=4, kernel=6)
    w = Constant(dtype("i24"), np.full((4, 4, 6), 3_000_000, np.int32))
    wide = ops.Conv("a", "x", "w", None, dtype("i64"), (1,), (1,), (0, 0))
    with pytest.raises(UnsupportedModelError, match="sums up to"):
        compile_for_array(program(wide, half(), w=w))
    assert operator.output == "a"


def test_a_rounding_that_needs_a_threshold_table_is_refused_while_proving() -> None:
    operator, w = conv()
    ties = ops.Requant("q", "a", Linear(((Fraction(3, 10),),)), U8)
    with pytest.raises(ProgramError, match=r"requant %q: channel 0: no form reproduces"):
        compile_for_array(program(operator, ties, w=w))


def test_a_sum_of_three() -> None:
    total = ops.Add("s", ("x", "x", "x"), Linear(((Fraction(1, 4),),) * 3), U8)
    with pytest.raises(UnsupportedModelError, match=r"add %s of 3 operands"):
        compile_for_array(program(total, type_="u4"))


def test_two_samples_in_one() -> None:
    with pytest.raises(UnsupportedModelError, match=r"shape \(2, 4, 6\)"):
        compile_for_array(program(half("x"), shape=(2, 4, 6)))

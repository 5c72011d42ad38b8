"""Programs put together from single operators, proved, compiled, and compared with the reference bit by bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from edgeconv.codegen import GeneratedCode, generate
from edgeconv.codegen.choices import Choices
from edgeconv.integer import POLICY_OF_ISA, prove
from edgeconv.ir import Constant, Program, TensorType, dtype
from edgeconv.ir.forms import ProvedForms
from edgeconv.ir.operators import Operator
from edgeconv.reference import run
from tests.random_graphs.emulated import run_emulated
from tests.random_graphs.machines import ARM
from tests.random_graphs.native import Call, run_calls

from .native import Native

SAMPLES = 2


@dataclass
class Parts:
    """Collects operators with their inputs; every operator's result is an output."""

    seed: int = 0
    inputs: dict[str, TensorType] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    constants: dict[str, Constant] = field(default_factory=dict)
    operators: list[Operator] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def input(self, element: str, *shape: int, values: np.ndarray | None = None) -> str:
        """An input (its name) with random values, the extremes of the type among them."""
        name, type_ = f"in{len(self.inputs)}", dtype(element)
        self.inputs[name] = TensorType(shape, type_)
        if values is None:
            values = self.rng.integers(type_.lo, type_.hi, (SAMPLES, *shape), endpoint=True, dtype=np.int64)
            extreme = self.rng.random(values.shape) < 0.1
            values[extreme] = self.rng.choice([type_.lo, type_.hi], int(extreme.sum()))
        self.arrays[name] = values.reshape(SAMPLES, *shape).astype(type_.container)
        return name

    def constant(self, element: str, values: np.ndarray) -> str:
        """A constant (its name)."""
        name = f"const{len(self.constants)}"
        self.constants[name] = Constant(dtype(element), values)
        return name

    def add(self, operator: Operator) -> str:
        """Append an operator; the name it writes."""
        self.operators.append(operator)
        return operator.output

    @property
    def fresh(self) -> str:
        """A name that is not taken."""
        return f"t{len(self.operators)}"

    def factor(self, size: float) -> Fraction:
        """A rational near `size`: the quotient of two float32 numbers, now and then one that makes ties."""
        if self.rng.random() < 0.3:
            return Fraction(int(self.rng.integers(1, 16)), 8) * Fraction(2) ** round(float(np.log2(size)))
        below = Fraction(float(np.float32(self.rng.uniform(0.5, 1.5))))
        return Fraction(float(np.float32(self.rng.uniform(0.7, 1.4) * size))) / below

    def program(self) -> Program:
        """The finished program."""
        read = {name for operator in self.operators for name in operator.operands}
        outputs = tuple(operator.output for operator in self.operators if operator.output not in read)
        return Program(self.inputs, outputs, tuple(self.operators), self.constants)


def assert_agrees(
    parts: Parts,
    isa: str,
    folder: Path,
    choices: Choices | None = None,
    forms: Mapping[str, ProvedForms] | None = None,
) -> GeneratedCode:
    """Compile for `isa` and compare every output with the reference, bit for bit, with guard pages on either side.

    Args:
        forms: proved ones, where they are not to be those that a compilation takes.
    """
    program = parts.program()
    code = generate(program, forms or prove(program, POLICY_OF_ISA[isa]).forms, isa, choices=choices)
    expected = run(program, parts.arrays)
    for found in _results(code, program, parts.arrays, folder):
        wrong = {}
        for name in program.outputs:
            want, got = np.ascontiguousarray(expected[name]), found[name]
            bits = f"u{want.dtype.itemsize}"
            different = int((want.view(bits) != got.view(bits)).sum())
            if different:
                wrong[f"{program.producers[name].keyword} {name}"] = f"{different} of {want.size}"
        assert not wrong, f"seed {parts.seed}, {isa}: {wrong}"
    return code


def assert_threads_agree(parts: Parts, isa: str) -> GeneratedCode:
    """Compile for several threads, and compare every output of one and of three with the reference, bit for bit."""
    program = parts.program()
    code = generate(program, prove(program, POLICY_OF_ISA[isa]).forms, isa, shared=True)
    expected = run(program, parts.arrays)
    for outcome in run_calls([Call(program, code, parts.arrays, threads=threads) for threads in (1, 3)]):
        assert outcome.failure == ""
        for name in program.outputs:
            assert outcome.outputs[name].tobytes() == expected[name].tobytes(), name
    return code


def _results(
    code: GeneratedCode, program: Program, arrays: dict[str, np.ndarray], folder: Path
) -> Iterator[Mapping[str, np.ndarray]]:
    """What the code gives with the arrays against one guard page, then against the other."""
    if code.isa in ARM.isas and code.isa != "generic":
        for outcome in run_emulated([Call(program, code, arrays, at_start=at_start) for at_start in (False, True)]):
            assert outcome.failure == ""
            yield outcome.outputs
        return
    native = Native(code, program, folder)
    for before in (False, True):
        yield native(arrays, before=before)


def kernels(code: GeneratedCode) -> set[str]:
    """Names of the kernels that were taken."""
    return {entry.kernel for entry in code.report}

"""The builder of C source: one function per step, an array of its own for each constant, one sample at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.blob import Blob
from edgeconv.codegen.builder import Builder, Memory, View, reinterpret
from edgeconv.codegen.c_source import MEMBERS
from edgeconv.codegen.isa.portable_c import PORTABLE_C
from edgeconv.codegen.layout import Storage, container_of, row_major
from edgeconv.codegen.plan import Plan
from edgeconv.codegen.tir import Expr, PointerType, PrimType, T, tirx

__all__ = ["CBuilder", "Constant"]

_MANY = 1 << 30


@dataclass(frozen=True)
class Constant:
    """A constant of a step.

    Attributes:
        variable: what it is called in the code that TVM prints.
        label: what it is, such as "weights".
        step: the step that asked for it first.
        array: its elements; the bits of float32 numbers as int32.
    """

    variable: str
    label: str
    step: int
    array: NDArray[np.generic]


class _FloatBits(Memory):
    """Float32 constants kept as the integers of their bits: C99 has no literals for infinities and NaN."""

    def __init__(self, integers: Memory) -> None:
        super().__init__({})
        self._integers = integers

    def load(self, element: str, offset: Expr, lanes: int = 1) -> Expr:
        return reinterpret("float32", self._integers.load("int32", offset))


class CBuilder(Builder):
    """What the kernels build C source with.

    Every memory is a free variable of the step's function, under a name that `text` replaces: members of the scratch
    union (`edge_scratch_u8`), the user's arrays (`edge_input_0`), constants (`edge_constant_3`).

    Attributes:
        constants: all so far; equal ones are stored once.
    """

    def __init__(self, plan: Plan) -> None:
        self._begin(PORTABLE_C, plan, Blob(), 0, None)
        self.constants: list[Constant] = []
        self._step = 0
        self._variables: dict[str, Expr] = {}
        self._known: dict[tuple[str, bytes], Constant] = {}
        self._rows: dict[str, View] = {}
        self._phases = None

    def begin_step(self, number: int) -> None:
        """To be called at the head of the function of a step."""
        self._step = number
        self._constant_views = {}
        self._memories: dict[str, Memory] = {}
        self.scratch = Memory({e: self._buffer(f"edge_scratch_{member}", e) for e, member in MEMBERS.items()})
        types = self.plan.program.types
        self._users = {
            kind: [self._user(f"edge_{kind}_{i}", container_of(types[name].dtype)) for i, name in enumerate(names)]
            for kind, names in (("input", self.plan.program.inputs), ("output", self.plan.program.outputs))
        }

    def _buffer(self, name: str, element: str) -> Expr:
        if name not in self._variables:
            self._variables[name] = tirx.Var(name, PointerType(PrimType(element)))
        return T.decl_buffer((_MANY,), element, data=self._variables[name], align=1)

    def _user(self, name: str, storage: Storage) -> Memory:
        return Memory({storage.element: self._buffer(name, storage.element)})

    def constant(self, name: str, array: NDArray[np.generic]) -> View:
        """An array of its own; its label is what follows the last stroke of the name."""
        array = np.ascontiguousarray(array)
        label = name.rpartition("/")[2].replace(".", "_")
        constant = self._constant(label, array.view(np.int32) if array.dtype == np.float32 else array)
        element = str(constant.array.dtype)
        if constant.variable not in self._memories:
            self._memories[constant.variable] = Memory({element: self._buffer(constant.variable, element)})
        memory = self._memories[constant.variable]
        is_float = array.dtype == np.float32
        layout = row_major(array.shape, Storage(str(array.dtype)))
        return View(_FloatBits(memory) if is_float else memory, layout, 0)

    def _constant(self, label: str, array: NDArray[np.generic]) -> Constant:
        key = str(array.dtype), array.tobytes()
        if key not in self._known:
            variable = f"edge_constant_{len(self.constants)}"
            self._known[key] = Constant(variable, label, self._step, array.reshape(-1))
            self.constants.append(self._known[key])
        return self._known[key]

    def _constant_view(self, name: str) -> View:
        if name not in self._constant_views:
            constant, layout = self.plan.program.constants[name], self.plan.layouts[name]
            stored = np.zeros(layout.size, layout.storage.element)
            bias = 0 if constant.dtype.is_float else layout.storage.bias
            exact = constant.array if constant.dtype.is_float else constant.array.astype(np.int64)
            stored[layout.offsets()] = exact + bias if bias else exact
            dense = self.constant(f"{name}/tensor", stored)
            self._constant_views[name] = View(dense.memory, layout, 0)
        return self._constant_views[name]

    def opaque(self, count: int) -> Expr:
        """The count itself: C compilers do what they are told."""
        return count

    def named_constants(self) -> list[tuple[Constant, str]]:
        """The constants with the names that they have in C."""
        taken: set[str] = set()
        named = []
        for constant in self.constants:
            name = base = f"step_{constant.step:02d}_{constant.label}"
            number = 1
            while name in taken:
                number += 1
                name = f"{base}_{number}"
            taken.add(name)
            named.append((constant, name))
        return named

"""Thin helpers over TVM's IRBuilder: memories, views of tensors, loops, constants.

Three rules keep the code right whatever LLVM does:

* Tensors share the arena, and one address holds different element types at different times. The function therefore
  carries no `tirx.noalias`: with it TVM would tell LLVM that accesses of different types never overlap.
* An expression used twice is emitted twice: `bind` it. TVM's simplifier looks through bound variables, in time
  exponential in a chain of `Select`s of which each uses the one before twice: keep such a value in a `local` cell.
* A loop whose constant trip count is small is unrolled by LLVM, which then hoists and spills: `opaque` loads the trip
  count from the blob, where it matters.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.blob import Blob
from edgeconv.codegen.choices import Blocking, Choices, Question
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.layout import Layout, Storage, container_of, row_major
from edgeconv.codegen.phases import Phases
from edgeconv.codegen.plan import SLACK, Plan, Step
from edgeconv.codegen.tir import Expr, PointerType, PrimType, T, tirx

__all__ = ["PRIVATE_BYTES", "Builder", "Loop", "Memory", "View", "bind", "const", "reinterpret"]

_MANY = 1 << 30
_ENOUGH_TO_SHARE = 16
"""Trips: shared among four threads, none takes more than a fifth longer than the others."""
_ELEMENTS = ("uint8", "int8", "uint16", "int16", "int32", "int64", "float32", "float64")
_LINE = 64
_NOT_LOWERED = {"disable_lower_builtin": True}
PRIVATE_BYTES = 24 << 10
"""Half of a first-level cache, and no burden for the stack of a thread."""


Loop = Callable[[int], AbstractContextManager[Expr]]
"""What opens a loop of so many trips, and yields its index."""


def bind(value: Expr) -> Expr:
    """A variable that holds `value`: evaluated once."""
    return T.Bind(value)


def const(value: int | float, dtype: str = "int32", lanes: int = 1) -> Expr:
    """A constant, broadcast to `lanes` lanes."""
    scalar = tirx.const(value, dtype)
    return tirx.Broadcast(scalar, lanes) if lanes > 1 else scalar


def reinterpret(dtype: str, value: Expr) -> Expr:
    """The same bits as another type."""
    return tirx.reinterpret(dtype, value)


class Memory:
    """A pointer, seen as arrays of any element type. Offsets are in elements of the type that is asked for."""

    def __init__(self, buffers: Mapping[str, Expr]) -> None:
        self._buffers = buffers

    @staticmethod
    def at(pointer: Expr, elements: Sequence[str]) -> Memory:
        """Memory behind a pointer; to be called at the head of the function, so that the declarations hold for all."""
        return Memory({element: T.decl_buffer((_MANY,), element, data=pointer, align=1) for element in elements})

    def load(self, element: str, offset: Expr, lanes: int = 1) -> Expr:
        """`lanes` consecutive elements."""
        return self._buffers[element].vload([offset], element if lanes == 1 else f"{element}x{lanes}")

    def address(self, element: str, offset: Expr) -> Expr:
        """Where an element lies, for a function of LLVM's text."""
        return tirx.address_of(self._buffers[element][offset])

    def gather(self, element: str, offsets: Expr) -> Expr:
        """One element for each lane of a vector of offsets."""
        return self._buffers[element][offsets]

    def store(self, element: str, offset: Expr, value: Expr, lanes: int = 1) -> None:
        """Write `lanes` consecutive elements."""
        index = offset if lanes == 1 else tirx.Ramp(offset, 1, lanes)
        T.buffer_store(self._buffers[element], value, [index])


@dataclass(frozen=True)
class View:
    """A tensor in memory: a layout over a memory, `origin` elements from its start."""

    memory: Memory
    layout: Layout
    origin: Expr = 0

    @property
    def start(self) -> Expr:
        """Elements from the start of the memory to that of the tensor."""
        return self.origin

    def offset(self, indices: Sequence[Expr]) -> Expr:
        """Element offset of a logical position from the start of the memory."""
        return self.start + self.layout.offset(indices)

    def load(self, indices: Sequence[Expr], dtype: str = "int32") -> Expr:
        """The value (storage bias removed) at a logical position, as a scalar of `dtype`."""
        storage = self.layout.storage
        value = self.memory.load(storage.element, self.offset(indices)).astype(dtype)
        return value - const(storage.bias, dtype) if storage.bias else value

    def store(self, indices: Sequence[Expr], value: Expr) -> None:
        """Write a value (the storage bias is added) at a logical position."""
        storage = self.layout.storage
        stored = value + storage.bias if storage.bias else value
        self.memory.store(storage.element, self.offset(indices), stored.astype(storage.element))

    def vload(self, offset: Expr, lanes: int) -> Expr:
        """`lanes` stored elements, `offset` elements from the start of the tensor's memory (not from `layout.base`)."""
        return self.memory.load(self.layout.storage.element, self.start + offset, lanes)

    def gather(self, offsets: Expr, lanes: int) -> Expr:
        """One stored element for each lane of a vector of offsets from the start of the tensor's memory."""
        return self.memory.gather(self.layout.storage.element, tirx.Broadcast(self.origin, lanes) + offsets)

    def vstore(self, offset: Expr, value: Expr, lanes: int) -> None:
        """Write `lanes` stored elements, `offset` elements from the start of the tensor's memory."""
        self.memory.store(self.layout.storage.element, self.start + offset, value, lanes)


class Builder:
    """What a kernel builds with: inside a TIR function, one sample at a time.

    Attributes:
        isa: the instruction set.
        plan: steps, layouts and places.
        blob: constants; `constant` adds to it.
        weights, scratch: the two memories every kernel shares.
        private: bytes on the stack that the body of a parallel loop has for itself, at any time one kernel's; LLVM
            leaves them out where no kernel uses them.
        temporary_bytes: the most scratch that any step asked for with `temporary`.
        llvm_functions: LLVM's text of functions that the code calls, by name.
    """

    def __init__(
        self,
        isa: Isa,
        plan: Plan,
        blob: Blob,
        parameters: Sequence[Expr],
        sample: Expr,
        phases: Phases | None = None,
        choices: Choices | None = None,
    ) -> None:
        self._begin(isa, plan, blob, sample, phases, choices)
        inputs, outputs, weights, scratch = parameters
        self.weights, self.scratch = Memory.at(weights, _ELEMENTS), Memory.at(scratch, _ELEMENTS)
        self.private = self._private()
        self._users = {
            "input": self._user_memories(inputs, [plan.program.types[name].dtype for name in plan.program.inputs]),
            "output": self._user_memories(outputs, [plan.program.types[name].dtype for name in plan.program.outputs]),
        }

    @staticmethod
    def _private() -> View:
        """Bytes on the stack from a multiple of 64 on: LLVM aligns its frame to 16."""
        buffer = T.alloc_buffer((PRIVATE_BYTES + _LINE,), "uint8", annotations=_NOT_LOWERED, align=_LINE)
        address = tirx.reinterpret("int64", tirx.address_of(buffer[0]))
        start = T.Bind(
            tirx.bitwise_and(tirx.const(0, "int64") - address, tirx.const(_LINE - 1, "int64")).astype("int32")
        )
        return View(Memory({"uint8": buffer}), row_major((PRIVATE_BYTES,), Storage("uint8")), start)

    def _begin(
        self, isa: Isa, plan: Plan, blob: Blob, sample: Expr, phases: Phases | None, choices: Choices | None = None
    ) -> None:
        """Everything but the memories, which are not the same for every kind of code."""
        self.isa, self.plan, self.blob = isa, plan, blob
        self._choices = choices or Choices()
        self._sample, self._phases = sample, phases
        self._constant_views: dict[str, View] = {}
        self._rows: dict[str, View] = {}
        self._used = 0
        self.temporary_bytes = 0
        self.llvm_functions: dict[str, str] = {}

    def set_sample(self, sample: Expr) -> None:
        """The index of the sample that the code to come works on."""
        self._sample = sample

    @staticmethod
    def _user_memories(pointers: Expr, dtypes: Sequence[object]) -> list[Memory]:
        addresses = T.decl_buffer((max(1, len(dtypes)) + 1,), "int64", data=pointers)
        memories = []
        for index, dtype in enumerate(dtypes):
            element = container_of(dtype).element  # type: ignore[arg-type]
            pointer = T.Bind(tirx.reinterpret(PointerType(PrimType(element)), addresses[index]))
            memories.append(Memory.at(pointer, [element]))
        return memories

    def view(self, name: str) -> View:
        """A tensor of the program where the plan placed it: arena, user memory (of this sample) or constants."""
        if name in self._rows:
            return self._rows[name]
        if name in self.plan.program.constants:
            return self._constant_view(name)
        if self.plan.root(name) in self.plan.program.constants:
            source = self._constant_view(self.plan.root(name))
            return View(source.memory, self.plan.layouts[name], source.origin)
        place, layout = self.plan.places[name], self.plan.layouts[name]
        if place.space == "arena":
            return View(self.scratch, layout, place.at // layout.storage.bytes)
        return View(self._users[place.space][place.at], layout, self._sample * layout.size)

    @contextmanager
    def rows(self, layouts: Mapping[str, Layout], starts: Mapping[str, Expr]) -> Iterator[None]:
        """Inside, `view` gives rows of these tensors: their layouts, and elements from the tensors' starts."""
        views = {name: self.view(name) for name in layouts}
        self._rows = {
            name: View(view.memory, layouts[name], view.origin + starts[name]) for name, view in views.items()
        }
        yield
        self._rows = {}

    def user_view(self, space: str, name: str) -> View:
        """An input ("input") or output ("output") in the user's array: row-major, its container type."""
        names = list(self.plan.program.inputs) if space == "input" else list(self.plan.program.outputs)
        type_ = self.plan.program.types[name]
        layout = row_major(type_.shape, container_of(type_.dtype))
        return View(self._users[space][names.index(name)], layout, self._sample * layout.size)

    def _constant_view(self, name: str) -> View:
        if name not in self._constant_views:
            constant, layout = self.plan.program.constants[name], self.plan.layouts[name]
            stored = np.zeros(layout.size, layout.storage.element)
            values = (
                constant.array if constant.dtype.is_float else constant.array.astype(np.int64) + layout.storage.bias
            )
            stored[layout.offsets()] = values
            offset = self.blob.add(f"{name}/tensor", stored)
            self._constant_views[name] = View(self.weights, layout, offset // layout.storage.bytes)
        return self._constant_views[name]

    def constant(self, name: str, array: NDArray[np.generic]) -> View:
        """Put an array into the blob and see it as a dense row-major tensor of its numpy type.

        Args:
            name: of the section, for example "conv1/weights".
        """
        offset = self.blob.add(name, array)
        layout = row_major(array.shape, Storage(str(array.dtype)))
        return View(self.weights, layout, offset // array.dtype.itemsize)

    def temporary(self, element: str, count: int) -> View:
        """Scratch memory of this step alone, 64-byte-aligned, with slack behind it like every tensor."""
        layout = row_major((count,), Storage(element))
        at = self.plan.arena_bytes + self._used
        self._used += -(-(layout.bytes + SLACK) // 64) * 64
        self.temporary_bytes = max(self.temporary_bytes, self._used)
        return View(self.scratch, layout, at // layout.storage.bytes)

    def choose(self, step: Step, part: str, axes: Sequence[str], candidates: Sequence[Blocking]) -> Blocking:
        """One of several ways to block a step: the first, unless another is picked (edgeconv.codegen.choices).

        Args:
            part: the kernel's name, and which of its loops it is about.
            axes: what the numbers of a blocking count.
            candidates: the cycle model's pick first, then by its costs; one that occurs twice counts once.
        """
        return self._choices.answer(Question(step.output, part, tuple(axes), tuple(dict.fromkeys(candidates))))

    def open_phase(self, *, parallel: bool) -> None:
        """In shared code begin a phase, for all threads or (a kernel that is not parallel) for the first."""
        if self._phases is not None:
            self._phases.begin(parallel=parallel)

    def end_step(self) -> None:
        """Forget the temporaries: the next step may use their memory."""
        self._used = 0
        if self._phases is not None:
            self._phases.end()

    def barrier(self) -> None:
        """What comes now may read what any thread has written before. Not inside a loop; bound values end here."""
        if self._phases is not None:
            self._phases.barrier()

    def local(self, element: str, count: int) -> Memory:
        """A small array that LLVM keeps in registers where every index is constant."""
        buffer = T.alloc_buffer((count,), element, annotations=_NOT_LOWERED, align=64)
        return Memory({element: buffer})

    def opaque(self, count: int) -> Expr:
        """A trip count that LLVM cannot see, loaded from the blob."""
        offset = self.blob.add(f"counts/{count}", np.full(1, count, np.int32))
        return bind(self.weights.load("int32", offset // 4))

    @contextmanager
    def loop(self, count: int | Expr, *, opaque: bool = False) -> Iterator[Expr]:
        """A serial loop; yields the index. A loop of one trip is no loop.

        Args:
            opaque: hide a constant count from LLVM, so that it does not unroll.
        """
        if isinstance(count, int) and count == 1:
            yield 0
            return
        stop = self.opaque(count) if opaque and isinstance(count, int) else count
        with T.serial(0, stop) as index:
            yield index

    @contextmanager
    def parallel(self, count: int) -> Iterator[Expr]:
        """A loop whose trips are shared among threads: they come in any order, and at the same time.

        Only for kernels registered with `parallel=True`, and never one inside another.
        """
        if self._phases is None:
            with self.loop(count) as index:
                yield index
            return
        with self._phases.shared(count) as index:
            yield index

    def sharing(self, counts: Sequence[int]) -> list[Loop]:
        """For loops one inside another, outermost first: `parallel` for one of them and `loop` for the others.

        The outermost that is long enough is shared, or else the longest.
        """
        shared = next((axis for axis, count in enumerate(counts) if count >= _ENOUGH_TO_SHARE), None)
        if shared is None:
            shared = max(range(len(counts)), key=lambda axis: counts[axis], default=0)
        return [self.parallel if axis == shared else self.loop for axis in range(len(counts))]

    @contextmanager
    def parallel_nest(self, counts: Sequence[int]) -> Iterator[list[Expr]]:
        """A loop nest like `nest`, one loop of which is shared."""
        with ExitStack() as frames:
            if not counts:
                frames.enter_context(self.parallel(1))
            loops = zip(self.sharing(counts), counts, strict=True)
            yield [frames.enter_context(loop(count)) for loop, count in loops]

    @contextmanager
    def nest(self, counts: Sequence[int]) -> Iterator[list[Expr]]:
        """Nested serial loops over `counts`; yields the indices, outermost first."""
        if not counts:
            yield []
            return
        with self.loop(counts[0]) as index, self.nest(counts[1:]) as inner:
            yield [index, *inner]

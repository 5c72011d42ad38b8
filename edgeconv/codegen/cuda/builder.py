"""The builder of GPU kernels: loops of the ordinary kernels become threads, tensors know the sample of a thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod

from edgeconv.codegen.blob import Blob
from edgeconv.codegen.builder import Builder, Loop, Memory, View, bind, const
from edgeconv.codegen.cuda.team import Team
from edgeconv.codegen.isa.cuda import CUDA
from edgeconv.codegen.layout import Layout, Storage, container_of, row_major
from edgeconv.codegen.plan import SLACK, Plan
from edgeconv.codegen.tir import Expr, T, tirx

__all__ = ["ARENA_ALIGNMENT", "ELEMENTS", "CudaBuilder", "Memories", "arena_stride"]

ELEMENTS = ("uint8", "int8", "uint16", "int16", "int32", "int64", "uint32", "uint64", "float32", "float64")
ARENA_ALIGNMENT = 64
_NOT_LOWERED = {"disable_lower_builtin": True}


def arena_stride(plan: Plan) -> int:
    """Bytes from the arena of a sample to that of the next."""
    return max(ARENA_ALIGNMENT, -(-plan.arena_bytes // ARENA_ALIGNMENT) * ARENA_ALIGNMENT)


@dataclass(frozen=True)
class Memories:
    """What a kernel reads and writes."""

    inputs: Sequence[Memory]
    outputs: Sequence[Memory]
    weights: Memory
    scratch: Memory


def _no_sample() -> Expr:
    raise RuntimeError("a tensor of a sample is used outside of the loops over samples")


@dataclass(frozen=True)
class SampleView(View):
    """A tensor of which each sample has its own, `stride` elements after that of the sample before."""

    sample: Callable[[], Expr] = _no_sample
    stride: int = 0

    @property
    def start(self) -> Expr:
        """Elements from the start of the memory to the tensor of the current sample."""
        return self.origin + self.sample() * self.stride


class CudaBuilder(Builder):
    """What kernels build with, over a team of threads.

    Args:
        first: sample of the user's arrays that the team's first one is.
        first_arena: likewise of the arenas in the scratch memory.
        reserved: bytes at the end of each arena that are kept for temporaries.
    """

    def __init__(
        self,
        plan: Plan,
        blob: Blob,
        team: Team,
        memories: Memories,
        reserved: int,
        first: Expr = 0,
        first_arena: Expr = 0,
    ) -> None:
        self._begin(CUDA, plan, blob, 0, None)
        self._temporaries = plan.arena_bytes - reserved
        self.team, self.weights, self.scratch = team, memories.weights, memories.scratch
        self._users = {"input": list(memories.inputs), "output": list(memories.outputs)}
        self._first, self._first_arena = first, first_arena
        self._slot: Expr | None = None

    def _current(self, first: Expr) -> Callable[[], Expr]:
        def sample() -> Expr:
            return _no_sample() if self._slot is None else first + self._slot

        return sample

    @contextmanager
    def of_sample(self, slot: Expr) -> Iterator[None]:
        """Inside, tensors are those of this sample of the team."""
        before, self._slot = self._slot, slot
        yield
        self._slot = before

    def view(self, name: str) -> View:
        """A tensor of the program: of the current sample, or a constant."""
        if self.plan.root(name) in self.plan.program.constants:
            return super().view(name)
        place, layout = self.plan.places[name], self.plan.layouts[name]
        if place.space == "arena":
            return self._in_arena(layout, place.at)
        return SampleView(self._users[place.space][place.at], layout, 0, self._current(self._first), layout.size)

    def user_view(self, space: str, name: str) -> View:
        """An input or output in the user's array, of the current sample."""
        names = list(self.plan.program.inputs) if space == "input" else list(self.plan.program.outputs)
        type_ = self.plan.program.types[name]
        layout = row_major(type_.shape, container_of(type_.dtype))
        memory = self._users[space][names.index(name)]
        return SampleView(memory, layout, 0, self._current(self._first), layout.size)

    def _in_arena(self, layout: Layout, at: int) -> View:
        item, stride = layout.storage.bytes, arena_stride(self.plan)
        return SampleView(self.scratch, layout, at // item, self._current(self._first_arena), stride // item)

    def temporary(self, element: str, count: int) -> View:
        """Memory of this step alone, for each sample; all threads of a sample share it."""
        layout = row_major((count,), Storage(element))
        at = self._temporaries + self._used
        self._used += -(-(layout.bytes + SLACK) // ARENA_ALIGNMENT) * ARENA_ALIGNMENT
        self.temporary_bytes = max(self.temporary_bytes, self._used)
        return self._in_arena(layout, at)

    def open_phase(self, *, parallel: bool) -> None:
        """Begin a step; every kernel of a GPU shares its loops."""
        if not parallel:
            raise TypeError("a kernel that does not share its loops cannot run on a GPU")
        self.team.begin()

    def barrier(self) -> None:
        """What comes now may read what any thread has written before."""
        self.team.barrier()

    def end_step(self) -> None:
        """The end of a step: all threads have written what they had to."""
        self._used = 0
        self.team.end()

    def local(self, element: str, count: int) -> Memory:
        """A small array of the thread: registers where every index is constant."""
        return Memory({element: T.alloc_buffer((count,), element, scope="local", annotations=_NOT_LOWERED)})

    def opaque(self, count: int) -> Expr:
        """The count itself: unrolling does no harm here."""
        return count

    @contextmanager
    def parallel(self, count: int) -> Iterator[Expr]:
        """A loop whose trips, for every sample, are shared among the threads."""
        with self.team.each(count) as (slot, index), self.of_sample(slot):
            yield index

    def sharing(self, counts: Sequence[int]) -> list[Loop]:
        """The outermost loop is shared; kernels for threads use `parallel_nest`, which shares all."""
        return [self.parallel if axis == 0 else self.loop for axis in range(len(counts))]

    @contextmanager
    def parallel_nest(self, counts: Sequence[int]) -> Iterator[list[Expr]]:
        """All loops of a nest as one that is shared, the innermost index running fastest from thread to thread."""
        with self.parallel(prod(counts)) as index:
            yield split_index(index, counts)


def split_index(index: Expr, counts: Sequence[int]) -> list[Expr]:
    """The indices of a nest of loops, given the number of the trip."""
    digits: list[Expr] = []
    rest = index
    for position, extent in enumerate(reversed(counts)):
        last = position == len(counts) - 1 or prod(counts[: len(counts) - 1 - position]) == 1
        if extent == 1:
            digits.append(0)
        elif last:
            digits.append(rest)
            rest = const(0)
        else:
            above = bind(tirx.truncdiv(rest, const(extent)))
            digits.append(bind(rest - above * extent))
            rest = above
    return digits[::-1]

"""The threads that run a kernel: those of a GPU, or loops that take their places one after the other.

A kernel is written once over a `Team`. On a GPU the team is the threads of a block (`BlockTeam`) or of a whole grid
(`GridTeam`); for a CPU every piece of code between two barriers stands inside a loop over the threads (`LoopTeam`), so
that what the threads of a GPU do at once happens one after the other, forwards or backwards, with the same index
arithmetic. What a piece needs of another piece of the same thread has to go through a `Fragment`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from edgeconv.codegen.builder import bind, const
from edgeconv.codegen.cuda.tensor_core import FRAGMENT_WORDS, multiply_all_lanes
from edgeconv.codegen.tir import Expr, T, tirx

__all__ = ["WARP", "BlockTeam", "Fragment", "GridTeam", "LoopTeam", "Team"]

WARP = 32
_NOT_LOWERED = {"disable_lower_builtin": True}


class Fragment:
    """`count` int32 values of every thread of a warp: registers on a GPU, where `lane` is the thread itself."""

    def __init__(self, buffer: Expr, per_lane: int) -> None:
        self.buffer, self._per_lane = buffer, per_lane

    def load(self, lane: Expr, index: Expr) -> Expr:
        """A value of a lane."""
        return self.buffer.vload([lane * self._per_lane + index], "int32")

    def store(self, lane: Expr, index: Expr, value: Expr) -> None:
        """Set a value of a lane."""
        T.buffer_store(self.buffer, value, [lane * self._per_lane + index])


class Team(ABC):
    """Threads, and the samples that they work on together.

    Args:
        threads: how many there are.
        samples: the most samples that they work on.
        active: samples that there are, at most `samples`.
        tiles_wanted: tiles of a loop from which on no warp that could work is idle; smaller tiles are worth it below.
    """

    def __init__(self, threads: Expr, samples: int, active: Expr, tiles_wanted: int) -> None:
        self.threads, self.samples, self.active, self.tiles_wanted = threads, samples, active, tiles_wanted

    @abstractmethod
    def _each_thread(self) -> ExitStack:
        """A frame in which `_thread` is the number of the thread at work."""

    @abstractmethod
    def lanes(self) -> AbstractContextManager[Expr]:
        """A context in which the lanes of the current warp work; yields the lane."""

    @abstractmethod
    def _each_warp(self) -> ExitStack:
        """A frame in which `_warp` is the number of the warp at work."""

    @abstractmethod
    def fragment(self, count: int) -> Fragment:
        """Values of each lane; to be made inside `tiles`."""

    @abstractmethod
    def multiply(self, c: Fragment, first: int, a: Fragment, b: Fragment) -> None:
        """c[first:first + 4] += a·b: 16×32 unsigned by 32×8 signed bytes (`tensor_core`); outside of `lanes`."""

    @abstractmethod
    def sum_lanes(self, values: Fragment, width: int) -> None:
        """Every value becomes the sum, modulo 2³², over its aligned group of `width` lanes; outside of `lanes`."""

    @abstractmethod
    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        """acc + Σ of four products of an unsigned by a signed byte, modulo 2³²."""

    @abstractmethod
    def begin(self) -> None:
        """Begin the code of a step."""

    @abstractmethod
    def barrier(self) -> None:
        """What comes may read what any thread has written before."""

    @abstractmethod
    def end(self) -> None:
        """End the code of a step, with a barrier."""

    _thread: Expr
    _warp: Expr

    @contextmanager
    def each(self, count: int) -> Iterator[tuple[Expr, Expr]]:
        """A loop of `count` trips for every sample, shared by all threads; yields sample of the team, and trip."""
        self._saw(self.samples * count)
        with self._each_thread(), T.serial(0, self._turns(self.samples * count, self.threads)) as turn:
            trip = bind(self._thread + turn * self.threads)
            with T.If(trip < self.active * count), T.Then():
                if self.samples == 1:
                    yield 0, trip
                else:
                    sample = bind(tirx.truncdiv(trip, const(count)))
                    yield sample, bind(trip - sample * count)

    @contextmanager
    def tiles(self, count: int, needed: Expr) -> Iterator[Expr]:
        """A loop of at most `count` trips, of which the first `needed` are taken, each by a warp; yields the trip."""
        self._saw(count * WARP)
        warps = self.threads // WARP if isinstance(self.threads, int) else tirx.truncdiv(self.threads, const(WARP))
        with self._each_warp(), T.serial(0, self._turns(count, warps)) as turn:
            tile = bind(self._warp + turn * warps)
            with T.If(tile < needed), T.Then():
                yield tile

    @abstractmethod
    def _saw(self, trips: int) -> None:
        """Told the number of threads that a loop could use."""

    @staticmethod
    def _turns(trips: int, workers: Expr) -> Expr:
        return -(-trips // workers) if isinstance(workers, int) else tirx.truncdiv(workers + (trips - 1), workers)


class _DeviceTeam(Team):
    """Threads of a GPU: nothing is a loop."""

    def __init__(self, thread: Expr, threads: Expr, samples: int, active: Expr, tiles_wanted: int) -> None:
        super().__init__(threads, samples, active, tiles_wanted)
        self._thread = thread
        self._warp, self._lane = bind(tirx.truncdiv(thread, const(WARP))), bind(tirx.truncmod(thread, const(WARP)))

    def _each_thread(self) -> ExitStack:
        return ExitStack()

    def _each_warp(self) -> ExitStack:
        return ExitStack()

    @contextmanager
    def lanes(self) -> Iterator[Expr]:
        yield self._lane

    def fragment(self, count: int) -> Fragment:
        return Fragment(T.alloc_buffer((count,), "int32", scope="local", annotations=_NOT_LOWERED), 0)

    def multiply(self, c: Fragment, first: int, a: Fragment, b: Fragment) -> None:
        words = [a.load(0, i) for i in range(FRAGMENT_WORDS["a"])] + [b.load(0, i) for i in range(FRAGMENT_WORDS["b"])]
        T.evaluate(tirx.call_extern("int32", "edge_multiply", T.address_of(c.buffer[first]), *words))

    def sum_lanes(self, values: Fragment, width: int) -> None:
        # Lanes exchange values here: nothing may move or repeat the call, as it may one that is called pure.
        values.store(0, 0, bind(tirx.call_extern("int32", "edge_sum", values.load(0, 0), width)))

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        return tirx.call_pure_extern("int32", "edge_dot", activations, weights, acc)


class BlockTeam(_DeviceTeam):
    """The threads of one block; barriers are __syncthreads()."""

    def _saw(self, trips: int) -> None:
        pass

    def begin(self) -> None:
        pass

    def barrier(self) -> None:
        T.evaluate(T.tvm_storage_sync("shared"))

    def end(self) -> None:
        self.barrier()


class GridTeam(_DeviceTeam):
    """The threads of all blocks of a launch that are for one sample; a barrier is the end of the launch.

    Attributes:
        launches: launches of the step so far; `number` says which of them this one is.
        trips: threads that the widest loop could use.
    """

    def __init__(self, thread: Expr, threads: Expr, number: Expr, tiles_wanted: int) -> None:
        super().__init__(thread, threads, 1, const(1), tiles_wanted)
        self._number, self._frames = number, ExitStack()
        self.launches, self.trips = 0, 1

    def begin(self) -> None:
        wanted = tirx.EQ(self._number, const(self.launches))
        self.launches += 1
        self._frames.enter_context(T.If(wanted))
        self._frames.enter_context(T.Then())

    def barrier(self) -> None:
        self.end()
        self.begin()

    def end(self) -> None:
        self._frames.close()

    def _saw(self, trips: int) -> None:
        self.trips = max(self.trips, trips)


class LoopTeam(Team):
    """Loops in the places of threads, for a CPU.

    Args:
        backwards: the last thread comes first: code of which one thread needs another's results cannot hide.
    """

    def __init__(self, threads: int, samples: int, active: Expr, tiles_wanted: int, *, backwards: bool = False) -> None:
        super().__init__(threads, samples, active, tiles_wanted)
        self._backwards = backwards

    def _each_thread(self) -> ExitStack:
        frames = ExitStack()
        self._thread = self._loop(frames, self.threads)
        return frames

    def _saw(self, trips: int) -> None:
        pass

    def _each_warp(self) -> ExitStack:
        frames = ExitStack()
        self._warp = self._loop(frames, self.threads // WARP)
        return frames

    def _loop(self, frames: ExitStack, count: int) -> Expr:
        index = frames.enter_context(T.serial(0, count))
        return bind(const(count - 1) - index) if self._backwards else index

    @contextmanager
    def lanes(self) -> Iterator[Expr]:
        with ExitStack() as frames:
            yield self._loop(frames, WARP)

    def fragment(self, count: int) -> Fragment:
        return Fragment(T.alloc_buffer((WARP * count,), "int32", annotations=_NOT_LOWERED, align=64), count)

    def multiply(self, c: Fragment, first: int, a: Fragment, b: Fragment) -> None:
        multiply_all_lanes(c, first, a, b)

    def sum_lanes(self, values: Fragment, width: int) -> None:
        sums = self.fragment(1)
        with T.serial(0, WARP) as lane:
            sums.store(lane, 0, const(0))
            with T.serial(0, width) as other:
                added = values.load(tirx.truncdiv(lane, const(width)) * width + other, 0)
                sums.store(lane, 0, sums.load(lane, 0) + added)
        with T.serial(0, WARP) as lane:
            values.store(lane, 0, sums.load(lane, 0))

    def dot(self, acc: Expr, activations: Expr, weights: Expr) -> Expr:
        for index in range(4):
            byte = tirx.bitwise_and(tirx.shift_right(activations, const(8 * index)), const(0xFF))
            weight = tirx.shift_right(tirx.shift_left(weights, const(24 - 8 * index)), const(24))
            acc = acc + byte * weight
        return bind(acc)

    def begin(self) -> None:
        pass

    def barrier(self) -> None:
        pass

    def end(self) -> None:
        pass

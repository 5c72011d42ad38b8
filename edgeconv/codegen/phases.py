"""Code that several threads run together: phases with a barrier between, loops of which each thread takes a part.

A shared function is called once for every phase and thread, with an `edge_part` (edge_model.h): which samples, which
phases, and which part of every shared loop, in 1/2³². One thread that is told to take all phases and all parts computes
what an unshared function does. No thread waits for another inside the function: barriers are the caller's, between two
phases, so generated code knows nothing of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from edgeconv.codegen.tir import Expr, T, tirx

__all__ = ["Phases"]

_FIELDS = 6
_FRACTION_BITS = 32


class Phases:
    """The run-time argument `part` of a shared function, and the number of its phases so far.

    Attributes:
        first_sample, end_sample: loaded from it.
        count: phases begun.
    """

    def __init__(self, part: Expr) -> None:
        fields = T.decl_buffer((_FIELDS,), "int64", data=part)
        loaded = [T.Bind(fields[index]) for index in range(_FIELDS)]
        self.first_sample, self.end_sample, self._first, self._end, self._begin, self._stop = loaded
        self.count = 0
        self._frames = ExitStack()
        self._parallel = False

    def begin(self, *, parallel: bool) -> None:
        """Open a phase: for all threads, or for the first one alone."""
        number = tirx.const(self.count, "int64")
        self.count += 1
        self._parallel = parallel
        wanted = tirx.all(self._first <= number, number < self._end)
        self._enter(wanted if parallel else tirx.all(wanted, self._is_first))

    def end(self) -> None:
        """Close it."""
        self._frames.close()

    def barrier(self) -> None:
        """Begin another phase of the same step."""
        self.end()
        self.begin(parallel=self._parallel)

    @property
    def _is_first(self) -> Expr:
        return tirx.EQ(self._begin, tirx.const(0, "int64"))

    def _enter(self, condition: Expr) -> None:
        self._frames.enter_context(T.If(condition))
        self._frames.enter_context(T.Then())

    @contextmanager
    def shared(self, count: int) -> Iterator[Expr]:
        """A loop of which each thread takes a part; of one trip the first thread takes all."""
        if not self._parallel:
            if count == 1:
                yield 0
                return
            with T.serial(0, count) as index:
                yield index
            return
        if count == 1:
            with T.If(self._is_first), T.Then():
                yield 0
            return
        first, end = (T.Bind(self._scaled(count, bound)) for bound in (self._begin, self._stop))
        with T.serial(0, end - first) as index:
            yield T.Bind(first + index)

    @staticmethod
    def _scaled(count: int, bound: Expr) -> Expr:
        return tirx.shift_right(bound * count, tirx.const(_FRACTION_BITS, "int64")).astype("int32")

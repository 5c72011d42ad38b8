"""Continuous points through a loaded model in fixed memory: `edgeconv run --stream`, the twin of edge-run's."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from edgeconv.artifact.stream import STREAM_DTYPES, StreamSettings
from edgeconv.errors import InputError, UsageError
from edgeconv.runtime.files import refuse_nan
from edgeconv.runtime.runner import Runner

__all__ = ["StreamReport", "run_stream"]

_READ_BYTES = 1 << 16
_MOST_BATCH = 256
_BATCH_BYTES = 1 << 20


@dataclass(frozen=True)
class StreamReport:
    """What passed through: points read, windows answered, points after the last whole window, seconds."""

    points: int
    windows: int
    dropped: int
    seconds: float

    @property
    def points_per_second(self) -> float:
        """Throughput since the first byte came."""
        return self.points / self.seconds if self.seconds else 0.0


def run_stream(
    runner: Runner, settings: StreamSettings, source: str = "-", sink: str = "-", *, allow_nan: bool = False
) -> StreamReport:
    """Read points to the end of the stream and write a record for every window.

    Args:
        source, sink: files or pipes by path; "-" are the standard streams.
        allow_nan: NaN gives the zero point; otherwise it is refused.

    Raises:
        InputError: the stream ends inside a point, or with `partial` "error" inside a window; a value outside the
            input's type; NaN.
        UsageError: source or sink cannot be opened, or the reader of the sink has gone.
    """
    opened = [] if source == "-" else [_open(source, os.O_RDONLY)]
    reader = opened[0] if opened else sys.stdin.fileno()
    if sink == "-":
        sys.stdout.flush()
        writer = sys.stdout.fileno()
    else:
        writer = _open(sink, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        opened.append(writer)
    try:
        return _Stream(runner, settings, source, sink, allow_nan).run(reader, writer)
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags, 0o666)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


class _Stream:
    """Points not yet done with lie in `_rows` (channels, capacity); the first has index `_first` in the stream."""

    def __init__(self, runner: Runner, settings: StreamSettings, source: str, sink: str, allow_nan: bool) -> None:
        self._runner, self._settings, self._allow_nan = runner, settings, allow_nan
        self._source = "standard input" if source == "-" else source
        self._sink = "standard output" if sink == "-" else sink
        (self._tensor,) = runner.inputs
        order = ">" if settings.byte_order == "big" else "<"
        self._dtype = np.dtype(order + STREAM_DTYPES[settings.dtype])
        self._point_size = settings.channels * self._dtype.itemsize
        self._read_size = max(_READ_BYTES, self._point_size)
        capacity = 2 * settings.window + self._read_size // self._point_size
        self._rows = np.zeros((settings.channels, capacity), self._tensor.dtype)
        self._count = self._first = self._next = self._windows = 0
        per_sample = sum(prod(t.shape) * np.dtype(t.dtype).itemsize for t in (*runner.inputs, *runner.outputs))
        self._batch = max(1, min(_MOST_BATCH, _BATCH_BYTES // per_sample))

    def run(self, reader: int, writer: int) -> StreamReport:
        """Everything, to the end of the stream."""
        held, start, total = b"", 0.0, 0
        while True:
            self._make_room()
            room = min(self._read_size, (self._rows.shape[1] - self._count) * self._point_size)
            found = os.read(reader, room - len(held))
            if not found:
                break
            start = start or perf_counter()
            total += len(found)
            held = self._convert(held + found)
            self._run_whole_windows(writer)
        if held:
            at = self._first + self._count
            raise InputError(
                f"{self._source} ends inside point {at}, after {len(held)} of {self._point_size} bytes",
                expected=f"points of {self._settings.channels} × {self._settings.dtype}",
            )
        left = self._finish(writer)
        return StreamReport(total // self._point_size, self._windows, left, perf_counter() - start if start else 0.0)

    def _make_room(self) -> None:
        past = min(max(self._next - self._first, 0), self._count)
        if past:
            self._rows[:, : self._count - past] = self._rows[:, past : self._count].copy()
            self._first += past
            self._count -= past

    def _convert(self, data: bytes) -> bytes:
        """Whole points become values; what is left of the last one is given back."""
        there = len(data) // self._point_size
        points = np.frombuffer(data, self._dtype, there * self._settings.channels).reshape(there, -1)
        skipped = min(max(self._next - self._first - self._count, 0), there)
        if skipped:
            self._first += self._count + skipped
            self._count = 0
        self._check_range(points[skipped:])
        self._rows[:, self._count : self._count + there - skipped] = points[skipped:].T
        self._count += there - skipped
        return data[there * self._point_size :]

    def _check_range(self, points: NDArray[np.generic]) -> None:
        if self._tensor.bounds is None or not points.size:
            return
        lo, hi = self._tensor.bounds
        outside = (points < lo) | (points > hi)  # type: ignore[operator]
        if outside.any():
            at, channel = (int(index) for index in np.argwhere(outside)[0])
            raise InputError(
                f"{self._source}: point {self._first + self._count + at}, channel {channel}: {points[at, channel]}",
                expected=f"{lo} … {hi} ({self._tensor.type})",
            )

    def _run_whole_windows(self, writer: int) -> None:
        settings = self._settings
        while (past_first := self._first + self._count - self._next - settings.window) >= 0:
            number = min(past_first // settings.hop + 1, self._batch)
            begin = self._next - self._first
            windows = np.lib.stride_tricks.sliding_window_view(self._rows[:, : self._count], settings.window, axis=1)
            chosen = windows[:, begin : begin + (number - 1) * settings.hop + 1 : settings.hop]
            samples = np.ascontiguousarray(chosen.swapaxes(0, 1)).reshape(number, *self._tensor.shape)
            inputs = {self._tensor.name: samples}
            if not self._allow_nan:
                refuse_nan(inputs)
            self._write(writer, self._records(self._runner.run(inputs), number))
            self._windows += number
            self._next += number * settings.hop

    def _records(self, results: Mapping[str, NDArray[np.generic]], number: int) -> bytes:
        indices = np.arange(self._next, self._next + number * self._settings.hop, self._settings.hop, dtype="<i8")
        rows = [results[tensor.name].reshape(number, -1) for tensor in self._runner.outputs]
        if self._settings.record == "raw":
            parts = [row.view(np.uint8).reshape(number, -1) for row in rows]
            if self._settings.index:
                parts.insert(0, indices.view(np.uint8).reshape(number, -1))
            return np.concatenate(parts, axis=1).tobytes()
        lines = []
        for k in range(number):
            words = [str(indices[k])] if self._settings.index else []
            for row in rows:
                words += [f"{value:.9g}" if row.dtype.kind == "f" else str(value) for value in row[k].tolist()]
            lines.append(" ".join(words) + "\n")
        return "".join(lines).encode()

    def _write(self, writer: int, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(writer, rest) :]
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise UsageError(f"{self._sink} was closed by its reader after {self._windows} windows") from error
            raise UsageError(f"{self._sink}: {error.strerror}") from error

    def _finish(self, writer: int) -> int:
        """Deal with the points that no window covers; how many were dropped."""
        settings, total = self._settings, self._first + self._count
        covered = self._next - settings.hop + settings.window if self._windows else 0
        left = max(0, total - max(self._next, covered))
        if left and settings.partial == "error":
            raise InputError(f"{self._source}: {left} points after the last whole window")
        if not left or settings.partial == "drop":
            return left
        self._make_room()
        self._rows[:, self._count : settings.window] = 0
        self._count = settings.window
        self._run_whole_windows(writer)
        return 0

"""The exact cycle model: when each pass issues its words, and the delays that keep reads behind writes.

Cycles are counted from the one in which the network is started. hw/spec.py holds the few constants of the pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.hw.compiler.passes import Pass
from edgeconv.hw.spec import LANES, ArrayConfig, timing

__all__ = ["Schedule", "make_schedule"]

Ints = NDArray[np.int64]
_BLOCK = 1 << 16
"""Issued words that are looked at together."""


@dataclass(frozen=True)
class Schedule:
    """When passes run.

    Attributes:
        delays: cycles that each pass waits after its descriptor was taken.
        starts: cycle in which each pass issues its first word.
        cycles: what the accelerator's counter shows after the network: from the start to the last result in memory.
    """

    delays: tuple[int, ...]
    starts: tuple[int, ...]
    cycles: int


def make_schedule(passes: Sequence[Pass], config: ArrayConfig) -> Schedule:
    """The earliest schedule in which every byte is read after it was written.

    Buffers must have their addresses. Memory is reused without further care: a pass writes in the order of time, and
    all earlier passes have read by then.
    """
    times = timing(config)
    ready = np.full(config.activation_bytes, -1, np.int64)
    taken, end = 0, 0  # cycle in which the last descriptor was taken; cycle of the last word issued
    beats = 0  # writes of the last position before
    delays: list[int] = []
    starts: list[int] = []
    for each in passes:
        taken = max(taken + times.load, end) if delays else times.load
        # Its first position must not end before the last one of the pass before has been written.
        apart = end + beats - each.interval + 1 if delays else 0
        delay = max(0, max(_earliest_start(each, ready), apart) - taken - 1)
        start = taken + 1 + delay
        end = start + each.issue_cycles - 1
        delays.append(delay)
        starts.append(start)
        beats = each.last_beats
        _mark_writes(each, ready, start + times.hazard)
    return Schedule(tuple(delays), tuple(starts), end + times.drain - 1)


def _earliest_start(each: Pass, ready: Ints) -> int:
    """The first cycle for word 0 such that every word finds the bytes that it reads written."""
    needed = _needed(each)
    per_group = each.reads.positions * each.interval
    earliest = 0
    offsets = _run_offsets(each)
    bounds = _run_bounds(each)
    for group in range(each.groups):
        mask = needed[-1] if group == each.groups - 1 else needed[group % (len(needed) - 1)]
        base = each.reads.buffer.base + each.reads.base + group * each.reads.group_stride
        at_once = max(1, _BLOCK // max(1, each.interval))
        for first in range(0, each.reads.positions, at_once):
            positions = np.arange(first, min(first + at_once, each.reads.positions))
            address = base + positions[:, None, None] * each.reads.position_stride + offsets
            used = mask & (address >= bounds[0]) & (address < bounds[1])
            address = np.where(used, address, 0) % len(ready)
            slot = group * per_group + positions[:, None] * each.interval + np.arange(each.interval)
            late = np.where(used, ready[address], -1) - slot[:, :, None]
            earliest = max(earliest, int(late.max()))
    return earliest


def _needed(each: Pass) -> NDArray[np.bool_]:
    """Which lanes of which words matter, (groups or 1, plus one, words of a position, lanes).

    The last entry is that of the last group, which may have fewer channels; the others serve all groups in turn.
    """
    runs = each.weights[:, :, each.first_run : each.first_run + each.runs]
    if runs.shape[2] < each.runs:
        runs = np.repeat(runs, each.runs, axis=2)
    whole = _lanes(each, runs)
    last = each.last_channels
    elements = each.weights.shape[4]
    kept = runs.copy()
    if not each.nibbles or last < elements:
        kept[..., min(last, elements) :, :] = 0
    return np.concatenate([whole, _lanes(each, kept)[-1:]])


def _lanes(each: Pass, runs: NDArray[np.int8]) -> NDArray[np.bool_]:
    some = (runs != 0).any(axis=4)  # groups, planes, runs, words, lanes
    if some.shape[1] < each.planes:
        some = np.repeat(some, each.planes, axis=1)
    return some.reshape(len(some), each.interval, LANES)


def _run_offsets(each: Pass) -> Ints:
    """Byte offset of each lane of each word of a position: (words, lanes)."""
    reads = each.reads
    run_stride = run_distance(each)
    planes = np.arange(each.planes)[:, None, None, None] * reads.plane_stride
    runs = np.arange(each.runs)[:, None, None] * run_stride
    words = np.arange(each.words)[:, None] * LANES
    return (planes + runs + words + np.arange(LANES)).reshape(each.interval, LANES)


def _run_bounds(each: Pass) -> tuple[Ints, Ints]:
    lo, hi = absolute_bounds(each)
    moves = np.arange(each.planes)[:, None, None] * each.reads.plane_stride
    moves = moves + np.arange(each.runs)[:, None] * each.reads.bound_run_stride
    moves = np.broadcast_to(moves, (each.planes, each.runs, each.words)).reshape(each.interval, 1)
    return lo + moves, hi + moves


def run_distance(each: Pass) -> int:
    """Bytes from a run to the next, across buffers where the second run lies in another one."""
    reads = each.reads
    if reads.second is None:
        return reads.run_stride
    return reads.second.base + reads.second_base - reads.buffer.base - reads.base


def absolute_bounds(each: Pass) -> tuple[int, int]:
    """The bytes [lo, hi) that count; a pass without padding counts all."""
    if each.reads.bound is None:
        return -(1 << 18), 1 << 18
    base = each.reads.buffer.base
    return base + each.reads.bound[0], base + each.reads.bound[1]


def _mark_writes(each: Pass, ready: Ints, after: int) -> None:
    """Note for each byte that the pass writes when it can be read."""
    if each.writes.buffer is None:
        return
    base = each.writes.buffer.base + each.writes.base
    positions = np.arange(each.reads.positions)
    for group in range(each.groups):
        count = each.last_channels if group == each.groups - 1 else each.group_size
        channels = np.arange(count)
        address = base + positions[:, None] * each.writes.position_stride + group * each.group_size + channels
        last_word = (group * each.reads.positions + positions + 1) * each.interval - 1
        ready[address] = last_word[:, None] + channels // each.beat + after

"""Words of a sample port, the same for every simulation that has one (stream.h has them for the models)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["EVENT_LAST", "EVENT_READY", "SAMPLE_VALID", "TRIGGER", "event_rows", "feed_words"]

SAMPLE_VALID, TRIGGER, EVENT_READY = 1 << 16, 1 << 17, 1 << 18
"""Of a word that is fed, above its sample; EVENT_READY: a word of an event is taken."""
EVENT_LAST = 1 << 32
"""Of a word that comes out: the last one of its event."""


def feed_words(feed: Callable[[int, int, int, int], int], words: NDArray[np.uint32], most: int) -> NDArray[np.uint64]:
    """Feed a port, a word for each cycle of the array's clock; the words of the events that came out.

    Args:
        feed: the model's function: number and address of the words, address and number of those that come out at most;
            returns how many came out.
        words: a sample, with SAMPLE_VALID, TRIGGER and EVENT_READY where they hold.
        most: words of events.

    Returns:
        words with EVENT_LAST at the last one of each event.
    """
    words = np.ascontiguousarray(words, np.uint32)
    events = np.empty(most, np.uint64)
    count = feed(len(words), words.ctypes.data, events.ctypes.data, most)
    return events[:count]


def event_rows(words: NDArray[np.uint64]) -> list[NDArray[np.uint32]]:
    """The words of each event, of those that a port gave; the last row is of one that is not at its end, if any is."""
    ends = np.flatnonzero(words & EVENT_LAST) + 1
    rows = np.split((words & 0xFFFFFFFF).astype(np.uint32), ends)
    return [row for row in rows if len(row)]

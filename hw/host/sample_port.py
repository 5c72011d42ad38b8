"""The sample port: samples stream in beside the host, and what the network finds in each window comes out as events."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import DeviceError
from edgeconv.hw.compiler.image import NetworkImage, OutputPlace
from edgeconv.hw.host.board import Board
from edgeconv.hw.soc.spec import EVENT_HEADER, MOST_PAYLOAD, MOST_WINDOW, Operation, StreamFlag
from edgeconv.hw.spec import LANES

__all__ = ["Counters", "Event", "SamplePort", "event_values", "read_event"]

_TRIGGER = 1 << 16
_MOST_VALUES = MOST_PAYLOAD // 4 - 3 - len(EVENT_HEADER)
"""Results of an event that fits an answer, behind the counters."""


@dataclass(frozen=True)
class Event:
    """What the network found around a trigger.

    Attributes:
        trigger: its number since the port was turned on; lost triggers have numbers, too.
        time: cycles of the array's clock since reset, at the trigger.
        cycles: of the array for this window.
        outputs: integers (1, *shape) by name, as the array gives them.
    """

    trigger: int
    time: int
    cycles: int
    outputs: dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Counters:
    """Triggers that the port has seen, and of them those that it lost: a window was open, or all slots were full."""

    triggers: int
    lost_open: int
    lost_full: int


class SamplePort:
    """The sample port of a board with a network, which has one input: the window.

    Raises:
        DeviceError: the network is none for the port; says why.
    """

    def __init__(self, board: Board) -> None:
        self._board, self._image = board, board.image
        if len(self._image.inputs) != 1:
            names = ", ".join(place.name for place in self._image.inputs)
            raise DeviceError(f"the network has the inputs {names}", expected="one, the window of samples")
        self._samples = prod(self._image.inputs[0].shape)
        if self._samples > MOST_WINDOW:
            raise DeviceError(f"a window of {self._samples} samples", expected=f"{MOST_WINDOW} at most")
        self._values = event_values(self._image)

    def start(self, before: int = 0, to_host: bool = True) -> None:
        """Turn the port on.

        Args:
            before: samples of a window that are earlier than the trigger's.
            to_host: events wait for `events`, in a memory of 512 words; else they leave through the event pins.

        Raises:
            DeviceError: the board refuses; says why.
        """
        if to_host and self._values > _MOST_VALUES:
            raise DeviceError(
                f"an event has {self._values} results",
                expected=f"{_MOST_VALUES} at most over the serial line",
                advice="take events from the pins: to_host=False",
            )
        place = self._image.inputs[0]
        low = place.base + (place.planes - 1) * place.plane_bytes
        flags = (StreamFlag.TWO_BYTES if place.planes == 2 else 0) | (StreamFlag.TO_HOST if to_host else 0)
        words = (self._samples, before, place.offset, low, place.base, self._values, flags)
        self._board.request(Operation.STREAM, struct.pack(f"<{len(words)}I", *words))

    def give(self, samples: NDArray[Any], triggers: Sequence[int] = ()) -> None:
        """Samples from the host, as if they came through the pins; each index of `triggers` comes with a trigger.

        Args:
            samples: integers of up to 16 bits.
        """
        words = samples.astype(np.int64) & 0xFFFF
        words[list(triggers)] |= _TRIGGER
        for first in range(0, len(words), MOST_PAYLOAD // 4):
            part = words[first : first + MOST_PAYLOAD // 4].astype("<u4")
            self._board.request(Operation.SAMPLES, part.tobytes())

    def events(self) -> list[Event]:
        """The events that wait, as many as fit an answer."""
        words = np.frombuffer(self._board.request(Operation.EVENTS), "<u4")[3:]
        size = len(EVENT_HEADER) + self._values
        return [self.event(row) for row in words.reshape(-1, size)]

    def counters(self, stop: bool = False) -> Counters:
        """The port's counters; with `stop` it is turned off, and windows that it has are still computed."""
        payload = self._board.request(Operation.STOP if stop else Operation.EVENTS)
        return Counters(*struct.unpack_from("<3I", payload))

    def event(self, words: NDArray[np.uint32]) -> Event:
        """The event of its words, whichever way it came."""
        return read_event(self._image, words)


def read_event(image: NetworkImage, words: NDArray[np.uint32]) -> Event:
    """The event of its words, as the port of an array with this network makes them."""
    values = event_values(image)
    trigger, low, high, cycles = words[: len(EVENT_HEADER)].tolist()
    results = np.zeros((1, image.result_words * LANES), np.int32)
    results[0, :values] = words[len(EVENT_HEADER) :].astype(np.uint32).view(np.int32)
    return Event(trigger, high << 32 | low, cycles, image.output_arrays(results))


def event_values(image: NetworkImage) -> int:
    """Results of an event: all up to the last one that an output has."""
    return max(_end(place) for place in image.outputs)


def _end(place: OutputPlace) -> int:
    channels = place.shape[place.channel_axis]
    return place.base + (prod(place.shape) // channels - 1) * place.stride + channels

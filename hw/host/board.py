"""A board: networks loaded and samples run through the protocol of docs/soc.md."""

from __future__ import annotations

import secrets
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import DeviceError
from edgeconv.hw.compiler.image import ArrayRun, InputPlace, NetworkImage
from edgeconv.hw.host.frames import Frame, frame_from_bytes
from edgeconv.hw.host.transport import Transport
from edgeconv.hw.soc.spec import (
    IDENT,
    MOST_PAYLOAD,
    MOST_SEGMENTS,
    REASONS,
    REPLY,
    Operation,
    Reason,
)
from edgeconv.hw.spec import LANES, ArrayConfig

__all__ = ["Board", "BoardFacts"]

_WORDS = MOST_PAYLOAD // 4
_BATCH = (MOST_PAYLOAD - 16) // 8
_MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class BoardFacts:
    """What a board says of itself.

    Attributes:
        config: its array.
        cpu_hz: clock of its processor.
        network: id of the network that is loaded, 0 for none.
        restarts: of its processor since it was turned on.
        lost_bytes: that came faster than they were read.
        most_window: samples of a window of its sample port.
    """

    config: ArrayConfig
    cpu_hz: int
    network: int
    restarts: int
    lost_bytes: int
    most_window: int


class Board:
    """The far end of a line of bytes.

    A request that is not answered is sent again; the board does each one once. Results are taken only from the answer
    that carries the request's own id and a right checksum.

    Attributes:
        sent, received: bytes on the line so far.

    Args:
        seconds: that an answer may take.
        attempts: how often a request is sent before the board is given up.
    """

    def __init__(self, transport: Transport, seconds: float = 1.0, attempts: int = 8) -> None:
        self._transport, self._seconds, self._attempts = transport, seconds, attempts
        self._id = secrets.randbits(32)
        self._buffer = bytearray()
        self.sent = self.received = 0
        self._image: NetworkImage | None = None

    def close(self) -> None:
        """Let go of the line."""
        self._transport.close()

    def facts(self) -> BoardFacts:
        """Ask the board who it is.

        Raises:
            DeviceError: nobody answers, or something else than this system does.
        """
        words = self._words(self.request(Operation.HELLO), 10)
        if words[0] != IDENT:
            raise DeviceError(
                f"{self._transport.name}: the system calls itself 0x{words[0]:08x}", expected=f"0x{IDENT:08x}"
            )
        config = ArrayConfig(
            elements=words[1] & 0xFF,
            activation_bytes=words[2],
            weight_words=words[3] & 0xFFFF,
            parameter_words=words[3] >> 16,
            tables=words[1] >> 8 & 0x1F,
            result_words=words[4] & 0xFFFF,
            descriptors=words[1] >> 16,
            beat=LANES - (words[1] >> 13 & 7),
        )
        return BoardFacts(config, words[5], words[6], words[7], words[8] & 0xFFFF, words[4] >> 16)

    def load(self, image: NetworkImage) -> None:
        """Load a network, unless the board has it already.

        Raises:
            DeviceError: the board has another array, or does not take it.
        """
        facts, network = self.facts(), network_id(image)
        if facts.config != image.config:
            raise DeviceError(
                f"{self._transport.name} has the array {facts.config}",
                expected=str(image.config),
                advice="compile the model for the board's configuration",
            )
        self._image = image
        if facts.network == network:
            return
        segments = [segment for place in image.inputs for segment in _segments(place)]
        if len(segments) > MOST_SEGMENTS:
            raise DeviceError(f"the inputs have {len(segments)} parts", expected=f"{MOST_SEGMENTS} at most")
        self._send(
            Operation.BEGIN,
            *(network, len(image.writes), image.result_words, image.cycles, len(segments)),
            *(value for segment in segments for value in segment),
        )
        for first, count, step in bus_runs(image.writes):
            part = image.writes[first : first + count]
            header = (first, int(part["select"][0]), int(part["address"][0]), step & _MASK)
            self._send(Operation.WRITE, *header, data=np.ascontiguousarray(part["data"]).tobytes())
        self._send(Operation.END, len(image.writes))

    @property
    def image(self) -> NetworkImage:
        """The network that was loaded.

        Raises:
            DeviceError: none was.
        """
        if self._image is None:
            raise DeviceError(f"no network was loaded into {self._transport.name}", advice="load one first")
        return self._image

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> ArrayRun:
        """Run samples one after the other.

        Args:
            inputs: integers (n, *shape) by name, of what the array reads.

        Raises:
            DeviceError: no network is loaded, or the board failed.
        """
        image = self.image
        _, words = image.input_words(inputs)
        total = image.result_words * LANES
        results = np.empty((len(words), total), np.int32)
        cycles = np.empty(len(words), np.uint32)
        for sample, row in enumerate(words):
            reply = self._run_one(row, min(total, _WORDS - 1))
            cycles[sample] = np.frombuffer(reply[:4], "<u4")[0]
            found = len(reply) // 4 - 1
            results[sample, :found] = np.frombuffer(reply[4:], "<i4")
            while found < total:
                count = min(total - found, _WORDS)
                more = self._send(Operation.RESULTS, found, count)
                self._check_length(more, count)
                results[sample, found : found + count] = np.frombuffer(more, "<i4")
                found += count
        return ArrayRun(image.output_arrays(results), cycles)

    def self_test(self, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> int:
        """Run samples and let the board compare; the number of results that differ.

        Args:
            inputs, outputs: integers (n, *shape) by name, of what the array reads and writes.

        Raises:
            DeviceError: as for `run`.
        """
        image = self.image
        _, words = image.input_words(inputs)
        different = 0
        for sample, row in enumerate(words):
            self._run_one(row, min(image.result_words * LANES, _WORDS - 1))
            for place in image.outputs:
                channels = place.shape[place.channel_axis]
                values = np.moveaxis(outputs[place.name][sample], place.channel_axis, -1).reshape(-1, channels)
                rows = (_WORDS - 3) // channels
                if rows == 0:
                    raise DeviceError(
                        f"'{place.name}' has {channels} channels", expected=f"{_WORDS - 3} for a self-test"
                    )
                for first in range(0, len(values), rows):
                    header = (place.base + first * place.stride, place.stride, channels)
                    data = np.ascontiguousarray(values[first : first + rows], "<i4").tobytes()
                    different += self._words(self._send(Operation.COMPARE, *header, data=data), 3)[0]
        return different

    def request(self, operation: Operation, payload: bytes = b"") -> bytes:
        """Send a request until it is answered; the answer's payload.

        Raises:
            DeviceError: it was refused, or not answered in time.
        """
        self._id = (self._id + 1) & _MASK or 1
        frame = Frame(operation, self._id, payload).to_bytes()
        for _ in range(self._attempts):
            self._transport.write(frame)
            self.sent += len(frame)
            reply = self._await(self._id)
            if reply is None:
                continue
            if reply.operation == operation | REPLY:
                return reply.payload
            if reply.operation == Operation.REFUSED | REPLY and len(reply.payload) == 8:
                reason, detail = struct.unpack("<II", reply.payload)
                raise self._refused(operation, reason, detail)
            raise DeviceError(f"{self._transport.name} answers {operation.name} with operation {reply.operation}")
        raise DeviceError(
            f"{self._transport.name} does not answer: {operation.name} was sent {self._attempts} times",
            advice="check port, speed and bitstream; reset the board",
        )

    def _await(self, request: int) -> Frame | None:
        """The reply to a request; None where it was lost or damaged, or the request was."""
        end = monotonic() + self._seconds * 10  # of a line that never falls silent
        while monotonic() < end:
            while b"\0" in self._buffer:
                piece, _, rest = self._buffer.partition(b"\0")
                self._buffer = bytearray(rest)
                frame = frame_from_bytes(bytes(piece)) if piece else None
                if frame is not None and frame.request == request:
                    return frame
                if piece and (frame is None or frame.request == 0):
                    return None
            data = self._transport.read(self._seconds)
            if not data:
                self._buffer.clear()
                return None
            self._buffer += data
            self.received += len(data)
        return None

    def _run_one(self, row: NDArray[np.uint64], results: int) -> bytes:
        for first in range(0, max(len(row), 1), _BATCH):
            part = row[first : first + _BATCH]
            last = first + len(part) == len(row)
            reply = self._send(Operation.RUN if last else Operation.INPUT, first, data=part.tobytes())
        self._check_length(reply, 1 + results)
        return reply

    def _send(self, operation: Operation, *words: int, data: bytes = b"") -> bytes:
        return self.request(operation, struct.pack(f"<{len(words)}I", *words) + data)

    def _words(self, payload: bytes, count: int) -> tuple[int, ...]:
        self._check_length(payload, count)
        return struct.unpack(f"<{count}I", payload)

    def _check_length(self, payload: bytes, words: int) -> None:
        if len(payload) != 4 * words:
            raise DeviceError(f"{self._transport.name} answers with {len(payload)} bytes", expected=f"{4 * words}")

    def _refused(self, operation: Operation, reason: int, detail: int) -> DeviceError:
        known = next((each for each in Reason if each == reason), None)
        name, meaning = (known.name, REASONS[known]) if known else (str(reason), "a reason of another version")
        return DeviceError(f"{self._transport.name} refuses {operation.name}: {name} ({detail})", advice=meaning)


def network_id(image: NetworkImage) -> int:
    """A number for a network that is not 0."""
    return zlib.crc32(image.to_bytes()) or 1


def bus_runs(writes: NDArray[np.void]) -> Iterator[tuple[int, int, int]]:
    """Bus writes as runs of one memory and equally spaced addresses: first, count, step; each fits a frame."""
    select, address = writes["select"].astype(np.int64), writes["address"].astype(np.int64)
    first = 0
    while first < len(writes):
        last = min(first + _BATCH, len(writes))
        step = int(address[first + 1] - address[first]) if first + 1 < last else 0
        count = 1
        while first + count < last:
            here = first + count
            if select[here] != select[first] or address[here] - address[here - 1] != step:
                break
            count += 1
        yield first, count, step
        first += count


def _segments(place: InputPlace) -> Iterator[tuple[int, int]]:
    for plane in range(place.planes):
        yield place.base + plane * place.plane_bytes, place.plane_bytes // LANES

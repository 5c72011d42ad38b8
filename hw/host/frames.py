"""Frames on the serial line (docs/soc.md): a header, a payload and a CRC-32, in COBS between zero bytes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from edgeconv.hw.soc.spec import FRAME_CHECKSUM, FRAME_HEADER, FRAME_OVERHEAD, MOST_PAYLOAD, PROTOCOL

__all__ = ["Frame", "cobs_decode", "cobs_encode", "frame_from_bytes"]

_LETTERS = {1: "B", 2: "H", 4: "I"}  # struct's, for integers of so many bytes
_HEADER = struct.Struct("<" + "".join(_LETTERS[size] for size, _ in FRAME_HEADER))
_CHECKSUM = struct.Struct("<" + _LETTERS[FRAME_CHECKSUM[0]])


@dataclass(frozen=True)
class Frame:
    """One frame: operation, request id, payload of whole words."""

    operation: int
    request: int
    payload: bytes
    version: int = PROTOCOL

    def to_bytes(self) -> bytes:
        """As it goes over the line, zero bytes at both ends included.

        A zero in front ends whatever was on the line before, so that garbage costs no frame.
        """
        if len(self.payload) > MOST_PAYLOAD:
            raise ValueError(f"{len(self.payload)} bytes of payload, {MOST_PAYLOAD} at most")
        body = _HEADER.pack(self.version, self.operation, len(self.payload), self.request) + self.payload
        return b"\0" + cobs_encode(body + _CHECKSUM.pack(zlib.crc32(body))) + b"\0"


def frame_from_bytes(data: bytes) -> Frame | None:
    """The frame that stands between two zero bytes; None where it is damaged or none."""
    body = cobs_decode(data)
    if body is None or len(body) < FRAME_OVERHEAD:
        return None
    content, (checksum,) = body[: -_CHECKSUM.size], _CHECKSUM.unpack(body[-_CHECKSUM.size :])
    version, operation, length, request = _HEADER.unpack_from(content)
    payload = content[_HEADER.size :]
    if zlib.crc32(content) != checksum or len(payload) != length or version != PROTOCOL:
        return None
    return Frame(operation, request, payload, version)


def cobs_encode(data: bytes) -> bytes:
    """Bytes without zeros: each block is its length and up to 254 bytes, and stands for them with a zero behind."""
    blocks = bytearray()
    for piece in data.split(b"\0"):
        at = 0
        while len(piece) - at >= 254:
            blocks += b"\xff" + piece[at : at + 254]
            at += 254
        blocks += bytes([len(piece) - at + 1]) + piece[at:]
    return bytes(blocks)


def cobs_decode(data: bytes) -> bytes | None:
    """What was encoded; None where a block is cut short or a zero stands inside."""
    found = bytearray()
    at, zero_due = 0, False
    while at < len(data):
        length = data[at]
        block = data[at + 1 : at + length]
        if length == 0 or len(block) != length - 1 or 0 in block:
            return None
        if zero_due:
            found.append(0)
        found += block
        zero_due = length != 255
        at += length
    return bytes(found)

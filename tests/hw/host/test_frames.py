"""Frames: what goes over the line, and what is not taken for a frame."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeconv.hw.host.frames import Frame, cobs_decode, cobs_encode, frame_from_bytes
from edgeconv.hw.soc.spec import MOST_PAYLOAD

BYTES = st.binary(max_size=600) | st.lists(st.sampled_from([0, 1, 254, 255]), max_size=800).map(bytes)


@given(BYTES)
def test_cobs_has_no_zeros_and_gives_back_what_went_in(data: bytes) -> None:
    encoded = cobs_encode(data)
    assert 0 not in encoded
    assert cobs_decode(encoded) == data


@pytest.mark.parametrize(
    ("data", "encoded"),
    [
        (b"", b"\x01"),
        (b"\0", b"\x01\x01"),
        (b"\x11\x22\0\x33", b"\x03\x11\x22\x02\x33"),
        (b"\x07" * 254, b"\xff" + b"\x07" * 254 + b"\x01"),
        (b"\x07" * 255, b"\xff" + b"\x07" * 254 + b"\x02\x07"),
    ],
)
def test_cobs_by_example(data: bytes, encoded: bytes) -> None:
    assert cobs_encode(data) == encoded


@pytest.mark.parametrize("data", [b"\x05\x01\x02", b"\x03\x01\0", b"\0"])
def test_what_is_no_cobs_is_nothing(data: bytes) -> None:
    assert cobs_decode(data) is None


def test_a_frame_is_header_payload_and_checksum_between_zeros() -> None:
    body = b"\x01\x06\x04\x00\x78\x56\x34\x12\x0a\x0b\x0c\x0d"
    line = Frame(6, 0x12345678, b"\x0a\x0b\x0c\x0d").to_bytes()
    assert (line[0], line[-1]) == (0, 0)
    assert cobs_decode(line[1:-1]) == body + zlib.crc32(body).to_bytes(4, "little")


@given(st.integers(1, 127), st.integers(0, 2**32 - 1), st.binary(max_size=300), st.data())
def test_a_frame_with_any_changed_byte_is_none(
    operation: int, request: int, payload: bytes, data: st.DataObject
) -> None:
    frame = Frame(operation, request, payload)
    line = bytearray(frame.to_bytes()[1:-1])
    assert frame_from_bytes(bytes(line)) == frame
    place = data.draw(st.integers(0, len(line) - 1))
    line[place] ^= data.draw(st.integers(1, 255))
    assert frame_from_bytes(bytes(line)) is None


@given(st.binary(max_size=100))
def test_garbage_is_no_frame(data: bytes) -> None:
    assert frame_from_bytes(data) is None


def test_a_payload_has_a_limit() -> None:
    assert len(Frame(1, 2, bytes(MOST_PAYLOAD)).to_bytes()) > MOST_PAYLOAD
    with pytest.raises(ValueError, match="1024 at most"):
        Frame(1, 2, bytes(MOST_PAYLOAD + 1)).to_bytes()

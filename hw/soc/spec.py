"""The one definition of the system's registers and of the protocol between host and firmware.

The SystemVerilog package (hw/soc/rtl/soc_pkg.sv), the C header (hw/include/edge_soc.h) and the tables of docs/soc.md
are generated from it by `python -m edgeconv.hw.export`; a test holds them equal.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

__all__ = [
    "ARRAY_BASE",
    "ARRAY_REGISTERS",
    "EVENT_HEADER",
    "FRAME_CHECKSUM",
    "FRAME_HEADER",
    "FRAME_OVERHEAD",
    "IDENT",
    "MOST_BEFORE",
    "MOST_PAYLOAD",
    "MOST_SEGMENTS",
    "MOST_WINDOW",
    "PROTOCOL",
    "REPLY",
    "SLOTS",
    "SYSTEM_BASE",
    "SYSTEM_REGISTERS",
    "Operation",
    "Reason",
    "Register",
    "StreamFlag",
]

IDENT = 0x45444731
"""What the system's first register reads: EDG1, the version of this map."""
SYSTEM_BASE = 0x1000_0000
"""Registers in the processor's clock domain."""
ARRAY_BASE = 0x2000_0000
"""Registers in the array's clock domain, behind the crossing."""
MOST_WINDOW = 1024
"""Samples of a window that the sample port takes."""
MOST_BEFORE = 255
"""Of them before the trigger's: the port remembers 256."""
SLOTS = 4
"""Windows that the sample port holds: one is taken while others wait or are computed."""
EVENT_HEADER = ("trigger number", "time, low word", "time, high word", "cycles of the array")
"""Words before the results of an event. Time is the array's clock cycles since reset, at the trigger."""


class StreamFlag(IntFlag):
    """Bits of the register `stream`."""

    ON = 1
    TWO_BYTES = 2
    TO_HOST = 4


@dataclass(frozen=True)
class Register:
    """A register of 32 bits; `access` is r, w or rw, `offset` in bytes from the base."""

    name: str
    offset: int
    access: str
    meaning: str


SYSTEM_REGISTERS: tuple[Register, ...] = (
    Register("ident", 0x00, "r", f"0x{IDENT:08x}"),
    Register("cpu_hz", 0x04, "r", "the processor's clock"),
    Register("timer", 0x08, "r", "cycles of the processor's clock since reset; wraps"),
    Register(
        "uart_data", 0x0C, "rw", "read: a received byte, which is taken, or bit 31 where there is none; write: send"
    ),
    Register("uart_status", 0x10, "r", "bit 0: a byte is being sent; bits 31…16: received bytes that wait"),
    Register("uart_divider", 0x14, "rw", "cycles of a bit, less 1"),
    Register("uart_faults", 0x18, "r", "bits 15…0: bytes lost because too many waited; bits 31…16: stop bits missing"),
    Register("leds", 0x1C, "rw", "bits 7…0: lights of the board"),
    Register("restarts", 0x20, "r", "how often the processor trapped and was started again"),
    Register(
        "watchdog",
        0x24,
        "w",
        "the processor is started again in so many of its cycles unless this is written; 0: never",
    ),
)

ARRAY_REGISTERS: tuple[Register, ...] = (
    Register(
        "sizes_0",
        0x00,
        "r",
        "bits 7…0: processing elements; 12…8: tables; 15…13: 8 less the results of a beat; 31…16: descriptors",
    ),
    Register("sizes_1", 0x04, "r", "bytes of activation memory"),
    Register("sizes_2", 0x08, "r", "bits 15…0: weight words of an element; 31…16: parameter words"),
    Register("sizes_3", 0x0C, "r", "bits 15…0: words of 8 results; 31…16: samples of a window at most"),
    Register("bus_select", 0x10, "rw", "memory that the next bus writes go to"),
    Register("bus_address", 0x14, "rw", "address of the next bus write"),
    Register("bus_step", 0x18, "rw", "added to bus_address after each bus write"),
    Register("bus_low", 0x1C, "rw", "low word of the data"),
    Register("bus_high", 0x20, "w", "high word of the data; writing it makes the bus write"),
    Register("status", 0x24, "r", "bit 0: the array works; bit 1: the sample port is on, or has windows left"),
    Register("cycles", 0x28, "r", "of the network that runs or ran last"),
    Register("reset", 0x2C, "w", "any value: array and sample port are reset, memories keep what they hold"),
    Register("result_address", 0x30, "rw", "word of 8 results"),
    *(Register(f"result_{i}", 0x40 + 4 * i, "r", f"result {i} of that word") for i in range(8)),
    Register("window_samples", 0x60, "rw", f"samples of a window, 1…{MOST_WINDOW}"),
    Register("window_before", 0x64, "rw", f"of them before the trigger's, 0…{MOST_BEFORE}"),
    Register("sample_offset", 0x68, "rw", "added to each sample to make it unsigned, 16 bits"),
    Register("place_low", 0x6C, "rw", "activation memory: first byte of the samples' low bytes"),
    Register("place_high", 0x70, "rw", "the same of their high bytes"),
    Register("event_values", 0x74, "rw", "results of an event, the first of the result memory"),
    Register(
        "stream",
        0x78,
        "rw",
        "bit 0: on, clears the counters; bit 1: samples have high bytes; bit 2: events to the processor",
    ),
    Register("sample", 0x7C, "w", "bits 15…0: a sample, as if it came through the pins; bit 16: with a trigger"),
    Register("triggers", 0x80, "r", "seen since the port was turned on"),
    Register("lost_open", 0x84, "r", "of them lost: a window was open, or too few samples were there before it"),
    Register("lost_full", 0x88, "r", "of them lost: all slots were full"),
    Register("event_level", 0x8C, "r", "words of events that wait for the processor"),
    Register("event_data", 0x90, "r", "the next one, which is taken"),
)

# --- protocol ------------------------------------------------------------------------------------------------------

PROTOCOL = 1
"""Version in every frame."""
MOST_PAYLOAD = 1024
"""Bytes; whole words of 4."""
REPLY = 0x80
"""Added to the operation of a request that was done."""
FRAME_HEADER = (
    (1, f"version: {PROTOCOL}"),
    (1, f"operation; an answer has {REPLY} added"),
    (2, f"bytes of the payload, {MOST_PAYLOAD:,} at most, whole words of 4"),
    (4, "request id"),
)
"""Bytes and meaning of each field, little-endian; the payload follows."""
FRAME_CHECKSUM = (4, "CRC-32 (IEEE 802.3, as zlib's) of everything before")
"""The same of what ends a frame."""
FRAME_OVERHEAD = sum(size for size, _ in (*FRAME_HEADER, FRAME_CHECKSUM))
"""Bytes of a frame beside its payload."""
MOST_SEGMENTS = 16
"""Pieces of activation memory that inputs go to."""


class Operation(IntEnum):
    """What a request asks for."""

    HELLO = 1
    BEGIN = 2
    WRITE = 3
    END = 4
    INPUT = 5
    RUN = 6
    RESULTS = 7
    COMPARE = 8
    STREAM = 9
    EVENTS = 10
    STOP = 11
    SAMPLES = 12
    REFUSED = 0x7F


class Reason(IntEnum):
    """Why a request was refused."""

    CHECKSUM = 1
    VERSION = 2
    LENGTH = 3
    OPERATION = 4
    STATE = 5
    RANGE = 6
    ARRAY = 7
    TOO_LONG = 8
    INTERRUPTED = 9


OPERATIONS: dict[Operation, tuple[str, str, str]] = {
    Operation.HELLO: (
        "who is there",
        "",
        "ident, sizes_0…3, cpu_hz, network id (0: none), restarts, bytes lost, most payload",
    ),
    Operation.BEGIN: (
        "a network comes",
        "network id, bus writes, result words, cycles, segments, then base and words of each",
        "",
    ),
    Operation.WRITE: ("bus writes", "position, select, address, step, then data of 8 bytes each", ""),
    Operation.END: ("the network is complete", "bus writes", ""),
    Operation.INPUT: ("part of a sample", "first word of 8 bytes, then words", ""),
    Operation.RUN: ("the rest of a sample; run", "first word of 8 bytes, then words", "cycles, then the first results"),
    Operation.RESULTS: ("more results", "first result, count", "results"),
    Operation.COMPARE: (
        "self-test",
        "first result, stride of a position, channels, then results expected",
        "how many differ, first that does, what was found",
    ),
    Operation.STREAM: (
        "turn the sample port on",
        "samples, before, offset, low place, high place, values, bits 1 and 2 of stream",
        "",
    ),
    Operation.EVENTS: ("events that wait", "", "triggers, lost_open, lost_full, then whole events"),
    Operation.STOP: ("turn the sample port off", "", "triggers, lost_open, lost_full"),
    Operation.SAMPLES: ("samples from the host", "one in each word, as register `sample` takes them", ""),
    Operation.REFUSED: ("(reply) refused", "", "reason, detail; id 0 where the request could not be read"),
}
"""What is done, words of the request, words of the reply."""
REASONS: dict[Reason, str] = {
    Reason.CHECKSUM: "the frame was damaged",
    Reason.VERSION: "another version of the protocol; detail: the firmware's",
    Reason.LENGTH: "the payload does not have the length of the operation",
    Reason.OPERATION: "there is no such operation",
    Reason.STATE: "out of turn: no network, a gap between parts, or the sample port is on; detail: what was expected",
    Reason.RANGE: "a value is out of bounds; detail: the value",
    Reason.ARRAY: "the array did not end in time and was reset; detail: its cycles",
    Reason.TOO_LONG: "the frame is longer than any can be",
    Reason.INTERRUPTED: "the frame stopped in the middle",
}

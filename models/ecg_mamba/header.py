"""WFDB header files, read strictly: every field is what the format says it is, or the reason why not is given.

The format is header(5) of the WFDB Applications Guide. The package wfdb reads it with patterns in which every field is
optional: a gain of "1O00/mV" becomes a gain of 1, a lost field shifts the ones after it, and the result is a wrong
signal without a word. Hence this reader; tests hold it to wfdb on valid headers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeconv.errors import InputError

__all__ = ["MILLIVOLTS", "Header", "SignalSpec", "parse_header", "read_file", "signal_files"]

# Electrocardiographs sample at 100 to 2000 Hz; anything far outside is no ECG or a damaged field.
_RATES_HZ = (50.0, 10_000.0)
# ADC units per unit of measurement, once that unit is a millivolt: 1 mV to 1 nV per count.
_GAINS = (1.0, 1e6)
_MAX_HEADER_BYTES = 1_000_000
_MAX_SIGNALS = 64

_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")
_COUNT = re.compile(r"[0-9]{1,10}")
_NUMBER = re.compile(r"[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]{1,2})?")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_FILE = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_RATE = re.compile(r"(?P<rate>[^/(]+)(/[^/(]+(\([^()]*\))?)?")
_FORMAT = re.compile(r"(?P<format>[0-9]{1,3})(x(?P<per_frame>[0-9]+))?(:(?P<skew>[0-9]+))?(\+(?P<offset>[0-9]{1,6}))?")
_GAIN = re.compile(r"(?P<gain>[^(/]+)(\((?P<baseline>[^()]*)\))?(/(?P<units>[^/\s]+))?")


@dataclass(frozen=True)
class SignalSpec:
    """One signal line.

    Attributes:
        file: name of the signal file, beside the header.
        format: WFDB storage format, such as 16.
        offset: bytes before the samples.
        gain, baseline: value in `units` = (sample - baseline) / gain.
        first, checksum: first sample, and sum of all samples modulo 2^16.
        description: what the header calls the signal.
    """

    file: str
    format: int
    offset: int
    gain: float
    baseline: int
    units: str
    first: int
    checksum: int
    description: str


@dataclass(frozen=True)
class Header:
    """A whole header: record line, signal lines, and comments without their '#'."""

    name: str
    rate_hz: float
    samples: int | None
    signals: tuple[SignalSpec, ...]
    comments: tuple[str, ...]

    def comment(self, key: str) -> str | None:
        """Value of the comment "key: value", the key in any case; None where there is none.

        Raises:
            InputError: two such comments disagree.
        """
        found = set()
        for line in self.comments:
            name, colon, value = line.partition(":")
            if colon and name.strip().lower() == key.lower():
                found.add(value.strip())
        if len(found) > 1:
            raise InputError(f"the header gives '{key}' twice: {', '.join(sorted(found))}")
        return found.pop() if found else None


def read_file(path: Path, limit: int = _MAX_HEADER_BYTES) -> bytes:
    """All bytes of a file.

    Raises:
        InputError: there is no such file, it is no regular file, it cannot be read, or it is longer than `limit`.
    """
    try:
        if not path.exists():
            raise InputError(f"'{path.name}' does not exist")
        if not path.is_file():
            raise InputError(f"'{path.name}' is no file")
        size = path.stat().st_size
        if size > limit:
            raise InputError(f"'{path.name}' has {size} bytes", expected=f"at most {limit}")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"'{path.name}' cannot be read: {error.strerror}") from None


def parse_header(data: bytes) -> Header:
    """Read the bytes of a .hea file.

    Raises:
        InputError: with the line and field that is wrong, or with the feature of WFDB that is not supported.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"the header is not UTF-8: byte {error.start}") from None
    bad = next((c for c in text if (ord(c) < 32 and c not in "\t\r\n") or ord(c) == 127), None)
    if bad is not None:
        raise InputError(f"the header holds the control character {bad!r}")
    comments, lines = [], []
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        stripped = line.strip(" \t")
        if stripped.startswith("#"):
            comments.append(stripped[1:].strip())
        elif stripped:
            lines.append((number, stripped))
    if not lines:
        raise InputError("the header is empty")
    name, count, rate, samples = _record_line(*lines[0])
    if len(lines) - 1 != count:
        raise InputError(f"the header announces {count} signals and describes {len(lines) - 1}")
    signals = tuple(_signal_line(number, line) for number, line in lines[1:])
    return Header(name, rate, samples, signals, tuple(comments))


def _record_line(number: int, line: str) -> tuple[str, int, float, int | None]:
    """Record name, number of signals, rate in Hz, and samples per signal or None."""
    fields = line.split()
    if not 2 <= len(fields) <= 6:
        raise _wrong(number, "record line", line, "name, number of signals, rate, number of samples, time, date")
    if "/" in fields[0]:
        raise InputError(f"line {number}: a record of several segments ('{fields[0]}')", expected="a single segment")
    if not _NAME.fullmatch(fields[0]):
        raise _wrong(number, "record name", fields[0], "letters, digits, - and _")
    count = _integer(number, "number of signals", fields[1], _COUNT)
    if not 1 <= count <= _MAX_SIGNALS:
        raise _wrong(number, "number of signals", fields[1], f"1 to {_MAX_SIGNALS}")
    if len(fields) < 3:
        raise InputError(f"line {number}: no sampling rate", expected="a rate in Hz after the number of signals")
    match = _RATE.fullmatch(fields[2])
    rate = _number(number, "sampling rate", match["rate"] if match else fields[2])
    if not _RATES_HZ[0] <= rate <= _RATES_HZ[1]:
        raise _wrong(number, "sampling rate", fields[2], f"{_RATES_HZ[0]:g} to {_RATES_HZ[1]:g} Hz")
    samples = _integer(number, "number of samples", fields[3], _COUNT) if len(fields) > 3 else 0
    return fields[0], count, rate, samples or None  # the format writes an unknown length as 0


def _signal_line(number: int, line: str) -> SignalSpec:
    fields = line.split(maxsplit=8)
    if len(fields) < 9:
        raise InputError(
            f"line {number}: {len(fields)} fields",
            expected="file, format, gain, ADC resolution, ADC zero, first sample, checksum, block size and lead",
        )
    file, stored, scale, resolution, zero, first, checksum, block, description = fields
    if not _FILE.fullmatch(file) or ".." in file:
        raise _wrong(number, "file", file, "the name of a file beside the header")
    layout = _FORMAT.fullmatch(stored)
    if not layout:
        raise _wrong(number, "format", stored, "such as 16 or 16+24")
    if int(layout["per_frame"] or 1) != 1 or int(layout["skew"] or 0) != 0:
        raise _wrong(number, "format", stored, "one sample a frame and no skew")
    gain = _GAIN.fullmatch(scale)
    if not gain:
        raise _wrong(number, "gain", scale, "such as 1000/mV or 1000(0)/mV")
    value = _number(number, "gain", gain["gain"])
    if not _GAINS[0] <= value * _per_millivolt(gain["units"]) <= _GAINS[1]:
        raise _wrong(number, "gain", scale, f"{_GAINS[0]:g} to {_GAINS[1]:g} ADC units per mV")
    _within(number, "ADC resolution", resolution, 0, 32)
    offset = _within(number, "ADC zero", zero, -(2**15), 2**16)
    _within(number, "block size", block, 0, 2**20)
    given = gain["baseline"]
    return SignalSpec(
        file,
        int(layout["format"]),
        int(layout["offset"] or 0),
        value,
        offset if given is None else _within(number, "baseline", given, -(2**31), 2**31 - 1),
        gain["units"] or "mV",
        _within(number, "first sample", first, -(2**15), 2**15 - 1),
        _within(number, "checksum", checksum, -(2**15), 2**16 - 1),
        description,
    )


# Millivolts in one unit, in the spellings in use; the micro sign and the Greek letter look alike and both occur.
MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "v": 1e3, "nv": 1e-6}


def _per_millivolt(units: str | None) -> float:
    """Factor from a gain per unit to a gain per mV; 1 where the unit is no voltage."""
    return 1 / MILLIVOLTS.get((units or "mV").lower(), 1.0)


def _wrong(line: int, field: str, found: str, expected: str) -> InputError:
    return InputError(f"line {line}: {field} '{found}'", expected=expected)


def _integer(line: int, field: str, text: str, pattern: re.Pattern[str] = _INTEGER) -> int:
    if not pattern.fullmatch(text):
        raise _wrong(line, field, text, "an integer")
    return int(text)


def _within(line: int, field: str, text: str, low: int, high: int) -> int:
    value = _integer(line, field, text)
    if not low <= value <= high:
        raise _wrong(line, field, text, f"{low} to {high}")
    return value


def _number(line: int, field: str, text: str) -> float:
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not (math.isfinite(value) and value > 0):
        raise _wrong(line, field, text, "a positive number")
    return value


def signal_files(signals: Sequence[SignalSpec]) -> dict[str, list[int]]:
    """File -> places of its signals in the header; a file's signals are stored interleaved, in that order.

    Raises:
        InputError: signals of one file in two formats or offsets, or scattered over the header.
    """
    groups: dict[str, list[int]] = {}
    for place, one in enumerate(signals):
        groups.setdefault(one.file, []).append(place)
    for file, places in groups.items():
        if len({(signals[place].format, signals[place].offset) for place in places}) > 1:
            raise InputError(f"the header gives '{file}' two formats or offsets")
        if places != list(range(places[0], places[-1] + 1)):
            raise InputError(f"the signals of '{file}' are scattered over the header")
    return groups

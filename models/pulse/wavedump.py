"""Files of CAEN WaveDump, one channel each: text and binary, with and without headers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError

__all__ = ["Layout", "Raw", "is_wavedump_text", "read_binary", "read_text"]

# Six little-endian words before the samples of an event; the size counts them too.
_HEADER = np.dtype([(name, "<u4") for name in ("size", "board", "pattern", "channel", "event", "trigger_tag")])
_SAMPLE_TYPES: dict[str, np.dtype[Any]] = {
    "uint8": np.dtype("u1"),
    "uint16": np.dtype("<u2"),
    "float32": np.dtype("<f4"),
}
_FIRST_LINE = re.compile(r"Record Length:\s*\S+")
_HEADER_LINE = re.compile(r"(?P<name>[A-Za-z][^:]*):\s*(?P<value>.*)")


@dataclass(frozen=True)
class Raw:
    """What a file holds, unchecked: values (N, length), and each event's number and trigger tag where it has them."""

    values: NDArray[Any]
    events: NDArray[np.int64] | None = None
    trigger_tags: NDArray[np.int64] | None = None


@dataclass(frozen=True)
class Layout:
    """How WaveDump was configured.

    Attributes:
        headers: whether each event has a header.
        record_length: samples an event, needed without headers; with them it is checked if given.
        sample_type: "uint8", "uint16" or "float32".
    """

    headers: bool
    record_length: int | None
    sample_type: str

    def __post_init__(self) -> None:
        if self.sample_type not in _SAMPLE_TYPES:
            raise UsageError(f"sample_type = {self.sample_type!r}", expected=", ".join(_SAMPLE_TYPES))
        if self.record_length is not None and self.record_length < 1:
            raise UsageError(f"record_length = {self.record_length}", expected="at least 1")

    def length(self, path: Path) -> int:
        """The record length of a file without headers."""
        if self.record_length is None:
            raise UsageError(f"{path}: no headers", expected="record_length=, the samples of an event")
        return self.record_length


def is_wavedump_text(path: Path) -> bool:
    """Whether a file starts as WaveDump's text with headers does."""
    with path.open("rb") as file:
        return _FIRST_LINE.match(file.readline(80).decode("latin-1")) is not None


def read_binary(path: Path, layout: Layout) -> Raw:
    """Binary: per event six 32-bit words and the samples, or the samples alone; little endian.

    Raises:
        UsageError: a truncated file, an impossible event size or events of several sizes.
    """
    data = path.read_bytes()
    if not data:
        raise UsageError(f"{path}: empty", expected="at least one event")
    sample = _SAMPLE_TYPES[layout.sample_type]
    if not layout.headers:
        length = layout.length(path)
        _whole_events(path, data, length * sample.itemsize)
        return Raw(np.frombuffer(data, sample).reshape(-1, length))
    if len(data) < _HEADER.itemsize:
        raise UsageError(
            f"{path}: event 0 cut off after {len(data)} bytes", expected=f"{_HEADER.itemsize} of its header"
        )
    size = int(np.frombuffer(data, _HEADER, 1)["size"][0])
    length, odd = divmod(size - _HEADER.itemsize, sample.itemsize)
    if length < 1 or odd or layout.record_length not in (None, length):
        wanted = layout.record_length or "a whole number of"
        raise UsageError(
            f"{path}: event 0 has the size {size}",
            expected=f"{_HEADER.itemsize} bytes of header and {wanted} samples of {sample.itemsize} bytes",
            advice="headers=False with record_length= if WaveDump wrote no headers; sample_type= for other samples",
        )
    if size > len(data):
        raise UsageError(
            f"{path}: event 0 cut off after {len(data)} bytes",
            expected=f"{size} bytes, as its header says",
            advice="headers=False with record_length= if WaveDump wrote no headers",
        )
    event = np.dtype([("header", _HEADER), ("samples", sample, (length,))])
    found = np.frombuffer(data, event, len(data) // size)
    others = np.flatnonzero(found["header"]["size"] != size)
    if len(others):
        at = int(others[0])
        raise UsageError(
            f"{path}: event {at}, byte {at * size}: size {found['header']['size'][at]}",
            expected=f"{size}, as event 0: one record length a file",
            advice="read files of several record lengths apart; a damaged event shifts all that follow it",
        )
    _whole_events(path, data, size)
    header = found["header"].astype(np.dtype([(name, np.int64) for name in _HEADER.fields or ()]))
    if (header["channel"] != header["channel"][0]).any():
        raise UsageError(f"{path}: channels {np.unique(header['channel']).tolist()}", expected="one channel a file")
    return Raw(found["samples"], header["event"], header["trigger_tag"])


def _whole_events(path: Path, data: bytes, size: int) -> None:
    whole, rest = divmod(len(data), size)
    if rest:
        raise UsageError(
            f"{path}: event {whole} cut off after {rest} bytes",
            expected=f"{size} bytes an event",
            advice=f"check the record length; the {whole} whole events are the first {whole * size} bytes of the file",
        )


def read_text(path: Path, layout: Layout) -> Raw:
    """Text: per event lines of "name: value" and then one sample a line, or samples alone.

    Raises:
        UsageError: a truncated event, several record lengths, other lines, or headers without an event number.
    """
    records: list[tuple[dict[str, str], list[float]]] = []
    for number, line in enumerate(path.read_text("latin-1").splitlines(), 1):
        line = line.strip()
        if not line:
            continue
        header = _HEADER_LINE.fullmatch(line)
        if header:
            # A name that comes again is the next event's, even if this one has no samples.
            if not records or records[-1][1] or header["name"].strip() in records[-1][0]:
                _complete(path, records, layout)
                records.append(({}, []))
            records[-1][0][header["name"].strip()] = header["value"].strip()
            continue
        if not records:
            records.append(({}, []))
        try:
            records[-1][1].append(float(line))
        except ValueError:
            raise UsageError(
                f"{path}: event {_name(records)}, line {number}: {line[:40]!r}", expected="a sample or a header line"
            ) from None
    if not records:
        raise UsageError(f"{path}: empty", expected="at least one event")
    if not records[0][0]:
        return Raw(_without_headers(path, layout.length(path), records))
    _complete(path, records, layout)
    return Raw(
        np.array([samples for _, samples in records]),
        np.array([_integer(path, i, header, "Event Number") for i, (header, _) in enumerate(records)]),
        np.array([_integer(path, i, header, "Trigger Time Stamp") for i, (header, _) in enumerate(records)]),
    )


def _complete(path: Path, records: list[tuple[dict[str, str], list[float]]], layout: Layout) -> None:
    """The last event read has as many samples as its header says, and as every event."""
    if not records or not records[-1][0]:
        return
    at = len(records) - 1
    length = _integer(path, at, records[at][0], "Record Length")
    first = layout.record_length or _integer(path, 0, records[0][0], "Record Length")
    if length != first or length < 1:
        raise UsageError(
            f"{path}: event {_name(records)}: Record Length {length}", expected=f"{first}: one record length a file"
        )
    if len(records[at][1]) != length:
        raise UsageError(
            f"{path}: event {_name(records)}: {len(records[at][1])} samples",
            expected=f"{length}, as its Record Length says",
            advice="a last event that was cut off can be deleted from the file",
        )


def _without_headers(path: Path, length: int, records: list[tuple[dict[str, str], list[float]]]) -> NDArray[np.float64]:
    samples = np.array(records[0][1])
    if len(records) > 1:
        raise UsageError(
            f"{path}: {len(samples)} samples before the first header", expected="every event with a header"
        )
    if len(samples) % length:
        raise UsageError(
            f"{path}: event {len(samples) // length}: {len(samples) % length} samples",
            expected=f"record_length = {length}",
        )
    return samples.reshape(-1, length)


def _integer(path: Path, at: int, header: dict[str, str], name: str) -> int:
    value = header.get(name, "")
    if not re.fullmatch(r"\d{1,10}", value):
        found = f"{name} {value!r}" if value else f"no {name}"
        raise UsageError(f"{path}: event {at}: {found} in its header", expected=f'a line "{name}: " and a whole number')
    return int(value)


def _name(records: list[tuple[dict[str, str], list[float]]]) -> str:
    return records[-1][0].get("Event Number", str(len(records) - 1))

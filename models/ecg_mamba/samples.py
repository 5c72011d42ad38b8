"""Signal files of a record: MATLAB version 4 (`val`, int16) and WFDB formats 16 and 212, checked against the header."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import InputError
from edgeconv.models.ecg_mamba.header import Header, SignalSpec, read_file, signal_files

__all__ = ["INVALID", "MAT_HEADER_BYTES", "mat_header", "read_samples", "wfdb_checksum"]

# A day of twelve leads at 250 Hz has half as many.
_MAX_BYTES = 2**30
# WFDB's code for a sample that was not measured, in format 16.
INVALID = -(2**15)
_INVALID_212 = -(2**11)
# MATLAB level 4: type, rows, columns, imaginary flag, length of the name, and here the name "val" with its zero.
_MAT_HEADER = struct.Struct("<5i4s")
MAT_HEADER_BYTES = _MAT_HEADER.size
# Thousands: byte order; tens: type, 3 is int16; ones: 0 is a full matrix.
_MAT_INT16 = 30
_MAT_TYPES = {0: "float64", 10: "float32", 20: "int32", 30: "int16", 40: "uint16", 50: "uint8"}


def mat_header(rows: int, columns: int) -> bytes:
    """The 24 bytes before an int16 matrix `val`."""
    return _MAT_HEADER.pack(_MAT_INT16, rows, columns, 0, 4, b"val\0")


def wfdb_checksum(samples: NDArray[np.int16]) -> NDArray[np.int64]:
    """Sum of the samples along the last axis as a signed 16-bit number."""
    total = samples.sum(axis=-1, dtype=np.int64)
    return (total + 2**15) % 2**16 - 2**15


def read_samples(header: Header, folder: Path) -> tuple[NDArray[np.int16], list[InputError]]:
    """All signals of a record, int16 (signals, N); samples that were not measured are `INVALID`.

    Returns:
        The samples, and where they are not those whose first value and checksum the header gives.

    Raises:
        InputError: a file is missing, has another size than the header says, or is of another type.
    """
    parts = []
    for file, places in signal_files(header.signals).items():
        data = read_file(folder / file, _MAX_BYTES)
        parts.append(_decode(data, header.signals[places[0]], len(places), header.samples))
    lengths = {part.shape[1] for part in parts}
    if len(lengths) > 1:
        raise InputError(f"the signal files differ in length: {sorted(lengths)} samples")
    samples = np.concatenate(parts)
    if not samples.shape[1]:
        raise InputError("the record has no samples")
    contradictions = list(_contradictions(header, samples))
    samples[np.array([one.format == 212 for one in header.signals])[:, None] & (samples == _INVALID_212)] = INVALID
    return samples, contradictions


def _decode(data: bytes, spec: SignalSpec, signals: int, samples: int | None) -> NDArray[np.int16]:
    """Samples of one file, (signals, N)."""
    if spec.file.lower().endswith(".mat"):
        return _decode_mat(data, spec, signals, samples)
    if spec.format not in (16, 212):
        raise InputError(f"'{spec.file}' is in format {spec.format}", expected="16, 212, or a MATLAB file with 16+24")
    payload = data[spec.offset :]
    # 212 packs two samples into three bytes; the last pair may be half.
    half_bytes = 4 if spec.format == 16 else 3
    values = len(payload) * 2 // half_bytes
    wanted = values // signals * signals if samples is None else samples * signals
    if len(payload) != (wanted * half_bytes + 1) // 2:
        raise InputError(
            f"'{spec.file}' holds {len(data)} bytes",
            expected=f"{spec.offset + (wanted * half_bytes + 1) // 2} for {signals} x {wanted // signals} samples",
        )
    if spec.format == 16:
        flat = np.frombuffer(payload, "<i2")
    else:
        flat = _unpack_212(payload, wanted)
    return flat.reshape(-1, signals).T.astype(np.int16)


def _decode_mat(data: bytes, spec: SignalSpec, signals: int, samples: int | None) -> NDArray[np.int16]:
    if spec.format != 16 or spec.offset != MAT_HEADER_BYTES:
        raise InputError(
            f"the header stores '{spec.file}' as {spec.format}+{spec.offset}", expected=f"16+{MAT_HEADER_BYTES}"
        )
    if len(data) < MAT_HEADER_BYTES:
        raise InputError(f"'{spec.file}' holds {len(data)} bytes", expected=f"at least {MAT_HEADER_BYTES}")
    kind, rows, columns, imaginary, _, name = _MAT_HEADER.unpack_from(data)
    if kind != _MAT_INT16:
        if data[:6] == b"MATLAB":
            found = "MATLAB version 5 or later"
        elif struct.unpack_from(">i", data)[0] == 1000 + _MAT_INT16:
            found = "big-endian"
        else:
            found = _MAT_TYPES.get(kind, f"no MATLAB version 4 matrix (type {kind})")
        raise InputError(f"'{spec.file}' is {found}", expected="MATLAB version 4, int16, little-endian")
    if data[16:24] != struct.pack("<i", 4) + b"val\0" or imaginary:
        raise InputError(f"'{spec.file}' holds another variable ({name!r})", expected="one real matrix 'val'")
    if rows != signals or (samples is not None and columns != samples) or columns < 0:
        raise InputError(
            f"'{spec.file}' holds {rows} x {columns} samples",
            expected=f"{signals} x {'any' if samples is None else samples} by the header",
        )
    if len(data) != MAT_HEADER_BYTES + 2 * rows * columns:
        raise InputError(
            f"'{spec.file}' holds {len(data)} bytes",
            expected=f"{MAT_HEADER_BYTES + 2 * rows * columns} for {rows} x {columns} samples",
        )
    return np.frombuffer(data, "<i2", offset=MAT_HEADER_BYTES).reshape(columns, rows).T.astype(np.int16)


def _unpack_212(data: bytes, values: int) -> NDArray[np.int16]:
    """12-bit samples in two's complement; each three bytes hold low, (high | high << 4), low."""
    triples = np.frombuffer(data + b"\0" * (-len(data) % 3), np.uint8).reshape(-1, 3).astype(np.int16)
    pairs = np.empty((len(triples), 2), np.int16)
    pairs[:, 0] = triples[:, 0] | (triples[:, 1] & 0x0F) << 8
    pairs[:, 1] = triples[:, 2] | (triples[:, 1] & 0xF0) << 4
    flat = pairs.reshape(-1)[:values]
    return (flat ^ 0x800) - 0x800


def _contradictions(header: Header, samples: NDArray[np.int16]) -> Iterator[InputError]:
    """Hold the samples to the first values and checksums of the header."""
    for spec, first, total in zip(header.signals, samples[:, 0], wfdb_checksum(samples), strict=True):
        if spec.first != first:
            yield InputError(f"'{spec.description}' begins with {first}", expected=f"{spec.first} by the header")
        if (spec.checksum - int(total)) % 2**16:
            yield InputError(
                f"'{spec.description}' has the checksum {total}",
                expected=f"{spec.checksum} by the header",
                advice="fetch the record again: header and samples are not of one recording",
            )

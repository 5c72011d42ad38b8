"""Recorded waveforms from files: CSV and other text, NPY, NPZ, HDF5, and what CAEN WaveDump writes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import EdgeconvError, ToolError, UsageError
from edgeconv.models.pulse.recorded import Digitizer, Recording
from edgeconv.models.pulse.wavedump import Layout, Raw, is_wavedump_text, read_binary, read_text

__all__ = ["read_waveforms"]

_FORMATS = {
    ".csv": "text",
    ".txt": "text",
    ".tsv": "text",
    ".npy": "numpy",
    ".npz": "numpy",
    ".h5": "hdf5",
    ".hdf5": "hdf5",
    ".dat": "wavedump-binary",
    ".bin": "wavedump-binary",
}
_NAMES = ("text", "numpy", "hdf5", "wavedump-text", "wavedump-binary")


@dataclass(frozen=True)
class _Table:
    """How waveforms lie in a text table."""

    columns: bool
    skip: int


def read_waveforms(
    path: str | Path,
    digitizer: Digitizer,
    *,
    file_format: str | None = None,
    dataset: str | None = None,
    columns: bool = False,
    skip: int = 0,
    headers: bool = True,
    record_length: int | None = None,
    sample_type: str | None = None,
) -> Recording:
    """Read the waveforms of one file.

    Args:
        digitizer: how they were recorded; its `adc_bits` is what codes are held against.
        file_format: "text", "numpy", "hdf5", "wavedump-text" or "wavedump-binary"; None goes by the file's ending,
            and tells WaveDump's text from tables by its first line or a given record_length.
        dataset: name of the array in an NPZ or HDF5 file; None takes the only one.
        columns: in a text table, a waveform is a column; by default it is a row.
        skip: in a text table, cells before the first sample of a row, or columns before the first waveform (a time).
        headers: whether WaveDump wrote a header before each event; without them record_length is needed.
        record_length: samples a waveform in WaveDump files without headers.
        sample_type: type of a sample in WaveDump's binary files: "uint8", "uint16" or "float32" (x742 boards); uint8
            for an ADC of 8 bits and uint16 above by default.

    Raises:
        UsageError: the file is missing, damaged, of mixed lengths, or holds anything but codes of this ADC; the message
            names file, event and what was expected.
        ToolError: an HDF5 file without the package h5py.
    """
    path = Path(path)
    if not path.is_file():
        raise UsageError(f"{path}: no such file", expected="a file with waveforms")
    if skip < 0:
        raise UsageError(f"skip = {skip}", expected="at least 0")
    kind = file_format or _format(path, record_length)
    layout = Layout(headers, record_length, sample_type or ("uint8" if digitizer.adc_bits <= 8 else "uint16"))
    if kind == "text":
        raw = Raw(_read_table(path, _Table(columns, skip)))
    elif kind == "numpy":
        raw = Raw(_read_numpy(path, dataset))
    elif kind == "hdf5":
        raw = Raw(_read_hdf5(path, dataset))
    elif kind == "wavedump-text":
        raw = read_text(path, layout)
    elif kind == "wavedump-binary":
        raw = read_binary(path, layout)
    else:
        raise UsageError(f"file_format {kind!r}", expected=", ".join(_NAMES))
    events = np.arange(len(raw.values)) if raw.events is None else raw.events
    return Recording(digitizer, _codes(path, raw.values, events, digitizer), events, raw.trigger_tags, str(path))


def _format(path: Path, record_length: int | None) -> str:
    kind = _FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(
            f"{path}: ending {path.suffix!r}", expected=", ".join(_FORMATS), advice=f"say file_format=, one of {_NAMES}"
        )
    wavedump = kind == "text" and (record_length is not None or is_wavedump_text(path))
    return "wavedump-text" if wavedump else kind


def _codes(path: Path, values: NDArray[Any], events: NDArray[np.int64], digitizer: Digitizer) -> NDArray[np.uint16]:
    """Values (N, length) as ADC codes, exactly."""
    if values.ndim == 3 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 2 or 0 in values.shape or values.dtype.kind not in "uif":
        raise UsageError(
            f"{path}: array of shape {values.shape} and type {values.dtype}",
            expected="numbers of shape (waveforms, samples), neither of them 0",
        )
    top = digitizer.levels - 1
    with np.errstate(invalid="ignore"):
        wrong = ~((values >= 0) & (values <= top) & (values == np.floor(values)))
    if wrong.any():
        at, sample = (int(i[0]) for i in np.nonzero(wrong))
        raise UsageError(
            f"{path}: event {events[at]}, sample {sample}: {values[at, sample]}",
            expected=f"a whole number from 0 to {top}, an ADC code of {digitizer.adc_bits} bits",
            advice="check adc_bits, and sample_type for WaveDump's binary files; volts and signed or corrected samples "
            "have to be turned back to codes",
        )
    return values.astype(np.uint16)


@contextmanager
def _foreign(path: Path, expected: str) -> Iterator[None]:
    """Errors of another package's parser as ours: what a damaged file makes it raise has no common type."""
    try:
        yield
    except EdgeconvError:
        raise
    except Exception as error:
        raise UsageError(f"{path}: not readable: {error}", expected=expected) from error


def _read_numpy(path: Path, dataset: str | None) -> NDArray[Any]:
    with _foreign(path, "an NPY or NPZ file of plain numbers"), path.open("rb") as file:
        found = np.load(file, allow_pickle=False)
        if isinstance(found, np.ndarray):
            return found
        return np.asarray(found[_choose(path, list(found.files), dataset)])


def _read_hdf5(path: Path, dataset: str | None) -> NDArray[Any]:
    try:
        import h5py
    except ImportError as error:
        raise ToolError("h5py is not installed", advice="pip install 'edgeconv[data]'") from error
    with _foreign(path, "a whole HDF5 file"), h5py.File(path, "r") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
        return np.asarray(file[_choose(path, names, dataset)][()])


def _choose(path: Path, names: list[str], dataset: str | None) -> str:
    if dataset is None and len(names) == 1:
        return names[0]
    wanted = (dataset or "").strip("/")
    if wanted in names:
        return wanted
    asked = "no dataset named" if dataset is None else f"no dataset {dataset!r}"
    raise UsageError(f"{path}: {asked}", expected=f"dataset= one of {', '.join(names) or 'none: the file is empty'}")


def _read_table(path: Path, table: _Table) -> NDArray[np.float64]:
    lines = [(i, line.strip()) for i, line in enumerate(_text(path).splitlines(), 1)]
    lines = [(i, line) for i, line in lines if line and not line.startswith("#")]
    if not lines:
        raise UsageError(f"{path}: no numbers", expected="a waveform in every row or column")
    separator = _separator(lines[-1][1])
    rows: list[list[float]] = []
    for number, line in lines:
        cells = [cell.strip() for cell in line.split(separator)]
        if separator and cells[-1] == "":
            cells.pop()
        values = [_number(cell) for cell in cells]
        if not rows and _is_header(values):
            continue
        if None in values:
            at = values.index(None)
            raise UsageError(f"{path}: line {number}, cell {at + 1}: {cells[at]!r}", expected="a number")
        if rows and len(values) != len(rows[0]):
            raise UsageError(f"{path}: line {number}: {len(values)} cells", expected=f"{len(rows[0])}, as before")
        rows.append([value for value in values if value is not None])
    if not rows:
        raise UsageError(f"{path}: header lines alone", expected="a waveform in every row or column")
    found = np.array(rows)[:, table.skip :]
    return found.T if table.columns else found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start} is no text", expected="a text file in UTF-8") from error


def _separator(line: str) -> str | None:
    """The separator of a line of numbers; None is any blank space."""
    return next((mark for mark in (";", "\t", ",") if mark in line), None)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _is_header(values: list[float | None]) -> bool:
    """Words, perhaps with a few numbers after them; a row of numbers with one bad cell is a damaged waveform."""
    return values[0] is None and 2 * values.count(None) >= len(values)

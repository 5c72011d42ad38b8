"""Arrays of samples in files: .npy for a single tensor, .npz keyed by names, `-` for the standard streams."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.artifact import TensorInfo
from edgeconv.errors import InputError, UsageError

__all__ = ["load_arrays", "read_inputs", "refuse_nan", "write_outputs"]

Array = NDArray[np.generic]
_ZIP_MAGIC = b"PK"


def load_arrays(source: str | Path, single: str) -> dict[str, Array]:
    """The arrays of a .npz by name, or the array of a .npy under the name `single`.

    Raises:
        InputError: the file is missing, or is no array file; pickled objects are refused.
    """
    place = "standard input" if str(source) == "-" else str(source)
    try:
        data = sys.stdin.buffer.read() if str(source) == "-" else Path(source).read_bytes()
        loaded = np.load(io.BytesIO(data), allow_pickle=False)
        if not data.startswith(_ZIP_MAGIC):
            return {single: loaded}
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except OSError as error:
        raise InputError(f"{place}: {error.strerror or error}", expected="a .npy or .npz file") from error
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(
            f"{place} is not an array file: {error}", expected=".npy or .npz, as numpy.save and numpy.savez write them"
        ) from error


def read_inputs(source: str, tensors: Sequence[TensorInfo]) -> dict[str, Array]:
    """The arrays of a file for the inputs of a model, C-contiguous.

    Raises:
        InputError: see `load_arrays`; or one array for several inputs.
    """
    arrays = load_arrays(source, tensors[0].name)
    is_one_array = list(arrays) == [tensors[0].name]
    if is_one_array and len(tensors) > 1:
        raise InputError(
            f"{source} holds one array for {len(tensors)} inputs",
            expected="a .npz with the names " + ", ".join(tensor.name for tensor in tensors),
        )
    return {name: np.ascontiguousarray(array) if array.ndim else array for name, array in arrays.items()}


def refuse_nan(inputs: Mapping[str, Array]) -> None:
    """Check that no float input holds NaN.

    Raises:
        InputError: names the input, how many there are, and the first sample with one.
    """
    for name, array in inputs.items():
        if not np.issubdtype(array.dtype, np.floating):
            continue
        found = np.isnan(array)
        if found.any():
            first = tuple(int(index) for index in np.argwhere(found)[0])
            raise InputError(
                f"input '{name}' holds NaN: {int(found.sum())} of {array.size} values, the first at {first}",
                advice="clean the data, or --allow-nan, which takes NaN for the zero point",
            )


def write_outputs(sink: str, outputs: Mapping[str, Array]) -> None:
    """Write arrays to a .npz, to a .npy (a single output), or as .npy to standard output (`-`).

    Nothing is left half-written: a file is written beside its place and renamed.

    Raises:
        UsageError: several outputs for a .npy, an unknown suffix, or the file cannot be written.
    """
    suffix = ".npy" if sink == "-" else Path(sink).suffix
    if suffix not in (".npy", ".npz"):
        raise UsageError(f"output file {sink}", expected="a name that ends in .npz or .npy, or -")
    if suffix == ".npy" and len(outputs) > 1:
        raise UsageError(f"{len(outputs)} outputs ({', '.join(outputs)}) for a .npy", expected="a .npz")
    buffer = io.BytesIO()
    if suffix == ".npy":
        np.save(buffer, next(iter(outputs.values())), allow_pickle=False)
    else:
        _write_npz(buffer, outputs)
    if sink == "-":
        sys.stdout.buffer.write(buffer.getvalue())
        sys.stdout.buffer.flush()
        return
    path = Path(sink)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(buffer.getvalue())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise UsageError(f"{sink} could not be written: {error.strerror or error}") from error


def _write_npz(stream: io.BytesIO, arrays: Mapping[str, Array]) -> None:
    """What numpy.savez writes, which takes names as keywords and so has no arrays called "file"."""
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)

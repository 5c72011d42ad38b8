"""A program on disk: `program.txt` beside `weights.npz` (never pickled)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import ProgramError
from edgeconv.ir.packing import pack_bits, unpack_bits
from edgeconv.ir.program import Constant, Program
from edgeconv.ir.text import from_text, to_text
from edgeconv.ir.types import dtype

TEXT_NAME, WEIGHTS_NAME = "program.txt", "weights.npz"


def save_program(program: Program, folder: Path) -> None:
    """Write `program.txt` and `weights.npz` into an existing folder.

    Constants narrower than 8 bits are packed, so bytes on disk are the bytes of the model. Equal programs give equal
    bytes: entries are sorted and carry a fixed date.
    """
    (folder / TEXT_NAME).write_text(to_text(program), encoding="utf-8")
    with zipfile.ZipFile(folder / WEIGHTS_NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, name in enumerate(sorted(program.constants)):
            constant = program.constants[name]
            array = pack_bits(constant.array, constant.dtype) if _is_packed(constant) else constant.array
            # Tensor names may hold characters that no zip entry may: the entry is numbered, the name stands beside it.
            _write_entry(archive, f"{index:05d}.values.npy", array)
            label = np.array([name, str(constant.dtype), ",".join(map(str, constant.array.shape))])
            _write_entry(archive, f"{index:05d}.name.npy", label)


def _is_packed(constant: Constant) -> bool:
    return not constant.dtype.is_float and constant.dtype.bits < 8


def _write_entry(archive: zipfile.ZipFile, name: str, array: NDArray[np.generic]) -> None:
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def load_program(folder: Path) -> Program:
    """Read what `save_program` wrote.

    Raises:
        ProgramError: a file is missing, damaged, or the program breaks a rule.
    """
    try:
        text = (folder / TEXT_NAME).read_text(encoding="utf-8")
        with np.load(folder / WEIGHTS_NAME, allow_pickle=False) as archive:
            entries = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, UnicodeDecodeError, EOFError) as error:
        raise ProgramError(f"cannot read the program in {folder}: {error}", advice="compile the model again") from error
    constants: dict[str, Constant] = {}
    for key, values in entries.items():
        if key.endswith(".values"):
            try:
                name, element, extents = map(str, entries[key.removesuffix(".values") + ".name"])
                shape = tuple(int(extent) for extent in extents.split(",") if extent)
            except (KeyError, ValueError) as error:
                raise ProgramError(f"{WEIGHTS_NAME} in {folder}: entry {key} has no valid name beside it") from error
            type_ = dtype(element)
            narrow = not type_.is_float and type_.bits < 8
            constants[name] = Constant(type_, unpack_bits(values, type_, shape) if narrow else values.reshape(shape))
    return from_text(text, constants)

"""A program on disk: `program.txt` beside `weights.npz` (never pickled)."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import ProgramError
from edgeconv.ir.packing import pack_bits, unpack_bits
from edgeconv.ir.program import Constant, Program
from edgeconv.ir.text import declared_constants, from_text, to_text
from edgeconv.ir.types import DType, TensorType

TEXT_NAME, WEIGHTS_NAME = "program.txt", "weights.npz"


def save_program(program: Program, folder: Path) -> None:
    """Write `program.txt` and `weights.npz` into an existing folder.

    An entry of the archive holds the values of a constant; its number is the constant's place in the text, which has
    name, element type and shape: tensor names may hold characters that no entry's name may. Constants narrower than 8
    bits are packed, so bytes on disk are the bytes of the model. Equal texts and values give equal bytes: entries carry
    a fixed date.
    """
    (folder / TEXT_NAME).write_text(to_text(program), encoding="utf-8")
    with zipfile.ZipFile(folder / WEIGHTS_NAME, "w", zipfile.ZIP_DEFLATED) as archive:
        for index, constant in enumerate(program.constants.values()):
            array = pack_bits(constant.array, constant.dtype) if _is_packed(constant.dtype) else constant.array
            _write_entry(archive, f"{_entry(index)}.npy", array)


def _entry(index: int) -> str:
    return f"{index:05d}"


def _is_packed(type_: DType) -> bool:
    return not type_.is_float and type_.bits < 8


def _write_entry(archive: zipfile.ZipFile, name: str, array: NDArray[np.generic]) -> None:
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.compress_type = zipfile.ZIP_DEFLATED
    with archive.open(info, "w", force_zip64=True) as stream:
        np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)


def load_program(folder: Path) -> Program:
    """Read what `save_program` wrote.

    Raises:
        ProgramError: a file is missing, damaged, does not fit the other, or the program breaks a rule.
    """
    try:
        text = (folder / TEXT_NAME).read_text(encoding="utf-8")
        with np.load(folder / WEIGHTS_NAME, allow_pickle=False) as archive:
            entries = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, UnicodeDecodeError, EOFError) as error:
        raise ProgramError(f"cannot read the program in {folder}: {error}", advice="compile the model again") from error
    declared = declared_constants(text)
    if list(entries) != [_entry(index) for index in range(len(declared))]:
        raise ProgramError(
            f"{WEIGHTS_NAME} in {folder} holds {len(entries)} entries",
            expected=f"{len(declared)}, numbered, one for each constant of {TEXT_NAME}",
            advice="compile the model again",
        )
    values = zip(declared.items(), entries.values(), strict=True)
    return from_text(text, {name: _constant(name, type_, array) for (name, type_), array in values})


def _constant(name: str, type_: TensorType, array: NDArray[np.generic]) -> Constant:
    if _is_packed(type_.dtype):
        return Constant(type_.dtype, unpack_bits(array, type_.dtype, type_.shape))
    if array.dtype != type_.dtype.container or array.shape != type_.shape:
        found = f"{array.dtype}{list(array.shape)}"
        raise ProgramError(f"constant %{name} has values of {found} in {WEIGHTS_NAME}", expected=str(type_))
    return Constant(type_.dtype, array)

"""Machine code of NVIDIA GPUs, as far as instructions can be counted without NVIDIA's disassembler.

Since Volta an instruction has 16 bytes, whose lowest 12 bits say what it does and of what kinds its operands are. The
numbers below are those that ptxas writes; tests/codegen/cuda/test_machine_code.py has it write each of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = ["INSTRUCTIONS", "INSTRUCTION_BYTES", "instructions_of", "kernels_of"]

INSTRUCTIONS = {
    "IMMA": 0x237,  # tensor cores, int8
    "IDP": 0x226,  # dp4a
    "FFMA": 0x223,
    "LDG": 0x981,
    "STG": 0x986,
    "LDS": 0x984,
    "STS": 0x388,
    "LDL": 0x983,  # local memory: spilled registers, arrays with indices that are no constants
    "STL": 0x387,
}
INSTRUCTION_BYTES = 16
_SECTION = struct.Struct("<IIQQQQIIQQ")  # Elf64_Shdr


def kernels_of(cubin: bytes) -> Iterator[tuple[str, bytes]]:
    """Name and machine code of every kernel of an ELF file for one architecture."""
    if cubin[:4] != b"\x7fELF":
        raise ValueError("no ELF file")
    (start,) = struct.unpack_from("<Q", cubin, 0x28)
    count, names = struct.unpack_from("<HH", cubin, 0x3C)
    sections = [_SECTION.unpack_from(cubin, start + _SECTION.size * index) for index in range(count)]
    for section in sections:
        at = sections[names][4] + section[0]
        name = cubin[at : cubin.index(b"\0", at)].decode()
        if name.startswith(".text."):
            yield name.removeprefix(".text."), cubin[section[4] : section[4] + section[5]]


def instructions_of(code: bytes) -> list[int]:
    """The number of every instruction."""
    return [struct.unpack_from("<H", code, at)[0] & 0xFFF for at in range(0, len(code), INSTRUCTION_BYTES)]

"""The firmware: C for the system's processor, compiled once and kept by the content of its sources."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np

from edgeconv.cache import cached, digest
from edgeconv.hw.export import FOLDER
from edgeconv.hw.sim.verilate import checked

__all__ = ["COMPILER", "INCLUDE", "PLACE", "RAM_BYTES", "SOURCES", "firmware_words"]

RAM_BYTES = 16384
"""The processor's memory: code, constants, working memory and stack (`RAM_WORDS` of soc.sv)."""
COMPILER = "riscv64-unknown-elf-gcc"
PLACE = FOLDER / "soc" / "firmware"
INCLUDE = FOLDER / "include"
SOURCES = tuple(PLACE / name for name in ("frame.c", "network.c", "commands.c", "link.c", "main.c"))
_START, _SCRIPT = PLACE / "start.S", PLACE / "link.ld"
_OPTIONS = (
    *("-march=rv32i", "-mabi=ilp32", "-ffreestanding", "-nostdlib", "-std=c11", "-O2"),
    # Loops must not become calls of a library that is not there.
    "-fno-tree-loop-distribute-patterns",
    *("-Wall", "-Wextra", "-Werror"),
)
_ADVICE = "apt-get install gcc-riscv64-unknown-elf"


@cache
def firmware_words(
    ram_bytes: int = RAM_BYTES, sources: tuple[Path, ...] = SOURCES, includes: tuple[Path, ...] = ()
) -> Path:
    """A file of the memory's words in hexadecimal, as `$readmemh` takes them; made when it is not in the cache yet.

    Args:
        sources: C with a `main`, the firmware's where nothing else is given.
        includes: further folders of headers.

    Raises:
        ToolError: the compiler for RISC-V is missing or fails.
    """
    folders = (PLACE, INCLUDE, *includes)
    paths = [*sources, _START, _SCRIPT, *(path for folder in folders for path in sorted(folder.glob("*.h")))]
    compiler = checked([COMPILER, "--version"], _ADVICE)
    key = digest([str(ram_bytes), compiler, *_OPTIONS, *(path.read_bytes() for path in paths)])
    return cached("firmware", key, lambda folder: _build(ram_bytes, sources, folders, folder)) / "firmware.hex"


def _build(ram_bytes: int, sources: tuple[Path, ...], includes: tuple[Path, ...], folder: Path) -> None:
    program, image = folder / "firmware.elf", folder / "firmware.bin"
    command = [COMPILER, *_OPTIONS, *(f"-I{each}" for each in includes)]
    command += [f"-Wl,-T,{_SCRIPT}", f"-Wl,--defsym=_memory={ram_bytes}"]
    # Of the compiler's own library, products and wide shifts may be needed: the processor multiplies in software.
    checked([*command, str(_START), *map(str, sources), "-lgcc", "-o", str(program)], _ADVICE)
    objcopy = shutil.which(COMPILER.replace("gcc", "objcopy")) or "riscv64-unknown-elf-objcopy"
    checked([objcopy, "-O", "binary", str(program), str(image)], _ADVICE)
    data = image.read_bytes()
    words = np.frombuffer(data + bytes(-len(data) % 4), "<u4")
    (folder / "firmware.hex").write_text("".join(f"{word:08x}\n" for word in words), encoding="ascii")

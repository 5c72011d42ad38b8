"""CUDA source to code for GPUs, by NVRTC: NVIDIA's compiler as one library, for machines without nvcc.

It makes code of one architecture a call and no fat binary, so an artifact carries an image for each, and its library
chooses when it meets the GPU. Neither a GPU nor a driver is needed to compile.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import ClassVar

from edgeconv.codegen.cuda.image import EXACT_OPTIONS, UNUSED_FUNCTION, Image, package_folders
from edgeconv.errors import ToolError

__all__ = ["Nvrtc", "find_nvrtc"]

_LIBRARY = "libnvrtc.so"
_SUCCESS = 0  # nvrtcResult
_MOST_LOG = 2000


@dataclass(frozen=True)
class Nvrtc:
    """A compiler for GPUs inside this process.

    Attributes:
        path: of the library.
        version: its release, such as (13, 0): code for a GPU runs with drivers of that release or later.
    """

    name: ClassVar[str] = "nvrtc"
    path: str
    version: tuple[int, int]
    _library: ctypes.CDLL = field(repr=False, compare=False)

    def images(self, source: str, architectures: Sequence[str]) -> tuple[Image, ...]:
        """An image for each architecture.

        Args:
            architectures: `sm_80` for machine code, `compute_90` for PTX that newer drivers compile further.

        Raises:
            ToolError: NVRTC refuses an architecture or the source (its message is included).
        """
        return tuple(self._image(source, architecture) for architecture in architectures)

    def _image(self, source: str, architecture: str) -> Image:
        kind, _, number = architecture.partition("_")
        options = [f"--gpu-architecture={architecture}", *EXACT_OPTIONS, UNUSED_FUNCTION]
        program = ctypes.c_void_p()
        self._check("nvrtcCreateProgram", ctypes.byref(program), source.encode(), b"kernels.cu", 0, None, None)
        try:
            given = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
            if self._library.nvrtcCompileProgram(program, len(options), given) != _SUCCESS:
                raise ToolError(
                    f"NVRTC could not compile the kernels for {architecture}:\n{self._log(program)}",
                    advice=f"NVRTC {'.'.join(map(str, self.version))} may not know the architecture: take another one",
                )
            data = self._read("nvrtcGetPTX" if kind == "compute" else "nvrtcGetCUBIN", program)
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(program))
        # NVRTC has taken the architecture: digits, and after them at most the letter of a family (sm_90a, sm_100f).
        return Image(data, int(number.rstrip("af")), ptx=kind == "compute")

    def _log(self, program: ctypes.c_void_p) -> str:
        text = self._read("nvrtcGetProgramLog", program).rstrip(b"\0").decode(errors="replace").strip()
        return text[-_MOST_LOG:]

    def _read(self, function: str, program: ctypes.c_void_p) -> bytes:
        """What a pair of functions of NVRTC gives: a size, and so many bytes."""
        size = ctypes.c_size_t()
        self._check(f"{function}Size", program, ctypes.byref(size))
        data = ctypes.create_string_buffer(size.value)
        self._check(function, program, data)
        return data.raw

    def _check(self, function: str, *arguments: object) -> None:
        status = getattr(self._library, function)(*arguments)
        if status != _SUCCESS:
            self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
            text = (self._library.nvrtcGetErrorString(status) or b"?").decode()
            raise ToolError(f"{function} of {self.path}: {text}", advice="edgeconv doctor")


@cache
def find_nvrtc() -> Nvrtc | None:
    """NVRTC where the linker finds it, in $CUDA_HOME, or among Python's packages."""
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        major, minor = ctypes.c_int(), ctypes.c_int()
        if library.nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)) == _SUCCESS:
            return Nvrtc(path, (major.value, minor.value), library)
    return None


def _candidates() -> Iterator[str]:
    home = os.environ.get("CUDA_HOME")
    folders = [Path(home, name) for name in ("lib64", "lib")] if home else []
    folders += [folder / "lib" for folder in package_folders()]
    for folder in folders:
        yield from (str(path) for path in sorted(folder.glob(f"{_LIBRARY}*"), reverse=True))
    yield _LIBRARY

"""The firmware compiled for this machine, with a double of the system's registers (double.c), as a transport."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.hw.compiler import ArrayRun, NetworkImage
from edgeconv.hw.soc.firmware import INCLUDE, PLACE, SOURCES

_DOUBLE = Path(__file__).with_name("double.c")
_SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer")
_MASK = (1 << 64) - 1


def build(folder: Path) -> Path:
    """Compile it so that any access outside of an object ends it."""
    program = folder / "firmware"
    sources = [str(path) for path in SOURCES if path.name != "main.c"]
    command = ["gcc", "-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", *_SANITIZE, f"-I{PLACE}", f"-I{INCLUDE}"]
    subprocess.run([*command, str(_DOUBLE), *sources, "-o", str(program)], check=True, capture_output=True)
    return program


class HostFirmware:
    """A `Transport` to the firmware in a process of its own; a context.

    A read gives what the firmware has sent; where that is nothing, the firmware learns that the line is silent.
    """

    name = "the firmware on this machine"

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._sent = bytearray()

    def __enter__(self) -> HostFirmware:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, data: bytes) -> None:
        """Bytes on the line."""
        if data:
            self._exchange(data)

    def read(self, seconds: float) -> bytes:
        """What came back."""
        if not self._sent:
            self._exchange(b"")
        found = bytes(self._sent)
        self._sent.clear()
        return found

    def close(self) -> None:
        """End the process."""
        _, said = self._process.communicate(timeout=10)
        assert self._process.returncode == 0, said.decode()

    def _exchange(self, data: bytes) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.stdin.write(len(data).to_bytes(4, "little") + data)
        self._process.stdin.flush()
        length = self._process.stdout.read(4)
        assert len(length) == 4, self._process.stderr.read().decode()
        self._sent += self._process.stdout.read(int.from_bytes(length, "little"))


class GoldenDouble:
    """What the double computes for a sample of a network, without protocol and firmware."""

    def __init__(self, image: NetworkImage) -> None:
        self._image = image
        entries = {
            int(select) << 32 | int(address): int(data) for select, address, data in image.writes.tolist() if select
        }
        self._state = 0
        for key, data in entries.items():
            self._state ^= _mix(key ^ _mix(data))

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> ArrayRun:
        """Samples (n, *shape) by name."""
        places, words = self._image.input_words(inputs)
        results = np.empty((len(words), self._image.result_words * 8), np.int32)
        cycles = np.empty(len(words), np.uint32)
        for sample, row in enumerate(words.tolist()):
            state = self._state
            for place, word in zip(places.tolist(), row, strict=True):
                state ^= _mix((1 << 32 | place) ^ _mix(word))
            found = [_mix((state + i) & _MASK) & 0xFFFFFFFF for i in (*range(results.shape[1]), 4096)]
            results[sample] = np.array(found[:-1], np.uint32).view(np.int32)
            cycles[sample] = found[-1]
        return ArrayRun(self._image.output_arrays(results), cycles)


def _mix(value: int) -> int:
    """Steele and others' SplitMix64: one changed bit changes half of the others."""
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ value >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ value >> 27) * 0x94D049BB133111EB) & _MASK
    return value ^ value >> 31

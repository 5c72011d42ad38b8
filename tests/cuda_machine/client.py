"""What a client of the machine does, in a process of its own: the driver is found on LD_LIBRARY_PATH at its start.

    python -m tests.cuda_machine.client ARTIFACT

prints a line of JSON: how many launches and graphs each kind of call took, and what differed from the reference.
"""

from __future__ import annotations

import ctypes
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from edgeconv import reference
from edgeconv.artifact import read
from edgeconv.errors import EdgeconvError
from edgeconv.runtime.cuda import CudaRunner
from edgeconv.verify.inputs import random_inputs
from scripts.gpu.device_array import DeviceArray

_DRIVER = ctypes.CDLL("libcuda.so.1")
_LIBC = ctypes.CDLL(None)


class GpuArray(DeviceArray):
    """An array in the machine's memory; `offset` bytes from the start of its allocation."""

    def __init__(self, array: np.ndarray, offset: int = 0, device: int = 0) -> None:
        pointer = ctypes.c_uint64()
        assert _DRIVER.cuMemAlloc_v2(ctypes.byref(pointer), ctypes.c_size_t(array.nbytes + 64)) == 0
        super().__init__(pointer.value + offset, array, device)
        ctypes.memmove(self.address, array.ctypes.data, array.nbytes)

    def numpy(self) -> np.ndarray:
        """Its contents, once the default stream has nothing left to do."""
        _DRIVER.cuStreamSynchronize(None)
        copy = self.like()
        ctypes.memmove(copy.ctypes.data, self.address, copy.nbytes)
        return copy


class Client:
    """Runs one artifact in every way and notes what differs."""

    def __init__(self, path: Path) -> None:
        self.artifact = read(path)
        self.program, self.runner = self.artifact.program(), CudaRunner(self.artifact)
        self.wrong: list[str] = []
        self.counts: dict[str, tuple[int, int]] = {}

    def samples(self, count: int, seed: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Random inputs and the reference's outputs."""
        inputs = random_inputs(self.program, count, seed)
        return inputs, reference.run(self.program, inputs)

    def compare(self, label: str, found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
        """Note every output that differs in a byte."""
        self.wrong += [
            f"{label}: {name}" for name, array in expected.items() if found[name].tobytes() != array.tobytes()
        ]

    def counted(self, label: str, call: Any) -> Any:
        """The result of a call; what it launched is counted."""
        before = _DRIVER.machine_launches(), _DRIVER.machine_graph_launches()
        result = call()
        self.counts[label] = (_DRIVER.machine_launches() - before[0], _DRIVER.machine_graph_launches() - before[1])
        return result

    def host(self, count: int, label: str) -> None:
        """Arrays of numpy."""
        inputs, expected = self.samples(count, count)
        self.compare(label, self.counted(label, lambda: self.runner.run(inputs)), expected)

    def single(self, label: str) -> None:
        """One array of numpy, one sample: the short way from Python, which takes no other arrays."""
        inputs, expected = self.samples(1, 77)
        (x,), (name,) = inputs.values(), expected
        found = self.counted(label, lambda: self.runner(x[0]))
        into = np.zeros_like(found)
        assert self.runner(x[0], into) is into
        self.compare(label, {name: found[None]}, expected)
        self.compare(f"{label}, out=", {name: into[None]}, expected)

    def gpu(self, count: int, label: str) -> None:
        """Arrays in the machine's memory."""
        inputs, expected = self.samples(count, count + 1)
        given = {name: GpuArray(array) for name, array in inputs.items()}
        into = {name: GpuArray(np.zeros_like(array)) for name, array in expected.items()}
        self.counted(label, lambda: self.runner(given, out=into))
        self.compare(label, {name: array.numpy() for name, array in into.items()}, expected)

    def refused(self, **changes: Any) -> str:
        """The message about arrays in the machine's memory of which something does not fit."""
        inputs, expected = self.samples(2, 9)
        given = {name: GpuArray(array, **changes) for name, array in inputs.items()}
        try:
            self.runner(given, out={name: GpuArray(array) for name, array in expected.items()})
        except EdgeconvError as error:
            return f"{type(error).__name__}: {error}"
        return ""


def main() -> None:
    client = Client(Path(sys.argv[1]))
    for count in (1, 1, 1, 17):
        client.host(count, f"host {count}")
    client.host(int(sys.argv[2]), "host many")
    client.single("single")
    client.gpu(33, "gpu")
    messages = {"offset": client.refused(offset=1), "device": client.refused(device=1)}
    _LIBC.setenv(b"CUDA_MACHINE", b"illegal address", 1)
    messages["fault"] = client.refused()
    _LIBC.unsetenv(b"CUDA_MACHINE")
    held = _DRIVER.machine_blocks()
    client.runner.close()
    print(
        json.dumps(
            {
                "wrong": client.wrong,
                "counts": client.counts,
                "messages": messages,
                "released": held - _DRIVER.machine_blocks(),
            }
        )
    )


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""Runs the artifact that this file lies in: ctypes and numpy, nothing else (Python 3.9 or later).

    from edge_runtime import Model
    model = Model()                    # Model(threads=2), Model("elsewhere.edge"), Model(isa="generic")
    y = model(x)                       # one sample, or n with an axis in front (or in the place of a batch axis of 1)
    y = model({"x": x, "gain": gain})  # several inputs by name; several outputs come as a dict

Results are the bits of every other way to run the model. `python3 edge_runtime.py` runs the self-test.
"""

from __future__ import annotations

import ctypes
import json
import platform
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["EdgeError", "Model"]

_ABI_VERSION = 2  # EDGE_ABI_VERSION of include/edge.h
_TEAM_BYTES = 256  # sizeof(edge_team)
_MOST_THREADS = 64
_SAME = {"AMD64": "x86_64", "amd64": "x86_64", "arm64": "aarch64"}


class EdgeError(Exception):
    """What is wrong, and what would have been right."""


class _Context(ctypes.Structure):
    """edge_ctx."""

    _fields_ = (
        ("abi_version", ctypes.c_uint32),
        ("isa", ctypes.c_uint32),
        ("threads", ctypes.c_uint32),
        ("ready", ctypes.c_uint32),
        ("stream", ctypes.c_void_p),
        ("team", ctypes.c_void_p),
        ("reserved", ctypes.c_uint64 * 3),
    )


class Model:
    """The loaded model; any number of threads may use it.

    Attributes:
        inputs, outputs: for each tensor its name, dtype, shape of one sample, scale, zero_point, unit.
        isa: instruction set in use.

    Raises:
        EdgeError: no artifact, one of another version or for another machine; no such instruction set.
    """

    def __init__(self, folder: str | Path | None = None, isa: str | None = None, threads: int = 1) -> None:
        self.folder = Path(folder) if folder else Path(__file__).resolve().parent
        self._manifest = _read_manifest(self.folder)
        self.inputs: list[dict[str, Any]] = self._manifest["inputs"]
        self.outputs: list[dict[str, Any]] = self._manifest["outputs"]
        self._library = _load(self.folder, self._manifest)
        carried = {name: number for number in range(1, 16) if (name := self._isa_name(number))}
        if isa is not None and isa not in carried:
            raise EdgeError(f"the artifact does not carry '{isa}', but {', '.join(carried)}")
        if not 1 <= threads <= _MOST_THREADS:
            raise EdgeError(f"{threads} threads: 1 to {_MOST_THREADS} can be")
        self._context = _Context(_ABI_VERSION, carried[isa] if isa else 0, threads)
        self._check(self._library.edge_init(ctypes.byref(self._context)))
        self.isa = self._isa_name(self._context.isa)
        self._local = threading.local()
        if threads > 1:
            self._start_helpers(threads - 1)

    def __call__(self, x: Any, allow_nan: bool = False) -> Any:
        """Run one sample or n.

        Args:
            x: the array of the single input, or arrays by input name.
            allow_nan: NaN gives the zero point; otherwise it is refused.

        Returns:
            the array of the single output, or arrays by output name.

        Raises:
            EdgeError: a name, dtype, shape or value does not fit; says what was expected.
        """
        given = x if isinstance(x, dict) else {self.inputs[0]["name"]: x}
        expected = [tensor["name"] for tensor in self.inputs]
        if sorted(given) != sorted(expected):
            raise EdgeError(f"inputs named {', '.join(sorted(given))}: expected {', '.join(sorted(expected))}")
        arrays = [_checked(given[tensor["name"]], tensor) for tensor in self.inputs]
        found = [_samples(given[tensor["name"]].shape, tensor) for tensor in self.inputs]
        count, axes = found[0]
        if any(other != count for other, _ in found):
            raise EdgeError(f"different numbers of samples: {', '.join(str(other) for other, _ in found)}")
        results = [np.empty((count, *tensor["shape"]), tensor["dtype"]) for tensor in self.outputs]
        if count:
            self._run(arrays, results, count, allow_nan)
        shaped = {t["name"]: _shaped(results[i], t, axes) for i, t in enumerate(self.outputs)}
        return shaped if len(results) > 1 else next(iter(shaped.values()))

    def self_test(self) -> int:
        """Compare with the reference's results in golden/; the number of samples, every byte of which agrees.

        Raises:
            EdgeError: an output differs.
        """
        inputs = {t["name"]: self._golden("input", i) for i, t in enumerate(self.inputs)}
        found = self(inputs, allow_nan=True)
        for index, tensor in enumerate(self.outputs):
            result = found[tensor["name"]] if isinstance(found, dict) else found
            if result.tobytes() != self._golden("output", index).tobytes():
                raise EdgeError(f"output '{tensor['name']}' differs from the reference with {self.isa}: report it")
        return len(next(iter(inputs.values())))

    def _golden(self, kind: str, index: int) -> Any:
        return np.load(self.folder / "golden" / f"{kind}-{index}.npy", allow_pickle=False)

    def _run(self, arrays: list[Any], results: list[Any], count: int, allow_nan: bool) -> None:
        into, out, n = _pointers(arrays), _pointers(results), ctypes.c_int64(count)
        self._check(self._library.edge_check(into, n, int(allow_nan)))
        self._check(self._library.edge_run(ctypes.byref(self._context), into, out, self._scratch(), n))

    def _check(self, status: int) -> None:
        if status:
            raise EdgeError(self._library.edge_strerror(status).decode())

    def _isa_name(self, number: int) -> str:
        name = self._library.edge_isa_name(number)
        return name.decode() if name else ""

    def _scratch(self) -> ctypes.c_void_p:
        """Working memory of this thread, aligned."""
        if not hasattr(self._local, "scratch"):
            alignment = self._manifest["scratch_alignment"]
            size = -(-self._manifest["scratch_bytes"] // alignment) * alignment * self._context.threads
            memory = np.empty(size + 2 * alignment, np.uint8)
            self._local.scratch = memory[-memory.ctypes.data % alignment :]
        return ctypes.c_void_p(self._local.scratch.ctypes.data)

    def _start_helpers(self, count: int) -> None:
        """They sleep in the library between calls, for as long as the process lives."""
        self._team = ctypes.create_string_buffer(_TEAM_BYTES)
        self._library.edge_team_init(self._team)
        for _ in range(count):
            threading.Thread(target=self._library.edge_team_serve, args=(self._team,), daemon=True).start()
        self._context.team = ctypes.addressof(self._team)


def _read_manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        version = manifest["abi"]
    except (OSError, ValueError, KeyError) as error:
        raise EdgeError(f"{folder} is no artifact of edgeconv: {error}") from error
    if version != _ABI_VERSION:
        raise EdgeError(f"{folder} has version {version} of the C interface, this file is for {_ABI_VERSION}")
    return manifest


def _load(folder: Path, manifest: dict[str, Any]) -> ctypes.CDLL:
    wanted, found = manifest["triple"].split("-")[0], _SAME.get(platform.machine(), platform.machine())
    if found != wanted or sys.maxsize < 1 << 32:
        bits = "a 32-bit Python on " if sys.maxsize < 1 << 32 else ""
        raise EdgeError(f"{folder} is for {wanted}, and this is {bits}{found}")
    try:
        library = ctypes.CDLL(str(folder / manifest["library"]))
    except OSError as error:
        raise EdgeError(f"{folder / manifest['library']} cannot be loaded: {error}") from error
    library.edge_strerror.restype = library.edge_isa_name.restype = ctypes.c_char_p
    return library


def _checked(array: Any, tensor: dict[str, Any]) -> Any:
    if not isinstance(array, np.ndarray) or array.dtype != np.dtype(tensor["dtype"]):
        found = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        raise EdgeError(f"input '{tensor['name']}' is {found}: expected a numpy array of {tensor['dtype']}")
    return np.ascontiguousarray(array)


def _samples(shape: tuple[int, ...], tensor: dict[str, Any]) -> tuple[int, str]:
    """How many samples, and where their axis is: nowhere ("one"), in the place of a batch axis of 1, or in front."""
    sample = tuple(tensor["shape"])
    if shape == sample:
        return 1, "batch" if sample[:1] == (1,) else "one"
    if shape[1:] == sample:
        return shape[0], "leading"
    if sample[:1] == (1,) and len(shape) == len(sample) and shape[1:] == sample[1:]:
        return shape[0], "batch"
    raise EdgeError(f"input '{tensor['name']}' has shape {shape}: expected {sample}, or an axis of n in front")


def _shaped(result: Any, tensor: dict[str, Any], axes: str) -> Any:
    sample = tuple(tensor["shape"])
    if axes == "batch" and sample[:1] == (1,):
        return result.reshape(len(result), *sample[1:])
    return result if axes == "leading" or len(result) != 1 else result.reshape(sample)


def _pointers(arrays: list[Any]) -> Any:
    return (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))


if __name__ == "__main__":
    _model = Model(sys.argv[1] if len(sys.argv) > 1 else None)
    print(f"{_model.isa}: {_model.self_test()} samples, every byte as the reference")

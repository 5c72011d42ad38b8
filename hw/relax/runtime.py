"""What a compiled module calls for a composite: the array, simulated or on a board, and the host's parts around it.

Needs no TVM compiler: a library that was exported runs wherever this module was imported.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import tvm_ffi
from numpy.typing import NDArray

from edgeconv import errors, reference
from edgeconv.hw.compiler import ArrayRun, NetworkImage
from edgeconv.hw.host.board import Board
from edgeconv.hw.relax.package import Package, TensorPlace, package_from_text
from edgeconv.hw.sim.simulator import SimulatedArray

__all__ = ["ENTRY", "Array", "ArrayCall", "on_board", "recording", "run", "using"]

ENTRY = "edgeconv.fpga.run"
"""Name of `run` among TVM's global functions."""

_KEPT = 32

# Errors come back from TVM as themselves, not as RuntimeError.
for _name in errors.__all__:
    tvm_ffi.register_error(_name, getattr(errors, _name))


class Array(Protocol):
    """An array with a network in it."""

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> ArrayRun:
        """Run samples: integers (n, *shape) by name."""
        ...


Open = Callable[[NetworkImage], Array]
"""What makes an array of an image."""


@dataclass(frozen=True)
class ArrayCall:
    """A call of a composite: its symbol, and the array's cycles of each sample, from its own counter."""

    symbol: str
    cycles: NDArray[np.uint32]


_open: list[Open] = [SimulatedArray]
_recordings: list[list[ArrayCall]] = []


@contextmanager
def using(open_array: Open) -> Iterator[None]:
    """Run composites in here on other arrays than simulated ones.

    Args:
        open_array: called once for each composite.
    """
    _open.append(open_array)
    try:
        yield
    finally:
        _open.pop()


def on_board(board: Board) -> Open:
    """Composites on a board, simulated as a whole or real; it is loaded anew where another composite's turn comes."""
    return lambda image: _OnBoard(board, image)


@dataclass(frozen=True, eq=False)
class _OnBoard:
    board: Board
    image: NetworkImage

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> ArrayRun:
        self.board.load(self.image)
        return self.board.run(inputs)


@contextmanager
def recording() -> Iterator[list[ArrayCall]]:
    """Collect the calls of composites that are made in here."""
    calls: list[ArrayCall] = []
    _recordings.append(calls)
    try:
        yield calls
    finally:
        _recordings.remove(calls)


@lru_cache(maxsize=_KEPT)
def _package(text: str) -> Package:
    return package_from_text(text)


@lru_cache(maxsize=_KEPT)
def _array(text: str, open_array: Open) -> Array:
    return open_array(_package(text).image)


@tvm_ffi.register_global_func(ENTRY, override=True)
def run(text: str, samples: int, *addresses: Any) -> None:
    """Compute a composite.

    Args:
        text: its package.
        addresses: of dense row-major tensors: inputs, then results, in the order of the package.

    Raises:
        ArtifactError: the package is damaged.
        InputError: integers lie outside of the type that they stand for.
        ToolError, DeviceError: the array cannot be simulated, or fails.
    """
    package = _package(text)
    if samples == 0:
        return
    places = (*package.inputs, *package.outputs)
    arrays = [_at(address, samples, place) for address, place in zip(addresses, places, strict=True)]
    given = {place.name: array for place, array in zip(package.inputs, arrays, strict=False)}
    array = _array(text, _open[-1])
    cycles: list[NDArray[np.uint32]] = []

    def execute(integers: Mapping[str, NDArray[Any]]) -> Mapping[str, NDArray[Any]]:
        done = array.run(integers)
        cycles.append(done.cycles)
        return done.outputs

    found = package.ends.apply(given, reference.run, execute)
    for place, result in zip(package.outputs, arrays[len(package.inputs) :], strict=True):
        result[...] = found[place.name]
    for calls in _recordings:
        calls.append(ArrayCall(package.symbol, cycles[0]))


def _at(address: Any, samples: int, place: TensorPlace) -> NDArray[Any]:
    """Memory of the caller as an array (n, *shape)."""
    dtype = np.dtype(place.dtype)
    shape = (samples, *place.shape)
    size = int(np.prod(shape)) * dtype.itemsize
    memory = (ctypes.c_uint8 * size).from_address(address.value)
    return np.ctypeslib.as_array(memory).view(dtype).reshape(shape)

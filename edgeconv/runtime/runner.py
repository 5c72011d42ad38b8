"""Running an artifact in this process: numpy in, numpy out."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.artifact import Artifact, TensorInfo, read
from edgeconv.errors import InputError
from edgeconv.runtime.fastcall import make_fast_call
from edgeconv.runtime.library import Library

__all__ = ["Runner", "load", "never"]

Array = NDArray[np.generic]


def load(path: str | Path, isa: str | None = None, threads: int = 1, device: str | None = None) -> Runner:
    """Open an artifact and get it ready to run on this machine, under emulation where it is for another CPU.

    Args:
        isa: instruction set; the fastest that this machine runs when None.
        threads: that share a call; the results are the same bits for any number.
        device: of an artifact for the accelerator: "sim", "sim-soc" or "serial:PORT" (docs/soc.md).

    Raises:
        ArtifactError: not an artifact, altered, or of a newer version.
        DeviceError: this machine lacks the CPU features that it needs, or the device does not answer.
    """
    from edgeconv.runtime.ways import open_runner

    return open_runner(read(path), isa, threads, device)


class Runner:
    """A loaded model; a call runs it on one sample or on many.

    For an input of shape (1, 1, 128) arrays of shape (1, 1, 128), (N, 1, 128) and (N, 1, 1, 128) mean one, N and N
    samples; outputs have their batch axis in the same place. Runners may be used by any number of threads at once;
    long calls release the interpreter's lock.

    Attributes:
        artifact: what is run.
        inputs, outputs: names, types and shapes of one sample, in the order of the graph.
        isa: name of the instruction set in use.
        threads: the most that a call uses. Of two calls at once one has the helpers, the other does without.
    """

    def __init__(self, artifact: Artifact, isa: str | None = None, threads: int = 1) -> None:
        manifest = artifact.manifest
        self.artifact = artifact
        self.inputs, self.outputs = manifest.inputs, manifest.outputs
        self._library = _open_library(artifact, isa, threads)
        self.isa, self.threads = self._library.isa, threads
        self._threads = threading.local()
        fast = make_fast_call(self._library, manifest, self._new_scratch())
        self._fast: Callable[..., Any] = fast[0] if fast else never
        self._alive = fast  # what the fast call points at

    def __call__(self, x: Array | Mapping[str, Array], out: Any = None) -> Any:
        """Run the model.

        Args:
            x: the array of the single input, or a mapping of arrays by input name.
            out: where the results go, so that nothing is allocated: an array for a single output, else a mapping of
                arrays by output name. It must have the outputs' dtype and shape, be C-contiguous and share no memory
                with the inputs.

        Returns:
            the array of the single output, or a dict of arrays by output name; `out`, where it was given.

        Raises:
            InputError: a name, shape, dtype, memory order or value does not fit; says what was expected.
        """
        result = self._fast(x) if out is None else self._fast(x, out)
        return self._general(x, out) if result is None else result

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """Apply the model to n samples, with the interface of `edgeconv.reference.run`.

        Args:
            inputs: arrays of shape (n, *shape) by input name.

        Returns:
            arrays of shape (n, *shape) by output name.

        Raises:
            InputError: as for a call.
        """
        arrays = self._named_inputs(inputs)
        for tensor in self.inputs:
            if arrays[tensor.name].shape[1:] != tensor.shape:
                raise InputError(
                    f"input '{tensor.name}' has shape {arrays[tensor.name].shape}",
                    expected=f"(N, {', '.join(map(str, tensor.shape))})",
                )
        counts = {len(array) for array in arrays.values()}
        if len(counts) != 1:
            raise InputError(f"different numbers of samples: {sorted(counts)}")
        samples = counts.pop()
        results = self._results(None, samples, "leading")
        self._run(list(arrays.values()), list(results.values()), samples)
        return results

    def _general(self, x: Any, out: Any) -> Any:
        arrays = self._named_inputs(x)
        samples, axes = self._samples(arrays)
        results = self._results(out, samples, axes)
        for name, array in zip(arrays, arrays.values(), strict=True):
            for result in results.values():
                if out is not None and np.may_share_memory(array, result):
                    raise InputError(f"out shares memory with input '{name}'", expected="an array of its own")
        self._run(list(arrays.values()), list(results.values()), samples)
        if out is not None:
            return out
        return results if len(self.outputs) > 1 else next(iter(results.values()))

    def _run(self, arrays: list[Array], results: list[Array], samples: int) -> None:
        # A pointer to no samples may be null, which the C interface refuses.
        if samples == 0:
            return
        library = self._library
        pointers = (ctypes.c_void_p * len(arrays))(*(array.ctypes.data for array in arrays))
        into = (ctypes.c_void_p * len(results))(*(result.ctypes.data for result in results))
        status = library.check_inputs(pointers, samples, 1)
        if status != 0:
            self._refuse_outside(arrays)
            library.check(status)
        scratch = getattr(self._threads, "scratch", None)
        if scratch is None:
            scratch = self._threads.scratch = self._new_scratch()
        context = ctypes.addressof(library.context)
        library.check(library.run(context, pointers, into, scratch.ctypes.data, samples))

    def _new_scratch(self) -> NDArray[np.uint8]:
        manifest = self.artifact.manifest
        alignment = manifest.scratch_alignment
        size = -(-manifest.scratch_bytes // alignment) * alignment * self.threads
        memory = np.empty(size + alignment, np.uint8)
        start = -memory.ctypes.data % alignment
        return memory[start : start + size] if size else memory[start : start + 1]

    def _named_inputs(self, x: Any) -> dict[str, Array]:
        expected = [tensor.name for tensor in self.inputs]
        if not isinstance(x, Mapping) and len(expected) > 1:
            raise InputError(
                f"one array for {len(expected)} inputs", expected=f"a mapping with the names {', '.join(expected)}"
            )
        given: Mapping[str, Any] = x if isinstance(x, Mapping) else {expected[0]: x}
        if set(given) != set(expected):
            raise InputError(
                f"inputs named {', '.join(sorted(given)) or '(none)'}",
                expected=f"exactly {', '.join(sorted(expected))}",
            )
        return {tensor.name: _checked(given[tensor.name], tensor) for tensor in self.inputs}

    def _samples(self, arrays: Mapping[str, Array]) -> tuple[int, str]:
        """Number of samples, and where the batch axis is: "one" (nowhere), "batch" (first axis) or "leading"."""
        found = {name: _interpret(arrays[name].shape, tensor) for name, tensor in zip(arrays, self.inputs, strict=True)}
        counts = {count for count, _ in found.values()}
        if len(counts) > 1:
            text = ", ".join(f"{count} of '{name}'" for name, (count, _) in found.items())
            raise InputError(f"different numbers of samples: {text}", expected="the same number for every input")
        count, axes = next(iter(found.values()))
        if axes == "batch" and any(tensor.shape[:1] != (1,) for tensor in self.outputs):
            axes = "one" if count == 1 else "leading"
        return count, axes

    def _results(self, out: Any, samples: int, axes: str) -> dict[str, Array]:
        shapes = {tensor.name: _batched(tensor.shape, samples, axes) for tensor in self.outputs}
        if out is None:
            return {tensor.name: np.empty(shapes[tensor.name], tensor.dtype) for tensor in self.outputs}
        given = out if isinstance(out, Mapping) else {self.outputs[0].name: out}
        if set(given) != set(shapes):
            raise InputError(
                f"out has the names {', '.join(sorted(given))}", expected=f"exactly {', '.join(sorted(shapes))}"
            )
        for tensor in self.outputs:
            array, shape = given[tensor.name], shapes[tensor.name]
            if not isinstance(array, np.ndarray) or array.shape != shape or array.dtype != tensor.dtype:
                raise InputError(
                    f"out for '{tensor.name}' is {_seen(array)}", expected=f"{tensor.dtype} of shape {shape}"
                )
            if not array.flags.c_contiguous or not array.flags.writeable:
                raise InputError(f"out for '{tensor.name}' is not C-contiguous and writable")
        return {tensor.name: given[tensor.name] for tensor in self.outputs}

    def _refuse_outside(self, arrays: list[Array]) -> None:
        """Check that integers lie in the types that their containers stand for.

        Raises:
            InputError: names the input, what it holds and what it may hold.
        """
        for tensor, array in zip(self.inputs, arrays, strict=True):
            if tensor.bounds is None or not array.size:
                continue
            least, largest = int(array.min()), int(array.max())
            if least < tensor.bounds[0] or largest > tensor.bounds[1]:
                raise InputError(
                    f"input '{tensor.name}' holds {least}…{largest}",
                    expected=f"{tensor.bounds[0]}…{tensor.bounds[1]} ({tensor.type})",
                )


def _open_library(artifact: Artifact, isa: str | None, threads: int) -> Library:
    if not artifact.is_source:
        return Library(artifact.library, artifact.manifest, isa, threads)
    from edgeconv.artifact.c_target.host import host_library

    with host_library(artifact) as library:
        return Library(library, artifact.manifest, isa, threads)


def never(*_arguments: object) -> None:
    """The fast call of a model that has none."""


def _checked(array: Any, tensor: TensorInfo) -> Array:
    if not isinstance(array, np.ndarray):
        raise InputError(f"input '{tensor.name}' is {_seen(array)}", expected=f"a numpy array of {tensor.dtype}")
    if array.dtype != tensor.dtype or not array.dtype.isnative:
        raise InputError(
            f"input '{tensor.name}' has dtype {array.dtype}",
            expected=tensor.dtype,
            advice=f"x.astype('{tensor.dtype}'), if that is what the values mean",
        )
    if not array.flags.c_contiguous:
        raise InputError(
            f"input '{tensor.name}' is not C-contiguous (shape {array.shape}, strides {array.strides})",
            advice="numpy.ascontiguousarray(x)",
        )
    return array


def _interpret(shape: tuple[int, ...], tensor: TensorInfo) -> tuple[int, str]:
    sample = tensor.shape
    if shape == sample:
        return 1, "batch" if sample[:1] == (1,) else "one"
    if shape[1:] == sample:
        return shape[0], "leading"
    if sample[:1] == (1,) and len(shape) == len(sample) and shape[1:] == sample[1:]:
        return shape[0], "batch"
    many = [f"(N, {', '.join(map(str, sample))})" if sample else "(N,)"]
    if sample[:1] == (1,):
        many.insert(0, f"({', '.join(['N', *map(str, sample[1:])])}{',' if len(sample) == 1 else ''})")
    raise InputError(
        f"input '{tensor.name}' has shape {shape}", expected=f"{sample} for one sample, {' or '.join(many)} for N"
    )


def _batched(shape: tuple[int, ...], samples: int, axes: str) -> tuple[int, ...]:
    if axes == "batch":
        return (samples, *shape[1:])
    return shape if axes == "one" else (samples, *shape)


def _seen(value: object) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return f"of type {type(value).__name__}"

"""Running an artifact on an NVIDIA GPU: arrays of numpy, and of anything that lies on the GPU, without copies there.

On a machine without a GPU the same kernels run with loops in the places of threads (`isa="loops"`), to be checked.
"""

from __future__ import annotations

import ctypes
import dataclasses
import sys
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from edgeconv.artifact import Artifact, TensorInfo
from edgeconv.artifact.cuda_target.write import LOOPS_PROGRAM, loops_library
from edgeconv.artifact.manifest import ABI_VERSION, Manifest
from edgeconv.errors import (
    ArtifactError,
    DeviceCodeError,
    DeviceError,
    DeviceMemoryError,
    EdgeconvError,
    InputError,
    NoDeviceError,
    NoDriverError,
    OldDeviceError,
    OldDriverError,
    UsageError,
)
from edgeconv.runtime.cpu_features import host_architecture, supported_isas
from edgeconv.runtime.dlpack import Tensor, is_on_gpu, tensor_of
from edgeconv.runtime.emulated import PACKAGE, EmulatedRunner, emulator
from edgeconv.runtime.fastcall import make_fast_call
from edgeconv.runtime.library import Context
from edgeconv.runtime.runner import Runner, never
from edgeconv.runtime.team import check_threads

__all__ = ["CudaRunner", "advice", "gpu_problem", "how", "open_runner", "runnable_isas"]

_GPU, _LOOPS = "cuda", "loops"
_INSTALL_DRIVER = "install the GPU's driver; `nvidia-smi` lists what it sees"
# Status of edge.h -> error, and what to do.
_ERRORS: dict[int, tuple[type[EdgeconvError], str]] = {
    -20: (NoDriverError, _INSTALL_DRIVER),
    -21: (NoDeviceError, "`nvidia-smi` lists the GPUs; CUDA_VISIBLE_DEVICES may hide them"),
    -22: (OldDeviceError, "compile for this GPU: a target file with its architecture (docs/cuda.md)"),
    -23: (OldDriverError, "install a newer driver, or compile with an older nvcc"),
    -24: (DeviceCodeError, "compile the model again"),
    -25: (DeviceMemoryError, "free memory on the GPU, or take another one; `nvidia-smi` shows who uses it"),
}
_CUDA_ERROR = -26
_RESULT = 2  # of edge_ctx.reserved, in edge_cuda.c


class _Library:
    """The host library with an initialized context."""

    def __init__(self, artifact: Artifact, device: int) -> None:
        path = artifact.library
        try:
            self.handle = ctypes.CDLL(str(path.resolve()))
        except OSError as error:
            raise ArtifactError(f"{path} cannot be loaded: {error}", advice="compile the model again") from error
        self.handle.edge_strerror.restype = self.handle.edge_cuda_error.restype = ctypes.c_char_p
        self.handle.edge_cuda_driver_version.restype = ctypes.c_uint32
        self.handle.edge_cuda_needed_version.restype = ctypes.c_uint32
        self.run = self.handle.edge_run
        self.run.argtypes = (ctypes.c_void_p,) * 4 + (ctypes.c_int64,)
        self.check_inputs = self.handle.edge_check
        self.check_inputs.argtypes = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int)
        self.context = Context(abi_version=ABI_VERSION, threads=1)
        self.isa, self.threads = _GPU, 1
        self.handle.edge_cuda_select(ctypes.byref(self.context), device)
        self.check(self.handle.edge_init(ctypes.byref(self.context)))

    def check(self, status: int) -> None:
        """Raise the error that a status stands for."""
        if status == 0:
            return
        text = self.handle.edge_strerror(status).decode()
        name = self.handle.edge_cuda_error(ctypes.byref(self.context)).decode()
        if status == -23:
            found, needed = self.handle.edge_cuda_driver_version(), self.handle.edge_cuda_needed_version()
            text += f": it is for CUDA {_release(found)}, the code needs {_release(needed)}"
        kind, what_to_do = _ERRORS.get(status, (DeviceError, ""))
        advice = what_to_do or ("the GPU's state is lost: start the process again" if status == _CUDA_ERROR else None)
        raise kind(f"{text} ({name})" if name else text, advice=advice)

    def close(self) -> None:
        """Give back what is held on the GPU."""
        self.handle.edge_cuda_release(ctypes.byref(self.context))


def _release(version: int) -> str:
    return f"{version // 1000}.{version % 1000 // 10}"


class CudaRunner(Runner):
    """A model on a GPU; used like any `Runner`, and with arrays that lie there.

    Arrays of numpy are copied to the GPU and back; a call returns when its results are there. Arrays on the GPU (torch,
    CuPy, JAX, anything that speaks DLPack) are used where they lie; such a call returns at once, its work is in the
    stream, and values are not checked. Results of torch tensors are torch tensors; for others give `out`.

    Args:
        device: number of the GPU, as the driver counts.
    """

    def __init__(self, artifact: Artifact, isa: str | None = None, threads: int = 1, device: int = 0) -> None:
        check_threads(threads)
        manifest = artifact.manifest
        if isa not in (None, _GPU):
            raise UsageError(f"{artifact.path} does not carry the instruction set '{isa}'", expected="cuda or loops")
        if manifest.architecture != host_architecture():
            raise DeviceError(
                f"{artifact.path} is for a GPU in a machine with a CPU of kind {manifest.architecture}",
                expected=host_architecture(),
                advice="compile it with a target whose triple fits this machine",
            )
        self.artifact = artifact
        self.inputs, self.outputs = manifest.inputs, manifest.outputs
        self._library = _Library(artifact, device)  # type: ignore[assignment]
        self.isa, self.threads, self.device = _GPU, 1, device
        self._threads = threading.local()
        # The manifest asks for no scratch: the library has its own on the GPU.
        fast = make_fast_call(self._library, manifest, self._new_scratch())
        self._fast, self._alive = (fast[0] if fast else never), fast

    def close(self) -> None:
        """Give back the GPU's memory; the runner is of no use afterwards."""
        self._library.close()  # type: ignore[attr-defined]

    def __call__(self, x: Any, out: Any = None, stream: int | None = None) -> Any:
        """Run the model.

        Args:
            x: the array of the single input, or a mapping of arrays by input name.
            out: where the results go.
            stream: CUDA stream for arrays on the GPU, as a number; torch's current one, or the default, when None.

        Returns:
            as for `Runner`.

        Raises:
            InputError: a name, shape, dtype or memory order does not fit, or arrays lie on different devices.
            DeviceError: the driver reports an error.
        """
        if stream is None:
            result = self._fast(x) if out is None else self._fast(x, out)
            if result is not None:
                return result
        given = x if isinstance(x, Mapping) else {self.inputs[0].name: x}
        if not any(map(is_on_gpu, given.values())):
            return self._general(x, out)
        return self._on_gpu(given, out, stream)

    def _on_gpu(self, given: Mapping[str, Any], out: Any, stream: int | None) -> Any:
        names = [tensor.name for tensor in self.inputs]
        if set(given) != set(names):
            raise InputError(f"inputs named {', '.join(map(str, given))}", expected=f"exactly {', '.join(names)}")
        torch = _torch_of(given[names[0]])
        if stream is None:
            stream = int(torch.cuda.current_stream(self.device).cuda_stream) if torch else 0
        found = {name: tensor_of(given[name], f"input '{name}'", stream or 1) for name in names}
        for tensor in self.inputs:
            _require(found[tensor.name], tensor, f"input '{tensor.name}'", self.device)
        samples, axes = self._samples(found)  # type: ignore[arg-type]
        results = self._device_results(out, samples, axes, torch)
        into = {name: tensor_of(array, f"out for '{name}'", stream or 1) for name, array in results.items()}
        for tensor in self.outputs:
            _require(into[tensor.name], tensor, f"out for '{tensor.name}'", self.device)
            wanted = _shape(tensor, samples, axes)
            if into[tensor.name].shape != wanted:
                raise InputError(f"out for '{tensor.name}' has shape {into[tensor.name].shape}", expected=str(wanted))
        self._launch(list(found.values()), [into[tensor.name] for tensor in self.outputs], samples, stream)
        if out is not None:
            return out
        return results if len(self.outputs) > 1 else next(iter(results.values()))

    def _launch(self, inputs: list[Tensor], outputs: list[Tensor], samples: int, stream: int) -> None:
        if samples == 0:
            return
        library = self._library
        pointers, into = (
            (ctypes.c_void_p * len(tensors))(*(tensor.address for tensor in tensors)) for tensors in (inputs, outputs)
        )
        context = Context.from_buffer_copy(library.context)  # the stream is the call's own
        context.stream = stream
        status = library.run(ctypes.addressof(context), pointers, into, None, samples)
        library.context.reserved[_RESULT] = context.reserved[_RESULT]  # the driver's error, for the message
        library.check(status)

    def _device_results(self, out: Any, samples: int, axes: str, torch: Any) -> dict[str, Any]:
        if out is not None:
            given = out if isinstance(out, Mapping) else {self.outputs[0].name: out}
            expected = {tensor.name for tensor in self.outputs}
            if set(given) != expected:
                raise InputError(f"out has the names {', '.join(given)}", expected=f"exactly {', '.join(expected)}")
            return dict(given)
        if torch is None:
            raise InputError("arrays on the GPU without out=", expected="out=, an array on the GPU for each output")
        device = f"cuda:{self.device}"
        return {
            tensor.name: torch.empty(_shape(tensor, samples, axes), dtype=getattr(torch, tensor.dtype), device=device)
            for tensor in self.outputs
        }


def _torch_of(array: Any) -> Any:
    """The module torch, where this is one of its tensors; it is never loaded from here."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(array, torch.Tensor) else None


def _shape(tensor: TensorInfo, samples: int, axes: str) -> tuple[int, ...]:
    if axes == "batch":
        return (samples, *tensor.shape[1:])
    return tensor.shape if axes == "one" else (samples, *tensor.shape)


def _require(found: Tensor, tensor: TensorInfo, name: str, device: int) -> None:
    if found.dtype != tensor.dtype:
        raise InputError(f"{name} has dtype {found.dtype}", expected=tensor.dtype)
    if found.device[1] != device:
        raise InputError(f"{name} lies on GPU {found.device[1]}", expected=f"GPU {device}, where the model is")


def gpu_problem(artifact: Artifact) -> EdgeconvError | None:
    """Why the artifact cannot run on a GPU of this machine; None where it can."""
    try:
        CudaRunner(artifact).close()
    except EdgeconvError as error:
        return error
    return None


def open_runner(artifact: Artifact, isa: str | None = None, threads: int = 1) -> Runner:
    """A runner on the GPU, or of the loops (`isa="loops"`).

    Raises:
        DeviceError: there is no GPU that can run it; says why.
    """
    return _loops_runner(artifact, threads) if isa == _LOOPS else CudaRunner(artifact, isa, threads)


def _loops_runner(artifact: Artifact, threads: int) -> Runner:
    manifest = artifact.manifest
    compiled = next(isa for isa in manifest.isas if isa.name == _LOOPS)
    cpu_isa = _cpu_isa(manifest)
    as_cpu = dataclasses.replace(
        manifest,
        family="cpu",
        library=loops_library(manifest.library),
        executable=LOOPS_PROGRAM,
        isas=(dataclasses.replace(compiled, name=cpu_isa),),
        scratch_bytes=compiled.scratch_bytes,
        scratch_alignment=64,
    )
    kind = Runner if manifest.architecture == host_architecture() else EmulatedRunner
    runner = kind(Artifact(artifact.path, as_cpu), cpu_isa, threads)
    runner.isa = _LOOPS
    return runner


def _cpu_isa(manifest: Manifest) -> str:
    return "neon" if manifest.architecture == "aarch64" else "avx2"


@cache
def _driver_works() -> bool:
    """Whether CUDA's driver is here and sees a GPU."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except OSError:
        return False


def runnable_isas(manifest: Manifest) -> tuple[str, ...]:
    """The loops where the CPU fits or is emulated, and the GPU where there is one."""
    if manifest.architecture != host_architecture():
        return (_LOOPS,) if emulator(manifest) else ()
    loops = (_LOOPS,) if _cpu_isa(manifest) in supported_isas() else ()
    return (*loops, _GPU) if _driver_works() else loops


def how(manifest: Manifest) -> str:
    """What the loops for another CPU run under; on their own nothing stands between code and machine."""
    return "qemu" if emulator(manifest) else ""


def advice(manifest: Manifest) -> str | None:
    """What would make it run here."""
    here = "run it on a machine with an NVIDIA GPU and its driver"
    if manifest.architecture == host_architecture():
        return here
    return f"{here}; apt-get install {PACKAGE} runs its loops under emulation"

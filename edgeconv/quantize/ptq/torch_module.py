"""`edgeconv.quantize` for torch modules: exported to float ONNX, then the same way."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeconv.errors import UnsupportedModelError, UsageError
from edgeconv.quantize.ptq.post_training import quantize_onnx
from edgeconv.quantize.ptq.results import QuantizeReport

__all__ = ["export_module", "quantize_module"]

_OPSET = 17


def quantize_module(
    module: nn.Module, example_inputs: Tensor | Sequence[Tensor], output: str | Path | None = None, **options: Any
) -> QuantizeReport:
    """Quantize a torch module after training.

    The float model is written beside the quantized one, as NAME.float.onnx, for `edgeconv verify --float`.

    Args:
        module: any module that `torch.onnx.export` can trace; it is copied and put in evaluation mode.
        example_inputs: one batch, as forward takes it.
        output: file to write; the class's name with `.q.onnx` in the current folder when None.
        options: those of `quantize_onnx`. Calibration and evaluation samples may also be tensors, or iterables of
            batches, such as a DataLoader; of a batch (x, ..., target) as many entries are used as forward has inputs,
            and in evaluation data one more, the target.

    Raises:
        UnsupportedModelError: torch cannot export the module.
        UsageError: example inputs that are no tensors.
        EdgeconvError: see `quantize_onnx`.
    """
    examples = (example_inputs,) if isinstance(example_inputs, Tensor) else tuple(example_inputs)
    if not examples or not all(isinstance(example, Tensor) for example in examples):
        raise UsageError("example_inputs holds no tensors", expected="a tensor, or a sequence of them")
    target = Path(output) if output is not None else Path(f"{type(module).__name__.lower()}.q.onnx")
    stem = target.name.removesuffix(".onnx").removesuffix(".q")
    floating = target.with_name(f"{stem}.float.onnx")
    names = export_module(module, examples, floating)
    for option, extra in (("calibration", 0), ("evaluation", 1)):
        if not isinstance(options.get(option), (str, Path, type(None))):
            options[option] = _arrays(options[option], names, extra)
    return quantize_onnx(floating, target, **options)


def export_module(module: nn.Module, examples: Sequence[Tensor], path: Path) -> tuple[str, ...]:
    """Write a module as float ONNX with a symbolic leading dimension "n", and return the names of its inputs.

    By torch's TorchScript exporter, as in training (`edgeconv.quantize.export`): the newer one gives the same operators
    for the six networks of docs/quantize.md and takes 1 to 4 s for each instead of less than one.

    Raises:
        UnsupportedModelError: torch cannot export it.
    """
    names = tuple(inspect.signature(module.forward).parameters)[: len(examples)]
    evaluated = copy.deepcopy(module).eval()
    with torch.no_grad():
        results = evaluated(*examples)
    count = 1 if isinstance(results, Tensor) else len(results)
    outputs = ["output"] if count == 1 else [f"output{i}" for i in range(count)]
    with warnings.catch_warnings():
        # The exporter announces its own deprecation and the tracing of constants on every call.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                evaluated,
                tuple(examples),
                str(path),
                input_names=list(names),
                output_names=outputs,
                dynamic_axes={name: {0: "n"} for name in (*names, *outputs)},
                opset_version=_OPSET,
                dynamo=False,
            )
        except Exception as error:  # torch raises many types that share no base
            reason = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
            raise UnsupportedModelError(
                f"torch cannot export {type(module).__name__}: {reason}",
                expected="a module without control flow that depends on data",
                advice="export it to ONNX yourself and give the file: edgeconv quantize MODEL.onnx",
            ) from error
    return names


def _arrays(data: Any, names: tuple[str, ...], extra: int) -> dict[str, NDArray[Any]]:
    """Samples as arrays by input name; `extra` entries more of a batch are targets."""
    if isinstance(data, Mapping):
        return {name: _array(values) for name, values in data.items()}
    if isinstance(data, (Tensor, np.ndarray)):
        return {names[0]: _array(data)}
    parts: dict[str, list[NDArray[Any]]] = {}
    wanted = (*names, "target")[: len(names) + extra]
    for batch in data if isinstance(data, Iterable) else ():
        entries = batch if isinstance(batch, (tuple, list)) else (batch,)
        for name, values in zip(wanted, entries, strict=False):
            parts.setdefault(name, []).append(_array(values))
    if not parts:
        raise UsageError("samples that hold no batch", expected="arrays, tensors, or an iterable of batches")
    return {name: np.concatenate(arrays) for name, arrays in parts.items()}


def _array(values: Any) -> NDArray[Any]:
    return values.detach().cpu().numpy() if isinstance(values, Tensor) else np.asarray(values)

"""`edgeconv.quantize` for ONNX files: read, calibrate, quantize, judge, write."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from edgeconv.errors import UsageError
from edgeconv.importer.graph import GraphInput
from edgeconv.importer.inputs import declared_inputs
from edgeconv.importer.read import read_model
from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.ptq.calibration import DRAWN, Samples, draw_samples, read_samples, take_samples
from edgeconv.quantize.ptq.judge import activation_rows, evaluate, weight_rows
from edgeconv.quantize.ptq.prepare import prepare
from edgeconv.quantize.ptq.quantizer import quantize_prepared
from edgeconv.quantize.ptq.results import QuantizeReport

__all__ = ["Data", "quantize_onnx"]

Array = NDArray[np.generic]
Data = str | Path | Mapping[str, Array] | Array
"""Samples: a file or folder, arrays by input name, or one array for a single input."""
DRAWN_SAMPLES = 128
_JUDGED = 256
_LOG = logging.getLogger(__name__)


def quantize_onnx(
    model: str | Path,
    output: str | Path | None = None,
    *,
    calibration: Data | None = None,
    policy: QuantPolicy | None = None,
    evaluation: Data | None = None,
    shapes: Mapping[str, int] | None = None,
    share_concat: bool = False,
    correct_bias: bool = True,
    seed: int = 0,
    progress: Callable[[str], None] = lambda _: None,
) -> QuantizeReport:
    """Quantize a float ONNX model after training.

    The same model, samples and versions give the same bytes on one machine.

    Args:
        model: the ONNX file, float32.
        output: file to write; the model's name with `.q.onnx` in the current folder when None.
        calibration: samples like those that the model will see; ranges of activations come from them. `normal` (also
            when None) or `uniform` draws samples, and the accuracy on real ones is unknown.
        policy: bits by layer name, calibration method, kinds of scales; 8 bits over the whole range when None.
        evaluation: further samples, with targets under an output's name or, for a single output, under any.
        shapes: extents of symbolic dimensions other than the batch, which the quantized model then has.
        share_concat: one grid for all parts of a concatenation, which then only moves bytes; else each
            part keeps its own.
        correct_bias: biases make up for the mean error of their layers on the calibration samples.
        seed: of drawn samples.

    Raises:
        ModelFileError, UnsupportedModelError, QuantizationError: the model is damaged, has operators without an integer
            form (all nodes are listed), or is quantized already.
        InputError: samples that do not fit the model's inputs.
        UsageError: a rule of the policy matches no layer, or the output cannot be written.
    """
    path = Path(model)
    target = Path(output) if output is not None else Path(path.stem + ".q.onnx")
    _check_target(path, target)
    policy = policy or QuantPolicy(calibration="minmax")
    progress("reading the model")
    prepared = prepare(path)
    graph = read_model(prepared, str(path), shapes or {})
    _fix_shapes(prepared, shapes or {})
    drawn = calibration is None or (isinstance(calibration, str) and calibration in DRAWN)
    if drawn:
        distribution = str(calibration or DRAWN[0])
        samples = draw_samples(graph.inputs, distribution, DRAWN_SAMPLES, seed)
        where = f"drawn at random ({distribution}, seed {seed})"
        _LOG.warning("calibrated on random samples: accuracy on real data is unknown; give some with --calibration")
    else:
        assert calibration is not None
        samples, _ = _samples(calibration, graph.inputs, "calibration")
        where = str(calibration) if isinstance(calibration, (str, Path)) else "arrays"
    measured = None if evaluation is None else _samples(evaluation, graph.inputs, "evaluation")
    quantized = quantize_prepared(
        prepared, graph, samples, policy, share_concat=share_concat, correct_bias=correct_bias, progress=progress
    )
    progress("comparing with the float model")
    judged = {name: array[:_JUDGED] for name, array in samples.items()}
    rows, outputs = activation_rows(prepared, quantized, judged)
    metrics = () if measured is None else evaluate(prepared, quantized, *measured, "evaluation")
    _write(quantized.model, target, path)
    return QuantizeReport(
        path=target,
        calibration=where,
        samples=len(next(iter(samples.values()))),
        drawn=drawn,
        activations=rows,
        weights=weight_rows(quantized),
        float_bytes=sum(onnx.numpy_helper.to_array(tensor).nbytes for tensor in prepared.graph.initializer),
        weight_bytes=quantized.weight_bytes,
        outputs=outputs,
        metrics=metrics,
    )


def _check_target(path: Path, target: Path) -> None:
    if target.is_dir() or not target.parent.is_dir():
        found = "is a folder" if target.is_dir() else f"the folder {target.parent} does not exist"
        raise UsageError(f"output {target}: {found}", expected="a file name in an existing folder")
    if target.exists() and path.exists() and target.samefile(path):
        raise UsageError(f"output {target} is the model itself", expected="another file name")


def _samples(data: Data, inputs: tuple[GraphInput, ...], meaning: str) -> tuple[Samples, dict[str, Array]]:
    if isinstance(data, (str, Path)):
        return read_samples(Path(data), inputs)
    arrays = data if isinstance(data, Mapping) else {inputs[0].name: np.asarray(data)}
    return take_samples(arrays, inputs, meaning)


def _fix_shapes(model: onnx.ModelProto, shapes: Mapping[str, int]) -> None:
    """Give named dimensions of the inputs their extents; those of the outputs follow by inference."""
    for declared, value in zip(declared_inputs(model), model.graph.input, strict=True):
        for dimension, name in zip(value.type.tensor_type.shape.dim, declared.dimensions, strict=True):
            if isinstance(name, str) and name in shapes:
                dimension.dim_value = shapes[name]
    for value in model.graph.output if shapes else ():
        value.type.tensor_type.ClearField("shape")


def _write(model: onnx.ModelProto, target: Path, source: Path) -> None:
    """Write beside the target and rename: a killed run leaves no half file."""
    model.producer_name, model.producer_version = "edgeconv", ""
    model.doc_string = f"quantized from {source.name}, sha256 {hashlib.sha256(source.read_bytes()).hexdigest()}"
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(model.SerializeToString(deterministic=True))
        partial.replace(target)
    except OSError as error:
        raise UsageError(f"{target} could not be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)

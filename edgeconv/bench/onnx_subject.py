"""onnxruntime beside the artifact: one thread, its default optimizations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import onnxruntime

from edgeconv.errors import ToolError, UsageError

__all__ = ["onnx_callable"]


def onnx_callable(model: Path, samples: Mapping[str, Any], batch: int, notes: list[str]) -> Callable[[], Any] | None:
    """A function that runs the model once on the samples; None, with a note, where it does not take that batch.

    Raises:
        UsageError: the model is missing.
        ToolError: onnxruntime cannot run it.
    """
    if not model.is_file():
        raise UsageError(f"{model}: no such file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises many types that share no base of its own
        raise ToolError(f"onnxruntime cannot load {model}: {error}") from error
    feeds = dict(samples)
    fixed = [entry for entry in session.get_inputs() if isinstance(entry.shape[0], int) and entry.shape[0] != batch]
    if batch > 1 and fixed:
        notes.append(f"onnxruntime was not measured at batch {batch}: {model.name} has a fixed batch axis")
        return None
    try:
        session.run(None, feeds)
    except Exception as error:
        raise ToolError(f"onnxruntime cannot run {model}: {error}") from error
    return lambda: session.run(None, feeds)

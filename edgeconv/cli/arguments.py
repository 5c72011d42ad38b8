"""Values of options that several verbs take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeconv.errors import InputError, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def split_pair(item: str, option: str) -> tuple[str, str]:
    """NAME and VALUE of `option NAME=VALUE`; the name may hold an equals sign."""
    name, equals, value = item.rpartition("=")
    if not equals or not name or not value:
        raise UsageError(f"{option} {item}", expected="NAME=VALUE")
    return name, value


def read_shapes(items: Sequence[str]) -> dict[str, int]:
    """Extents of symbolic dimensions from `--shape NAME=N` options."""
    shapes = {}
    for item in items:
        name, value = split_pair(item, "--shape")
        if not value.isdecimal() or int(value) < 1:
            raise UsageError(f"--shape {item}", expected="NAME=N with a whole number N from 1 on")
        shapes[name] = int(value)
    return shapes


def read_samples(source: Path, artifact: Path) -> dict[str, NDArray[np.generic]]:
    """Samples for an artifact from a .npz or .npy file, as arrays of shape (n, *shape of one sample).

    Raises:
        InputError: names, dtypes or shapes do not fit the inputs.
    """
    from edgeconv.artifact import read
    from edgeconv.runtime.files import read_inputs

    tensors = read(artifact).manifest.inputs
    arrays: dict[str, Any] = read_inputs(str(source), tensors)
    for tensor in tensors:
        array = arrays.get(tensor.name)
        fits = array is not None and str(array.dtype) == tensor.dtype
        if array is None or not fits or array.shape[1:] not in (tensor.shape, tensor.shape[1:]):
            found = "is missing" if array is None else f"has shape {array.shape} and dtype {array.dtype}"
            expected = f"(N, {', '.join(map(str, tensor.shape))}) of {tensor.dtype}"
            raise InputError(f"{source}: input '{tensor.name}' {found}", expected=expected)
        arrays[tensor.name] = array.reshape(-1, *tensor.shape)
    return arrays

"""How a continuous stream of points is cut into samples and answered with records (docs/streaming.md)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from math import prod

from edgeconv.artifact.manifest import StreamSettings, TensorInfo
from edgeconv.errors import UsageError

__all__ = ["BYTE_ORDERS", "PARTIALS", "RECORDS", "STREAM_DTYPES", "StreamSettings", "default_settings", "settings_for"]

STREAM_DTYPES = {
    "i8": "i1", "u8": "u1", "i16": "i2", "u16": "u2", "i32": "i4", "u32": "u4", "i64": "i8", "f32": "f4", "f64": "f8",
}  # fmt: skip
"""Element types of a stream, and numpy's codes for them."""
BYTE_ORDERS = ("little", "big")
RECORDS = ("text", "raw")
PARTIALS = ("drop", "zero", "error")

_NAMES_OF_CONTAINERS = {
    "int8": "i8", "uint8": "u8", "int16": "i16", "uint16": "u16", "int32": "i32", "uint32": "u32", "int64": "i64",
    "float32": "f32",
}  # fmt: skip


def default_settings(inputs: Sequence[TensorInfo]) -> StreamSettings | None:
    """What a model's input suggests: its own type, windows side by side; None where the model has several inputs."""
    if len(inputs) != 1:
        return None
    (tensor,) = inputs
    # (1, channels, positions, …): a stream brings the channels of a position together.
    channels = tensor.shape[1] if len(tensor.shape) > 2 else 1
    window = prod(tensor.shape) // channels
    return StreamSettings(_NAMES_OF_CONTAINERS[tensor.dtype], "little", channels, window, window)


def settings_for(
    inputs: Sequence[TensorInfo], base: StreamSettings | None, changes: Mapping[str, str | int | bool | None]
) -> StreamSettings:
    """`base` with changes, checked against the model's input.

    Args:
        base: of the manifest, or of `default_settings`.
        changes: by field; None changes nothing. A window alone implies the channels, and the other way round; a hop
            that was equal to the window stays so.

    Raises:
        UsageError: the model has several inputs, or a value does not fit it; says what would.
    """
    if base is None or len(inputs) != 1:
        names = ", ".join(tensor.name for tensor in inputs)
        raise UsageError(f"a stream for {len(inputs)} inputs ({names})", expected="a model with one input")
    (tensor,) = inputs
    given = {name: value for name, value in changes.items() if value is not None}
    elements = prod(tensor.shape)
    for one, other in (("channels", "window"), ("window", "channels")):
        if one in given and other not in given and int(given[one]) >= 1:
            given[other] = elements // int(given[one])
    if "window" in given and "hop" not in given and base.hop == base.window:
        given["hop"] = given["window"]
    settings = dataclasses.replace(base, **given)  # type: ignore[arg-type]
    _check(settings, tensor, elements)
    return settings


def _check(settings: StreamSettings, tensor: TensorInfo, elements: int) -> None:
    for name, value, allowed in (
        ("dtype", settings.dtype, tuple(STREAM_DTYPES)),
        ("byte order", settings.byte_order, BYTE_ORDERS),
        ("record", settings.record, RECORDS),
        ("partial", settings.partial, PARTIALS),
    ):
        if value not in allowed:
            raise UsageError(f"stream {name} '{value}'", expected=", ".join(allowed))
    if settings.hop < 1:
        raise UsageError(f"hop {settings.hop}", expected="a whole number from 1 on")
    if settings.channels < 1 or settings.window < 1 or settings.channels * settings.window != elements:
        raise UsageError(
            f"{settings.channels} channels in a window of {settings.window} points",
            expected=f"channels · window = {elements}, the values of input '{tensor.name}'",
        )
    if settings.dtype[0] == "f" and tensor.type[0] != "f":
        raise UsageError(
            f"a stream of {settings.dtype} for input '{tensor.name}', which is {tensor.type}",
            expected="an integer dtype",
            advice="the input takes the quantizer's integers; see its scale in `edgeconv inspect`",
        )

"""`manifest.json`: what an artifact holds, as data, with the hash of every file and of itself."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from edgeconv.errors import ArtifactError

__all__ = [
    "ABI_VERSION",
    "FORMAT_VERSION",
    "MANIFEST_NAME",
    "CompiledIsa",
    "FileEntry",
    "LayerInfo",
    "Manifest",
    "StreamSettings",
    "TensorInfo",
    "TunedBlocking",
    "Tuning",
    "parse_manifest",
    "render_manifest",
]

MANIFEST_NAME = "manifest.json"
FORMAT_VERSION = 1
"""Version of the folder's layout and of the manifest's fields."""
ABI_VERSION = 2
"""Version of the C interface: EDGE_ABI_VERSION of edge.h."""

_NO_SEAL = "0" * 64


@dataclass(frozen=True)
class TensorInfo:
    """One input or output.

    Attributes:
        name: of the graph.
        type: element type of the program, such as `u8`, `i12` or `f32`.
        dtype: numpy's name of its container, such as `uint8`.
        shape: of one sample.
        scale, zero_point: real = scale·(integer - zero_point), where the program says so; one value, or one per
            channel. For a float tensor those of the quantizer beside it.
        unit: of the real value, where the user told it.
    """

    name: str
    type: str
    dtype: str
    shape: tuple[int, ...]
    scale: tuple[float, ...] | None = None
    zero_point: int | None = None
    unit: str | None = None

    @property
    def bounds(self) -> tuple[int, int] | None:
        """The least and the largest integer of its type, which its container may exceed; None for floats."""
        if self.type[0] == "f":
            return None
        bits = int(self.type[1:])
        return (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if self.type[0] == "i" else (0, (1 << bits) - 1)


@dataclass(frozen=True)
class LayerInfo:
    """One operator of the program.

    Attributes:
        output: tensor it writes.
        operator: keyword of the program's text form.
        origin: ONNX node it came from.
        type, shape: of the output, for one sample.
        macs: multiply-accumulates for one sample.
        weights: number of constant weights and biases it reads.
        forms: per policy, how many channels each form of requantization computes.
    """

    output: str
    operator: str
    origin: str
    type: str
    shape: tuple[int, ...]
    macs: int
    weights: int
    forms: dict[str, dict[str, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class CompiledIsa:
    """One instruction set that the library carries.

    Attributes:
        policy: which certificate its forms are proved in.
        features: CPU flags it needs, under the names of /proc/cpuinfo.
        object_bytes: size of the object file that was linked.
        blob_bytes: packed weights and constants.
        scratch_bytes: working memory of one call.
        blob_sha256: hash of its blob.
        cpu: LLVM's name of the processor it was scheduled for; empty for that of the instruction set.
    """

    name: str
    policy: str
    features: tuple[str, ...]
    object_bytes: int
    blob_bytes: int
    scratch_bytes: int
    blob_sha256: str
    cpu: str = ""


@dataclass(frozen=True)
class StreamSettings:
    """How `run --stream` reads a stream and writes records: docs/streaming.md.

    Attributes:
        dtype: element type of the stream, such as `i16`.
        byte_order: "little" or "big".
        channels: values of a point, which follow one another.
        window, hop: points of a sample, and from the start of a sample to the start of the next.
        record: "text" or "raw".
        index: whether a record begins with the index of its first point.
        partial: what becomes of points after the last whole window: "drop", "zero" (filled up) or "error".
    """

    dtype: str
    byte_order: str
    channels: int
    window: int
    hop: int
    record: str = "text"
    index: bool = True
    partial: str = "drop"


@dataclass(frozen=True)
class TunedBlocking:
    """A blocking that was measured to be faster than the cycle model's.

    Attributes:
        output: tensor that the step writes.
        part: of the step: the kernel's name, and which of its loops it is about.
        axes: what the numbers of a blocking count.
        modelled, chosen: the cycle model's blocking, and the one that the code has.
        seconds: of the step alone, with the one and with the other.
    """

    output: str
    part: str
    axes: tuple[str, ...]
    modelled: tuple[int, ...]
    chosen: tuple[int, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Tuning:
    """What `compile --tune` measured: docs/performance.md.

    Attributes:
        isa: instruction set that was tuned; the others have the cycle models' blockings.
        processor: that measured.
        steps: that had several blockings to choose from.
        changed: where another one was faster than the cycle model's.
    """

    isa: str
    processor: str
    steps: int
    changed: tuple[TunedBlocking, ...] = ()

    def picks(self, isa: str) -> dict[tuple[str, str], tuple[int, ...]]:
        """The blockings by output and part, for the instruction set that was tuned; for others none."""
        return {(found.output, found.part): found.chosen for found in self.changed} if isa == self.isa else {}


@dataclass(frozen=True)
class FileEntry:
    """Size and SHA-256 of one file."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """All fields of `manifest.json`; docs/artifact.md explains them.

    Attributes:
        format, arithmetic, abi: versions of the folder, of docs/arithmetic.md and of the C interface.
        edgeconv: version that compiled it.
        name: of the model; files in lib/ and include/ carry it.
        target, triple: what it was compiled for.
        family: of the target (`cpu`, `c`, …): which backend made it and which runner runs it.
        library: path of the shared library in the folder, or of the C source (target c).
        executable: path of edge-run, and `executable_libc`: "musl" (static, no libc needed) or "glibc" (static); both
            empty where there is none.
        scratch_bytes, scratch_alignment: working memory of one call, the largest of all instruction sets.
        weight_bytes: constants of the program, packed as on disk before compression.
        macs: multiply-accumulates for one sample.
        source: name and SHA-256 of the model file.
        fused: whether requantizations were fused into the operators before them (the results are the same bits).
        one_thread: whether the code was made so that no call can be shared by threads.
        toolchain: names and versions of what made the code: the same give the same library, byte by byte.
        stream: defaults of `run --stream`, or None where the model has several inputs.
        settings: fields of the target file that shape the code beyond instruction sets (part, clock_mhz, …).
        tuning: blockings that were measured, or None: then all are those of the cycle models.
        timings: figures a benchmark recorded, or None.
        files: every file of the folder but the manifest.
    """

    format: int
    arithmetic: int
    abi: int
    edgeconv: str
    name: str
    target: str
    triple: str
    library: str
    executable: str
    executable_libc: str
    scratch_bytes: int
    scratch_alignment: int
    weight_bytes: int
    macs: int
    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]
    isas: tuple[CompiledIsa, ...]
    layers: tuple[LayerInfo, ...]
    source: dict[str, str]
    fused: bool
    toolchain: dict[str, str]
    family: str = "cpu"
    one_thread: bool = False
    stream: StreamSettings | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    tuning: Tuning | None = None
    timings: dict[str, Any] | None = None
    files: dict[str, FileEntry] = field(default_factory=dict)

    @property
    def architecture(self) -> str:
        """CPU architecture, the first part of the triple; empty for C source."""
        return self.triple.split("-")[0]

    @property
    def policies(self) -> tuple[str, ...]:
        """Policies of the instruction sets, each once, in order."""
        return tuple(dict.fromkeys(isa.policy for isa in self.isas))


def render_manifest(manifest: Manifest) -> str:
    """The text of `manifest.json`. Its last field is the SHA-256 of the text with 64 zeros in the hash's place."""
    values = dataclasses.asdict(manifest) | {"sha256": _NO_SEAL}
    text = json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":")) + "\n"
    return _with_seal(text, _NO_SEAL, hashlib.sha256(text.encode()).hexdigest())


def _with_seal(text: str, found: str, seal: str) -> str:
    """The text with the last field's value replaced."""
    before, _, after = text.rpartition(found)
    return before + seal + after


def parse_manifest(text: str, path: Path) -> Manifest:
    """Read what `render_manifest` gave.

    Args:
        path: of the artifact, for messages.

    Raises:
        ArtifactError: not a manifest, altered, or of a newer version than this edgeconv knows.
    """
    try:
        values = json.loads(text)
        seal = values.pop("sha256")
        format_ = int(values["format"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ArtifactError(
            f"{path / MANIFEST_NAME} is not the manifest of an artifact: {error}", advice="compile the model again"
        ) from error
    # A newer format may have other fields and another seal: its version is looked at first.
    _require_version(path, "folder format", format_, FORMAT_VERSION)
    expected = hashlib.sha256(_with_seal(text, str(seal), _NO_SEAL).encode()).hexdigest()
    if seal != expected:
        raise ArtifactError(
            f"{path / MANIFEST_NAME} was altered: its SHA-256 is {expected[:16]}…",
            expected=f"{str(seal)[:16]}…",
            advice="compile the model again; an artifact is not to be edited",
        )
    _require_version(path, "C interface", int(values.get("abi", 0)), ABI_VERSION)
    try:
        manifest = _build(Manifest, values)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise ArtifactError(f"{path / MANIFEST_NAME}: {error}", advice="compile the model again") from error
    assert isinstance(manifest, Manifest)
    return manifest


def _require_version(path: Path, what: str, found: int, known: int) -> None:
    if found != known:
        advice = "update edgeconv, or compile the model again" if found > known else "compile the model again"
        raise ArtifactError(f"{path}: {what} version {found}", expected=f"version {known}", advice=advice)


def _build(kind: Any, value: Any) -> Any:
    """A value of JSON as the annotated type: dataclasses, tuples, mappings, optional and plain values."""
    origin = get_origin(kind)
    if origin is UnionType:
        return None if value is None else _build(get_args(kind)[0], value)
    if origin is tuple:
        return tuple(_build(get_args(kind)[0], item) for item in value)
    if origin is dict:
        return {key: _build(get_args(kind)[1], item) for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        known: Mapping[str, Any] = {key: _build(hints[key], item) for key, item in value.items()}
        return kind(**known)  # type: ignore[operator]
    if kind is Any:
        return value
    if kind is float and isinstance(value, int):
        return float(value)
    if not isinstance(value, kind):
        raise TypeError(f"found {value!r}, expected {kind.__name__}")
    return value

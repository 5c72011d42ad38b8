"""From a path to an ONNX model whose tensors are all in memory, its functions inlined and its operator set checked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import external_data_helper, inliner

from edgeconv.errors import ModelFileError, UnsupportedModelError
from edgeconv.importer import scan_function
from edgeconv.importer.scan import check_scan_functions

OPSETS = range(9, 26)
QONNX_DOMAINS = ("qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general", "finn")
_EXPORT_AGAIN = "export or download the model again"


def load(path: Path) -> onnx.ModelProto:
    """Read a model file.

    Raises:
        ModelFileError: missing, not ONNX, truncated, corrupt, or without its external data.
        UnsupportedModelError: an operator set outside 9 to 25.
    """
    model = _parse(path)
    _check_content(model, path)
    _load_external_data(model, path)
    _check_opset(model)
    inlined = _inlined(model)
    check_scan_functions(inlined)
    return inlined


def _parse(path: Path) -> onnx.ModelProto:
    if not path.exists():
        raise ModelFileError(f"{path}: no such file", expected="an ONNX model", advice="check the path")
    if path.is_dir():
        raise ModelFileError(f"{path}: a folder", expected="an ONNX file", advice="name the .onnx file inside it")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path}: {error.strerror}", expected="a readable file") from error
    try:
        return onnx.load_from_string(data)
    except Exception as error:  # protobuf's DecodeError; protobuf is onnx's dependency, not ours
        raise ModelFileError(
            f"{path}: not an ONNX model, or a truncated one", expected="an ONNX model", advice=_EXPORT_AGAIN
        ) from error


def _check_content(model: onnx.ModelProto, path: Path) -> None:
    # Protobuf accepts many byte sequences: an empty file is a valid message with nothing in it.
    if not model.ir_version or not model.graph.node or not model.graph.output or not model.opset_import:
        missing = "nodes" if not model.graph.node else "outputs" if not model.graph.output else "version numbers"
        raise ModelFileError(
            f"{path}: not an ONNX model (it has no {missing})", expected="an ONNX model", advice=_EXPORT_AGAIN
        )
    known = {tensor.name for tensor in model.graph.initializer} | {value.name for value in model.graph.input}
    known |= {tensor.values.name for tensor in model.graph.sparse_initializer} | {""}
    for node in model.graph.node:
        for name in node.input:
            if name not in known:
                raise ModelFileError(
                    f"{path}: node '{node.name or node.op_type}' reads '{name}', which nothing before it makes",
                    expected="nodes in execution order",
                    advice=_EXPORT_AGAIN,
                )
        known.update(node.output)
    for output in model.graph.output:
        if not output.name or output.name not in known:
            raise ModelFileError(
                f"{path}: nothing makes the output '{output.name}'",
                expected="a node for every output",
                advice=_EXPORT_AGAIN,
            )


def _load_external_data(model: onnx.ModelProto, path: Path) -> None:
    folder = path.parent.resolve()
    for tensor in _tensors(model):
        if not external_data_helper.uses_external_data(tensor):
            continue
        entries = {entry.key: entry.value for entry in tensor.external_data}
        location = entries.get("location", "")
        file = (folder / location).resolve()
        if not location or folder not in file.parents:
            raise ModelFileError(
                f"{path}: the data of tensor '{tensor.name}' lies at {location!r}, outside the model's folder",
                expected="a file beside the model",
                advice="save the model again with its data beside it",
            )
        if not file.is_file():
            raise ModelFileError(
                f"{path}: the data of tensor '{tensor.name}' lies in '{location}', which is missing",
                expected=f"the file {file}",
                advice="copy the data file into the folder of the model; the two belong together",
            )
        _load_tensor(tensor, entries, file, path)


def _tensors(model: onnx.ModelProto) -> Iterator[onnx.TensorProto]:
    yield from model.graph.initializer
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def _load_tensor(tensor: onnx.TensorProto, entries: dict[str, str], file: Path, path: Path) -> None:
    try:
        offset, length = int(entries.get("offset", 0)), int(entries.get("length", -1))
    except ValueError as error:
        raise ModelFileError(f"{path}: tensor '{tensor.name}' has a malformed data reference") from error
    available = file.stat().st_size - offset
    if offset < 0 or available < max(length, 0):
        raise ModelFileError(
            f"{path}: '{file.name}' ends before the data of tensor '{tensor.name}'",
            expected=f"{offset + length} bytes, found {file.stat().st_size}",
            advice="copy or download the data file again; it is truncated",
        )
    with file.open("rb") as stream:
        stream.seek(offset)
        tensor.raw_data = stream.read(length if length >= 0 else available)
    tensor.data_location = onnx.TensorProto.DEFAULT
    del tensor.external_data[:]


def _check_opset(model: onnx.ModelProto) -> None:
    versions = [entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    if not versions:
        raise ModelFileError("the model names no version of the ONNX operator set", advice=_EXPORT_AGAIN)
    if versions[0] not in OPSETS:
        older = versions[0] < OPSETS.start
        raise UnsupportedModelError(
            f"the model uses ONNX operator set {versions[0]}",
            expected=f"{OPSETS.start} to {OPSETS.stop - 1}",
            advice="onnx.version_converter.convert_version(model, 17)"
            if older
            else f"export with opset_version={OPSETS.stop - 1} or lower",
        )


def _inlined(model: onnx.ModelProto) -> onnx.ModelProto:
    if not model.functions:
        return model
    # A function that only spells out an operator known here (QONNX's Quant) stays an operator.
    kept = [(function.domain, function.name) for function in model.functions if function.domain in QONNX_DOMAINS]
    kept.append((scan_function.DOMAIN, scan_function.NAME))
    return inliner.inline_selected_functions(model, kept, exclude=True)


def versions_by_domain(model: onnx.ModelProto) -> dict[str, int]:
    """Operator set version by domain; the ONNX domain is ""."""
    versions = {"" if entry.domain == "ai.onnx" else entry.domain: entry.version for entry in model.opset_import}
    return {domain: int(version) for domain, version in versions.items()}

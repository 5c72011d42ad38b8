"""The manifest keeps what it is told, and every change of it is noticed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from edgeconv.artifact import read
from edgeconv.artifact.manifest import MANIFEST_NAME, parse_manifest, render_manifest
from edgeconv.errors import ArtifactError
from tests.artifact.double import built, copied

pytestmark = pytest.mark.needs_gcc


def test_round_trip() -> None:
    manifest = read(built()).manifest
    assert parse_manifest(render_manifest(manifest), Path("x")) == manifest


def test_describes_the_model() -> None:
    manifest = read(built()).manifest
    (x,), (y,) = manifest.inputs, manifest.outputs
    assert (x.name, x.type, x.dtype, x.shape, x.scale, x.zero_point) == ("x", "f32", "float32", (1, 1, 8), (0.5,), 0)
    assert (y.name, y.scale, y.unit) == ("y", (0.5,), "ns")
    assert [isa.name for isa in manifest.isas] == ["generic", "avx2"]
    assert manifest.policies == ("generic", "fma")
    assert [layer.operator for layer in manifest.layers] == ["quantize", "dequantize"]


def test_every_altered_byte_of_the_manifest_is_noticed() -> None:
    text = (built() / MANIFEST_NAME).read_text()
    for at in range(0, len(text), 97):
        changed = text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :]
        with pytest.raises(ArtifactError):
            parse_manifest(changed, Path("x"))


def _resealed(text: str, **changes: object) -> str:
    values = json.loads(text) | changes
    values["sha256"] = "0" * 64
    text = json.dumps(values)
    return text[:-66] + hashlib.sha256(text.encode()).hexdigest() + text[-2:]


@pytest.mark.parametrize(("field", "what"), [("format", "folder format"), ("abi", "C interface")])
def test_a_newer_version_is_refused_with_advice(tmp_path: Path, field: str, what: str) -> None:
    artifact = copied(tmp_path)
    path = artifact / MANIFEST_NAME
    path.write_text(_resealed(path.read_text(), **{field: 99}))
    with pytest.raises(ArtifactError, match=f"{what} version 99") as caught:
        read(artifact)
    assert caught.value.advice == "update edgeconv, or compile the model again"


def test_a_newer_arithmetic_is_refused_with_advice(tmp_path: Path) -> None:
    artifact = copied(tmp_path)
    path = artifact / MANIFEST_NAME
    path.write_text(_resealed(path.read_text(), arithmetic=99))
    with pytest.raises(ArtifactError, match="arithmetic version 99") as caught:
        read(artifact).program()
    assert "update edgeconv" in (caught.value.advice or "")


def test_fields_of_a_wrong_type_are_named() -> None:
    text = _resealed((built() / MANIFEST_NAME).read_text(), macs="many")
    with pytest.raises(ArtifactError, match="found 'many', expected int"):
        parse_manifest(text, Path("x"))

"""Code for one thread: recorded in the manifest, and made the same way when an artifact is checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeconv import api
from edgeconv.artifact import build, read
from tests.cli.test_compile import write_model

pytestmark = pytest.mark.needs_gcc


@pytest.mark.parametrize("one_thread", [False, True])
def test_the_library_is_made_again_alike(one_thread: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build, "SHARED_MACS", 0)
    shared = []
    generate = build.generate_all

    def watched(*arguments: object, **options: object) -> build.Generated:
        made = generate(*arguments, **options)  # type: ignore[arg-type]
        shared.append([kernel.phases > 0 for kernel in made.kernels])
        return made

    monkeypatch.setattr(build, "generate_all", watched)
    model = write_model(tmp_path / "model.onnx")
    api.compile_model(model, "x86-64-avx2", tmp_path / "model.edge", one_thread=one_thread)
    artifact = read(tmp_path / "model.edge")
    assert artifact.manifest.one_thread == one_thread
    certificates = {name: artifact.certificate(name) for name in ("fma",)}
    assert not list(build.check_library(artifact, artifact.program(), certificates, []))
    assert shared == [[not one_thread]] * 2

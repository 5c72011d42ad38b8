"""What onnxruntime cannot run is left out of the comparison, and the notes say what and why."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.reference import run
from edgeconv.verify.peers import OnnxComparison
from tests.verify.small_model import small_model


def test_a_peer_that_fails_on_the_inputs_is_named_and_compared_no_further(tmp_path: Path) -> None:
    model = small_model(tmp_path / "m.onnx")
    graph = read_onnx(model)
    program = lower(graph)
    notes: list[str] = []
    comparison = OnnxComparison(model, None, program, graph, notes)
    x = np.linspace(-9, 9, 3 * 18, dtype=np.float32).reshape(3, 1, 2, 9)
    mine = run(program, {"x": x}, keep=sorted(comparison.tensors))
    assert [label for label, *_ in comparison.add({"x": x}, mine)] == ["onnxruntime", "onnxruntime (optimized)"]
    assert notes == []
    narrow = x[..., :5].copy()  # what the file says of the axis is 9
    assert list(comparison.add({"x": narrow}, mine)) == []
    assert [note.partition(":")[0] for note in notes] == [
        f"onnxruntime cannot run {model} without optimizations",
        f"onnxruntime cannot run {model} with its optimizations",
    ]
    assert all("compared no further" in note and "expected: 9" in note.lower() for note in notes), notes
    assert list(comparison.add({"x": x}, mine)) == []
    assert len(notes) == 2

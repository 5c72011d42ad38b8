"""An exported network as an artifact, compared with the reference."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgeconv import reference
from edgeconv.api import compile_model, load
from edgeconv.artifact import read


def differences(model: Path, samples: np.ndarray, edge: Path) -> tuple[int, np.ndarray]:
    """How many output values of any instruction set are not the reference's, and the reference's.

    Args:
        samples: of the graph's input, (N, ...).
        edge: artifact to write.
    """
    compile_model(model, "cpu", edge)
    artifact = read(edge)
    (name,) = artifact.program().inputs
    (expected,) = reference.run(artifact.program(), {name: samples[:, None]}).values()
    expected = expected[:, 0]
    wrong = 0
    for isa in artifact.manifest.isas:
        found = load(edge, isa.name)(samples)
        assert found.shape == expected.shape
        wrong += int((found.view(np.int32) != expected.view(np.int32)).sum())
    return wrong, expected

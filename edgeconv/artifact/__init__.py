"""The compiled folder: writing it, reading it, checking it (docs/artifact.md).

Reading needs neither numpy nor anything else of edgeconv, so that `edgeconv run` starts fast; writing imports what it
needs when it is called.
"""

from edgeconv.artifact.manifest import (
    ABI_VERSION,
    FORMAT_VERSION,
    CompiledIsa,
    FileEntry,
    LayerInfo,
    Manifest,
    TensorInfo,
)
from edgeconv.artifact.store import Artifact, is_artifact, read

__all__ = [
    "ABI_VERSION",
    "FORMAT_VERSION",
    "Artifact",
    "CompiledIsa",
    "FileEntry",
    "LayerInfo",
    "Manifest",
    "TensorInfo",
    "is_artifact",
    "read",
]

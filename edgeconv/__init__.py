"""edgeconv turns a quantized network into one integer program and runs it bit for bit the same on every target.

    edgeconv.quantize("pulse.float.onnx", "pulse.onnx", calibration="samples.npz")
    artifact = edgeconv.compile("pulse.onnx", target="cpu", output="pulse.edge")
    runner = edgeconv.load("pulse.edge")
    y = runner(x)
    report = edgeconv.verify("pulse.edge")
    study = edgeconv.search("pulse", objectives=["time_resolution", "latency"])

Importing this package loads none of numpy, onnx, onnxruntime, tvm or torch: each name loads what it needs when it is
first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgeconv._version import __version__
from edgeconv.errors import EdgeconvError

if TYPE_CHECKING:
    from edgeconv.api import compile_model as compile
    from edgeconv.api import load, quantize, verify
    from edgeconv.search.api import search

__all__ = ["EdgeconvError", "__version__", "compile", "load", "quantize", "search", "verify"]

# public name -> (module, name there)
_LAZY = {
    "compile": ("edgeconv.api", "compile_model"),
    "load": ("edgeconv.api", "load"),
    "quantize": ("edgeconv.api", "quantize"),
    "search": ("edgeconv.search.api", "search"),
    "verify": ("edgeconv.api", "verify"),
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'edgeconv' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    value = getattr(import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(_LAZY))

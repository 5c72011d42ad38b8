"""The table of verbs: name and one line of help, in the order `edgeconv --help` prints them.

The help stands here and not only in the verb's module, so that `edgeconv --help` imports no verb.
"""

from __future__ import annotations

__all__ = ["VERBS", "verb_module"]

VERBS: dict[str, str] = {
    "demo": "Simulate, train, compile and verify a detector-pulse network.",
    "doctor": "Check this machine: Python, packages, compilers, CPU.",
    "targets": "List the targets, or show one.",
    "models": "List the families of models, or show the settings of one.",
    "train": "Train a family's network and its quantized twin.",
    "inspect": "Show what an artifact or a model holds.",
    "quantize": "Quantize a float ONNX model after training.",
    "search": "Search architectures and bit widths of a family by real costs.",
    "sweep": "Quantize a model by every combination of a grid of settings.",
    "compile": "Compile a quantized ONNX model into an artifact.",
    "run": "Run an artifact on the samples of a file.",
    "verify": "Check an artifact against the reference, onnxruntime and its certificates.",
    "diff": "Show where two artifacts, programs or array files begin to differ.",
    "deploy": "Put an artifact on another machine over ssh, check and time it there, or remove it.",
    "bench": "Measure an artifact, beside onnxruntime if asked.",
}


def verb_module(verb: str) -> str:
    """Name of the module whose `command` is that verb."""
    return f"edgeconv.cli.{verb.replace('-', '_')}"

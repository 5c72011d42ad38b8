"""The table of verbs: name and one line of help, in the order `edgeconv --help` prints them.

The help stands here and not only in the verb's module, so that `edgeconv --help` imports no verb.
"""

from __future__ import annotations

__all__ = ["VERBS", "verb_module"]

VERBS: dict[str, str] = {
    "doctor": "Check this machine: Python, packages, compilers, CPU.",
    "targets": "List the targets, or show one.",
}


def verb_module(verb: str) -> str:
    """Name of the module whose `command` is that verb."""
    return f"edgeconv.cli.{verb.replace('-', '_')}"

"""The reference interpreter: numpy code that says what a program means. Simple before fast."""

from edgeconv.reference.interpreter import run

__all__ = ["run"]

"""From the quantized graph to the integer program: lowering with one exact rounding per quantizer."""

from __future__ import annotations

from edgeconv.integer.lower import lower

__all__ = ["lower"]

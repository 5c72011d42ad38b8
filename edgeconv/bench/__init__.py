"""Measuring an artifact: from Python, from C, and beside onnxruntime in the same run."""

from edgeconv.bench.measure import BenchReport, Timing, bench

__all__ = ["BenchReport", "Timing", "bench"]

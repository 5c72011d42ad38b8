"""Measuring an artifact: from Python, from C, and beside onnxruntime in the same run; under emulation by counting."""

from edgeconv.bench.instructions import EmulatedBench, InstructionCount, count_instructions
from edgeconv.bench.measure import BenchReport, Timing, bench

__all__ = ["BenchReport", "EmulatedBench", "InstructionCount", "Timing", "bench", "count_instructions"]

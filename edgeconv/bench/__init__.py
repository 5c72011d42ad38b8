"""Measuring an artifact: from Python, from C, and beside onnxruntime in the same run; elsewhere by counting."""

from edgeconv.bench.array import ArrayBench, bench_array
from edgeconv.bench.instructions import EmulatedBench, InstructionCount, count_instructions
from edgeconv.bench.measure import BenchReport, Timing, bench

__all__ = [
    "ArrayBench",
    "BenchReport",
    "EmulatedBench",
    "InstructionCount",
    "Timing",
    "bench",
    "bench_array",
    "count_instructions",
]

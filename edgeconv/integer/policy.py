"""Which forms an instruction set may use, cheapest first."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Policy:
    """The forms that a family of instruction sets computes, in order of cost.

    Attributes:
        requant, add: kinds of `edgeconv.ir.forms`, cheapest first.
        max_fixes: corrections that one `FmaF32` or `FmaBitsF32` may carry.
        multiplier_bits: width of the first multipliers tried for `mul_shift`.
        narrow: whether no wider ones may be tried, but narrower ones.
        sum_bits: the products of an `add_mul_shift` and their sum stay below 2^sum_bits.
    """

    name: str
    requant: tuple[str, ...]
    add: tuple[str, ...]
    max_fixes: int = 0
    multiplier_bits: int = 31
    narrow: bool = False
    sum_bits: int = 62


GENERIC = Policy("generic", ("mul_shift", "steps", "ratio", "wide_mul_shift"), ("add_mul_shift", "ratio"))
FMA = Policy(
    "fma",
    ("fma_bits_f32", "fma_f32", "fma_offset_f32", "fma_f64", "mul_shift", "steps", "ratio", "wide_mul_shift"),
    ("add_fma_f32", "add_fma_f64", "add_mul_shift", "ratio"),
    max_fixes=2,
)
ARRAY = Policy("array", ("mul_shift",), ("add_mul_shift",), multiplier_bits=31, narrow=True, sum_bits=33)
"""The accelerator: multipliers of 32 bits with sign, accumulators of 35 (hw/spec.py)."""
POLICIES = {policy.name: policy for policy in (GENERIC, FMA, ARRAY)}
POLICY_OF_ISA = {
    "generic": GENERIC,
    "hls": GENERIC,
    "avx2": FMA,
    "avxvnni": FMA,
    "avx512vnni": FMA,
    "neon": FMA,
    "neon+dotprod": FMA,
    "cuda": FMA,
    "array": ARRAY,
}
"""The policy that each instruction set follows; targets with the same policy share one certificate."""

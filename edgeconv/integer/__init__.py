"""From the quantized graph to the integer program: lowering with one exact rounding per quantizer."""

from __future__ import annotations

from edgeconv.integer.certificate import Certificate, ChannelProof, OperatorProof
from edgeconv.integer.check import Problem, check_certificate
from edgeconv.integer.lower import lower
from edgeconv.integer.policy import ARRAY, FMA, GENERIC, POLICIES, POLICY_OF_ISA, Policy
from edgeconv.integer.prover import prove
from edgeconv.integer.ranges import Range, program_ranges

__all__ = [
    "ARRAY",
    "FMA",
    "GENERIC",
    "POLICIES",
    "POLICY_OF_ISA",
    "Certificate",
    "ChannelProof",
    "OperatorProof",
    "Policy",
    "Problem",
    "Range",
    "check_certificate",
    "lower",
    "program_ranges",
    "prove",
]

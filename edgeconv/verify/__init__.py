"""Who differs, where, and why: artifact, reference, onnxruntime, torch, float model."""

from edgeconv._package_call import let_package_be_called
from edgeconv.verify.results import Comparison, LayerComparison, Metric, Problem, VerifyReport
from edgeconv.verify.verification import verify

__all__ = ["Comparison", "LayerComparison", "Metric", "Problem", "VerifyReport", "verify"]

let_package_be_called(__name__)

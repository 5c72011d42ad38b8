"""ONNX's own node cases, read once."""

from __future__ import annotations

import fnmatch
import warnings
from collections.abc import Sequence
from functools import cache

from onnx.backend.test.case.test_case import TestCase as NodeCase
from onnx.backend.test.loader import load_model_tests


@cache
def _everything() -> list[NodeCase]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(load_model_tests(kind="node"))


def node_cases(names: Sequence[str]) -> list[NodeCase]:
    """The cases whose name fits one of the patterns."""
    return [case for case in _everything() if any(fnmatch.fnmatch(case.name, pattern) for pattern in names)]

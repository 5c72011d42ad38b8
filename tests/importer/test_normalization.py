"""Softmax and normalizations of every operator set, and those that exporters write out, keep their meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeconv.errors import UnsupportedModelError
from edgeconv.importer import read_onnx
from tests.importer.models import model, save
from tests.importer.test_operators import check_meaning

RNG = np.random.default_rng(8)
INT = np.int64


def values(*shape: int) -> Any:
    """Random float32 numbers."""
    return RNG.uniform(0.3, 1.7, shape).astype(np.float32)


IMAGE = {"x": (1, 6, 4, 5)}
AFFINE = ["Normalization", "Mul", "Add"]
NODES = [
    ("y = Softmax(x)", {}, None, 17, ["Softmax"]),
    ("y = Softmax<axis=1>(x)", {}, None, 17, ["Softmax"]),
    ("y = Softmax(x)", {}, None, 11, ["Reshape", "Softmax", "Reshape"]),
    ("y = Softmax<axis=-1>(x)", {}, None, 11, ["Softmax"]),
    ("y = LayerNormalization(x, s, b)", {"s": values(8), "b": values(8)}, None, 17, AFFINE),
    ("y = LayerNormalization<axis=1, epsilon=0.1>(x, s)", {"s": values(8)}, None, 17, ["Normalization", "Mul"]),
    ("y = InstanceNormalization(x, s, b)", {"s": values(6), "b": values(6)}, IMAGE, 17, AFFINE),
    ("y = GroupNormalization<num_groups=3>(x, s, b)", {"s": values(6), "b": values(6)}, IMAGE, 21, AFFINE),
    ("y = GroupNormalization<num_groups=2>(x, s, b)", {"s": values(2), "b": values(2)}, IMAGE, 18, AFFINE),
    ("y = MeanVarianceNormalization<axes=[2, 3]>(x)", {}, IMAGE, 13, ["Normalization"]),
    ("y = RMSNormalization(x, s)", {"s": values(8)}, None, 23, ["Normalization", "Mul"]),
    ("y = SimplifiedLayerNormalization<epsilon=0.01>(x, s)", {"s": values(8)}, None, 17, ["Normalization", "Mul"]),
]


@pytest.mark.parametrize(
    ("nodes", "constants", "inputs", "opset", "operators"), NODES, ids=[f"{c[0]} in {c[3]}" for c in NODES]
)
def test_row_functions_keep_their_meaning(
    tmp_path: Path, nodes: str, constants: Any, inputs: Any, opset: int, operators: list[str]
) -> None:
    assert check_meaning(tmp_path, model(nodes, inputs, constants, opset=opset), exact=False) == operators


CONSTANTS = {"e": np.float32(1e-3), "two": np.float32(2), "low": np.float32(-0.5), "half": np.float32(0.5)}
CENTERED = "m = ReduceMean<axes=[-1]>(x); d = Sub(x, m)"
VARIANCE = "q = Pow(d, two); v = ReduceMean<axes=[-1]>(q); w = Add(v, e)"
WRITTEN_OUT = {
    "torch": f"{CENTERED}; {VARIANCE}; r = Sqrt(w); y = Div(d, r)",
    "product and reciprocal": f"{CENTERED}; q = Mul(d, d); v = ReduceMean<axes=[-1]>(q); w = Add(e, v); r = Sqrt(w)"
    "; i = Reciprocal(r); y = Mul(i, d)",
    "two subtractions": f"{CENTERED}; c = Sub(x, m); {VARIANCE}; r = Sqrt(w); y = Div(c, r)",
    "a power": f"{CENTERED}; {VARIANCE}; r = Pow(w, low); y = Mul(d, r)",
    "a root by a power": f"{CENTERED}; {VARIANCE}; r = Pow(w, half); y = Div(d, r)",
    "root mean square": f"d = Identity(x); {VARIANCE}; r = Sqrt(w); y = Div(x, r)",
    "one over the root": f"d = Identity(x); {VARIANCE}; r = Sqrt(w); i = Div(one, r); y = Mul(x, i)",
    "two axes": "m = ReduceMean<axes=[1, 2]>(x); d = Sub(x, m); q = Pow(d, two); v = ReduceMean<axes=[1, 2]>(q)"
    "; w = Add(v, e); r = Sqrt(w); y = Div(d, r)",
}


def written_out(lines: str) -> Any:
    """The model of a list of nodes with the constants it reads."""
    constants = CONSTANTS | {"one": np.float32(1)}
    used = {name: value for name, value in constants.items() if f" {name})" in lines or f"({name}," in lines}
    return model(lines.replace("; ", "\n"), None, used, opset=13)


@pytest.mark.parametrize("form", WRITTEN_OUT)
def test_a_normalization_written_out_becomes_one_node(tmp_path: Path, form: str) -> None:
    assert check_meaning(tmp_path, written_out(WRITTEN_OUT[form]), exact=False) == ["Normalization"]


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        (f"{CENTERED}; {VARIANCE.replace('-1', '1')}; r = Sqrt(w); y = Div(d, r)", ["Sub", "Normalization"]),
        (f"{CENTERED}; {VARIANCE.replace('(d', '(x')}; r = Sqrt(w); y = Div(d, r)", ["Sqrt", "Div"]),
        (f"{CENTERED}; {VARIANCE}; r = Sqrt(w); y = Div(x, r)", ["Sqrt", "Div"]),
        (f"{CENTERED}; {VARIANCE}; r = Pow(w, low); y = Div(d, r)", ["Pow", "Div"]),
    ],
    ids=["mean over another axis", "another square", "another numerator", "product for a quotient"],
)  # fmt: skip
def test_what_only_looks_like_a_normalization_keeps_its_meaning(tmp_path: Path, lines: str, last: list[str]) -> None:
    assert check_meaning(tmp_path, written_out(lines), exact=False)[-2:] == last


def test_statistics_outputs_are_refused(tmp_path: Path) -> None:
    proto = model("y, m = LayerNormalization(x, s)\nz = Add(y, m)", None, {"s": values(8)}, outputs=("z",))
    with pytest.raises(UnsupportedModelError, match="its statistics outputs are used"):
        read_onnx(save(proto, tmp_path))


def test_a_softmax_over_samples_is_refused(tmp_path: Path) -> None:
    proto = model("y = Softmax<axis=0>(x)", {"x": ("N", 4)})
    with pytest.raises(UnsupportedModelError, match="works along it"):
        read_onnx(save(proto, tmp_path))

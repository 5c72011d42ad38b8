"""Quantizers stand where the integer program rounds, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.quantize.ptq.models import placed, write

CONV = "c = Conv<pads=[1, 1, 1, 1]>(x, w, b)\n"

CASES = {
    "the last accumulator leaves as float": ("y = Conv(x, w)", ["x"]),
    "relu and max pool belong to one rounding": (
        CONV + "r = Relu(c)\np = MaxPool<kernel_shape=[2, 2], strides=[2, 2]>(r)\ny = Conv(p, w1)",
        ["x", "p"],
    ),
    "a max pool keeps the grid of what it moves": (
        CONV + "r = Relu(c)\np = MaxPool<kernel_shape=[1, 1]>(r)\na = Conv(p, w1)\nd = Conv(r, w1)\ny = Add(a, d)",
        ["x", "r", "a", "d"],
    ),
    "x times sigmoid of x is one table": (
        CONV + "s = Sigmoid(c)\nm = Mul(c, s)\ny = Conv(m, w1)",
        ["x", "c", "m"],
    ),
    "gelu by erf is one table": (
        CONV + "d = Div(c, root2)\ne = Erf(d)\na = Add(e, one)\nm = Mul(c, a)\ng = Mul(m, half)\ny = Conv(g, w1)",
        ["x", "c", "g"],
    ),
    "hard swish in parts is one table": (
        CONV + "h = HardSigmoid<alpha=0.16666667, beta=0.5>(c)\nm = Mul(c, h)\ny = Conv(m, w1)",
        ["x", "c", "m"],
    ),
    "a function of a function is one table": (
        CONV + "t = Tanh(c)\ne = Exp(t)\ny = Conv(e, w1)",
        ["x", "c", "e"],
    ),
    "operands of a residual sum are rounded, and the sum behind its relu": (
        CONV + "r = Relu(c)\nd = Conv<pads=[1, 1, 1, 1]>(r, w2)\ns = Add(d, r)\nt = Relu(s)\ny = Conv(t, w1)",
        ["x", "r", "d", "t"],
    ),
    "what two layers read is rounded once": (
        CONV + "a = Conv(c, w1)\nr = Relu(c)\nd = Conv(r, w1)\ny = Add(a, d)",
        ["x", "c", "a", "d"],
    ),
    "relu6 of integers needs a grid of its own": (
        CONV + "a = Conv(c, w1)\nr = Clip(c, zero, six)\nd = Conv(r, w1)\ny = Add(a, d)",
        ["x", "c", "a", "r", "d"],
    ),
    "a positive factor only changes the scale": (
        CONV + "r = Relu(c)\nm = Mul(r, half)\nf = Relu(m)\na = Conv(f, w1)\nd = Conv(r, w1)\ny = Add(a, d)",
        ["x", "r", "a", "d"],
    ),
    "batch normalization in front of a layer is rounded with its relu": (
        CONV + "r = Relu(c)\nn = BatchNormalization(r, gamma, beta, mean, var)\na = Relu(n)\ny = Conv(a, w1)",
        ["x", "r", "a"],
    ),
    "a constant map is an operand like another": (CONV + "s = Add(c, map)\ny = Conv(s, w1)", ["x", "map", "c", "s"]),
    "reshapes and transposes keep the grid": (
        CONV + "r = Relu(c)\nf = Reshape(r, rows)\nt = Transpose<perm=[0, 2, 1]>(f)\ny = MatMul(t, head)",
        ["x", "t"],
    ),
    "padding in front of a layer keeps the grid": ("q = Pad(x, border)\ny = Conv(q, w)", ["x"]),
    "average pools read and give new grids": (CONV + "g = GlobalAveragePool(c)\ny = Conv(g, w1)", ["x", "c", "g"]),
    "layer normalization is rounded behind its scale and bias": (
        "n = LayerNormalization<axis=-1>(x, ln_g, ln_b)\ny = MatMul(n, square)",
        ["x", "n"],
    ),
    "a sum of three is two sums of two": (
        CONV + "d = Conv<pads=[1, 1, 1, 1]>(x, w2_)\ns = Sum(c, d, c)\ny = Conv(s, w1)",
        ["x", "c", "d", "s.sum1", "s"],
    ),
    "a quotient is a product with a table": (
        CONV + "e = Exp(c)\nd = Conv<pads=[1, 1, 1, 1]>(x, w2_)\nq = Div(d, e)\ny = Conv(q, w1)",
        ["x", "c", "d", "q.reciprocal", "q"],
    ),
    "softmax and a product of activations": (
        (
            "a = MatMul(x, square)\nt = MatMul(x, square2)\nu = Transpose<perm=[0, 1, 3, 2]>(t)\n"
            "s = MatMul(a, u)\nh = Mul(s, half)\nf = Softmax<axis=-1>(h)\ny = MatMul(f, x)"
        ),
        ["x", "a", "u", "h", "f"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_quantizers_stand_where(name: str, tmp_path: Path) -> None:
    nodes, expected = CASES[name]
    assert list(placed(write(tmp_path, nodes)).values) == expected


def test_a_concatenation_is_rounded_behind_or_its_parts_share_one_grid(tmp_path: Path) -> None:
    nodes = CONV + "r = Relu(c)\nd = Conv<pads=[1, 1, 1, 1]>(r, w2)\ny = Concat<axis=1>(r, d)\nz = GlobalMaxPool(y)"
    path = write(tmp_path, nodes + "\nv = GlobalAveragePool(y)", outputs=("z", "v"))
    behind = placed(path)
    assert list(behind.values) == ["x", "r", "y"]
    assert behind.shared == ()
    shared = placed(path, share_concat=True)
    assert list(shared.values) == ["x", "r", "d"]
    assert shared.shared == (("r", "d"),)
    assert shared.roots["y"] in ("r", "d")

"""The text that nvcc gets, compiled as C for this CPU: what only TVM's printer could get wrong shows here."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgeconv import reference
from edgeconv.codegen.cuda import generate_cuda
from edgeconv.codegen.cuda.shape import Shape
from tests.cuda_machine.direct import run_directly
from tests.random_graphs.forms import proved_forms
from tests.random_graphs.seeds import graph_of

pytestmark = pytest.mark.needs_gcc
_FIRST, _GRAPHS, _FEW = 3_500_000, 60, 4
_SHAPES = (Shape(whole=True, threads=64, samples=4), Shape(whole=False, threads=64), Shape(whole=True, threads=32))


@pytest.mark.parametrize(
    "seed",
    [
        *range(_FIRST, _FIRST + _FEW),
        *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(_FIRST + _FEW, _FIRST + _GRAPHS)),
    ],
)
def test_printed_kernels_of_random_graphs_equal_the_reference(seed: int, tmp_path: Path) -> None:
    graph = graph_of(seed)
    program, inputs = graph.case.program, graph.case.inputs
    forms = proved_forms(program, "cuda", graph.turn)
    code = generate_cuda(program, forms, fuse=graph.fuse, shape=_SHAPES[seed % len(_SHAPES)])
    found = run_directly(code, program, inputs, tmp_path)
    for name, expected in reference.run(program, inputs).items():
        assert found[name].tobytes() == expected.tobytes(), name

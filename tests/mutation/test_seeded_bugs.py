"""Thirty and more bugs, put into kernels and proofs one at a time: the tests of random graphs must see each of them."""

from __future__ import annotations

import importlib

import pytest

from edgeconv.codegen import generate
from edgeconv.codegen.cuda.kernels import load_all as load_gpu
from edgeconv.codegen.isa.cuda import CUDA
from edgeconv.codegen.kernels import load_all
from edgeconv.errors import EdgeconvError
from edgeconv.integer import FMA, Certificate, Problem, check_certificate, prove
from edgeconv.ir import Program
from edgeconv.runtime.cpu_features import supported_isas
from tests.generate import Case, Choices, random_case
from tests.mutation.bugs import KERNEL_BUGS, Bug
from tests.mutation.gpu_bugs import GPU_BUGS
from tests.mutation.mutate import mutated
from tests.mutation.proof_bugs import PROOF_BUGS
from tests.mutation.sequel_bugs import SEQUEL_BUGS
from tests.random_graphs.compare import Graph, compare_graphs
from tests.random_graphs.forms import preferring

pytestmark = [pytest.mark.slow, pytest.mark.needs_gcc]
_SEEDS = range(40)


def _case(bug: Bug, seed: int) -> Case:
    return random_case(Choices.seeded(seed), size=1, first=bug.first)


@pytest.fixture(scope="module", autouse=True)
def _all_modules_are_loaded() -> None:
    # A bug is put wherever its function is known, so whatever imports it must have done so.
    importlib.import_module("edgeconv.codegen.emit")
    load_all()
    load_gpu()
    importlib.import_module("edgeconv.codegen.cuda.emit")
    generate(_case(KERNEL_BUGS[0], 0).program, prove(_case(KERNEL_BUGS[0], 0).program, FMA).forms, "avx2")


@pytest.mark.parametrize("bug", [*KERNEL_BUGS, *SEQUEL_BUGS, *GPU_BUGS], ids=lambda bug: bug.about)
def test_random_graphs_show_a_bug_in_the_kernels(bug: Bug) -> None:
    if bug.isa not in (*supported_isas(), CUDA.name):
        pytest.skip(f"this machine does not run {bug.isa}")
    with mutated(bug.module, bug.name, bug.old, bug.new):
        for seed in _SEEDS:
            graph = Graph(f"seed {seed}", _case(bug, seed), (bug.isa,), bug.turn)
            if compare_graphs([graph])[0].differences:
                break
        else:
            pytest.fail(f"{len(_SEEDS)} graphs did not show it: {bug.about}")
    assert compare_graphs([graph])[0].differences == [], "it differs without the bug, too"


@pytest.mark.parametrize("bug", PROOF_BUGS, ids=lambda bug: bug.about)
def test_the_check_of_certificates_shows_a_bug_in_the_proofs(bug: Bug) -> None:
    policy = FMA if bug.turn is None else preferring(FMA, bug.turn)
    for seed in _SEEDS:
        program = _case(bug, seed).program
        try:
            with mutated(bug.module, bug.name, bug.old, bug.new):
                claimed = prove(program, policy)
        except EdgeconvError:
            continue  # refused: no wrong code comes of it, but nothing is shown either
        if _problems(program, claimed):
            assert _problems(program, prove(program, policy)) == [], "it is refused without the bug, too"
            return
    pytest.fail(f"{len(_SEEDS)} certificates did not show it: {bug.about}")


def _problems(program: Program, claimed: Certificate) -> list[Problem]:
    """What the check finds; the order in which kinds were asked for is no concern of it."""
    named = Certificate(claimed.arithmetic, FMA.name, claimed.ranges, claimed.operators, claimed.defined)
    return check_certificate(program, named)


def test_there_are_thirty_bugs_and_each_has_a_name() -> None:
    names = [bug.about for bug in (*KERNEL_BUGS, *SEQUEL_BUGS, *GPU_BUGS, *PROOF_BUGS)]
    assert len(names) >= 30
    assert len(set(names)) == len(names)

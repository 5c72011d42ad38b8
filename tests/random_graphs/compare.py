"""Random graphs through text, proof, code for every instruction set, and execution, compared with the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from edgeconv import reference
from edgeconv.codegen import GeneratedCode, generate
from edgeconv.codegen.choices import Choices
from edgeconv.codegen.cuda import generate_loops
from edgeconv.codegen.cuda.shape import Shape
from edgeconv.codegen.isa.cuda import CUDA
from edgeconv.errors import ProgramError
from edgeconv.integer import POLICY_OF_ISA, Policy
from edgeconv.ir import Program, from_text, to_text
from edgeconv.ir.forms import ProvedForms
from tests.generate import Case
from tests.random_graphs.emulated import run_emulated
from tests.random_graphs.forms import proved_forms
from tests.random_graphs.machines import HOST, Machine
from tests.random_graphs.native import Arrays, Call, Outcome, run_calls


@dataclass(frozen=True)
class Graph:
    """A random graph, and how it is compiled and called.

    Attributes:
        name: the seed, for messages.
        turn: which kinds of forms are asked for first (`forms.proved_forms`), or None for the usual order.
        fuse: requants fused into the operators before them.
        at_start, odd: where the user's arrays lie against their guard pages.
        threads: that share the code, or 0 for code of one thread.
        picks: seed of the blockings that are picked instead of the cycle models', or None for theirs.
        machine: what it is compiled for and run on; the same for all graphs that are compared together.
        shape, backwards: of the loops that stand for a GPU's threads (isa "cuda").
    """

    name: str
    case: Case
    isas: tuple[str, ...]
    turn: int | None = None
    fuse: bool = True
    at_start: bool = False
    odd: int = 0
    threads: int = 0
    picks: int | None = None
    machine: Machine = HOST
    shape: Shape | None = None
    backwards: bool = False


@dataclass
class Compared:
    """What was found: proved forms by instruction set, the proof's refusals, and all that is wrong."""

    graph: Graph
    forms: dict[str, Mapping[str, ProvedForms]] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)

    def report(self) -> str:
        """Everything that reproduces the differences."""
        graph = self.graph
        lines = [
            f"{graph.name}: turn={graph.turn}, fuse={graph.fuse}, threads={graph.threads}, picks={graph.picks}",
            f"at_start={graph.at_start}, odd={graph.odd}, shape={graph.shape}, backwards={graph.backwards}",
            *self.differences,
            *(f"{isa}: %{name}: {f.forms!r:.300}" for isa, fs in self.forms.items() for name, f in fs.items()),
            to_text(graph.case.program),
            *(f"%{name} = {value.array.tolist()!r:.300}" for name, value in graph.case.program.constants.items()),
        ]
        return "\n".join(lines)


def compare_graphs(graphs: Sequence[Graph]) -> list[Compared]:
    """Prove, compile and run graphs (all linked into one library), and compare every output exactly."""
    results = [Compared(graph) for graph in graphs]
    calls, owners = [], []
    for compared in results:
        for call in _compile(compared):
            calls.append(call)
            owners.append(compared)
    run = run_emulated if graphs and graphs[0].machine.emulated else run_calls
    outcomes = run(calls) if calls else []
    for compared, call, outcome in zip(owners, calls, outcomes, strict=True):
        wanted = reference.run(compared.graph.case.program, compared.graph.case.inputs)
        compared.differences += [f"{call.code.isa}: {problem}" for problem in difference(outcome, wanted)]
    return results


def _compile(compared: Compared) -> list[Call]:
    graph, calls = compared.graph, []
    program = from_text(to_text(graph.case.program), graph.case.program.constants)
    if program != graph.case.program:
        compared.differences.append("the text form gives back another program")
    proved: dict[Policy, Mapping[str, ProvedForms]] = {}
    for isa in graph.isas:
        policy = POLICY_OF_ISA[isa]
        try:
            if policy not in proved:
                proved[policy] = proved_forms(program, isa, graph.turn)
            compared.forms[isa] = proved[policy]
            code = _generate(graph, program, proved[policy], isa)
            calls.append(Call(program, code, graph.case.inputs, graph.at_start, graph.odd, graph.threads))
        except ProgramError as error:
            compared.refusals.append(f"{isa}: {error}")
        except Exception as error:  # whatever else happens must name the graph
            compared.differences.append(f"{isa}: {_where(error)}{type(error).__name__}: {error}")
    return calls


def _generate(graph: Graph, program: Program, forms: Mapping[str, ProvedForms], isa: str) -> GeneratedCode:
    if isa == CUDA.name:
        return generate_loops(program, forms, fuse=graph.fuse, shape=graph.shape, backwards=graph.backwards)
    options = {"fuse": graph.fuse, "shared": graph.threads > 0, "choices": _choices(graph.picks)}
    return generate(program, forms, isa, architecture=graph.machine.architecture, **options)


def _choices(picks: int | None) -> Choices:
    """The cycle models' blockings, or any candidates, the same ones for a seed."""
    if picks is None:
        return Choices()
    rng = np.random.default_rng(picks)
    return Choices(lambda question: question.candidates[int(rng.integers(len(question.candidates)))])


def _where(error: BaseException) -> str:
    where = error.__traceback__
    while where is not None and where.tb_next is not None:
        where = where.tb_next
    return f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}: " if where else ""


def difference(outcome: Outcome, wanted: Arrays) -> list[str]:
    """How an outcome differs from the reference's outputs; floats are compared bit by bit."""
    if outcome.failure:
        return [outcome.failure]
    problems = []
    for name, expected in wanted.items():
        found = outcome.outputs[name]
        wrong = _bits(found) != _bits(expected)
        if wrong.any():
            at = tuple(int(index) for index in np.argwhere(wrong)[0])
            count = f"{int(wrong.sum())} of {wrong.size} values differ"
            problems.append(f"%{name}: {count}, first at {at}: {found[at]} instead of {expected[at]}")
    return problems


def _bits(array: np.ndarray) -> np.ndarray:
    return array.view(np.uint32) if array.dtype == np.float32 else array

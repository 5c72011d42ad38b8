"""The table of kernels by operator class: how an operator gets its code.

To add a kernel, write a function in a module of this folder and register it; `edgeconv/codegen/kernels/__init__.py`
imports every module. For example:

    @kernel(ops.MaxPool, "max_pool.rows", priority=10, can_handle=lambda isa, step: isa.lanes > 1)
    def emit(build: Builder, step: Step) -> str:
        x, y = build.view(step.operator.x), build.view(step.output)
        with build.loop(…) as i: …
        return "tile 4×16"             # one line for the kernel report

* `step.operator` is the operator; `step.requant` the requant fused behind it (kernels with `fuses=True` only) and
  `step.sequel` the additions and tables behind that (kernels with `goes_on` only); `step.output` the tensor it writes,
  `step.type(name)` and `step.layout(name)` its operands' types and layouts.
* `build.view(name)` gives the operand as a `View`: `view.load(indices)` and `view.store(indices, value)` translate a
  logical position and a value to memory, whatever the layout and the storage bias (user memory, arena or constants);
  `view.vload(offset, lanes)` and `view.vstore` address stored elements, for fast paths over `layout.rows`.
* A kernel writes every element of its output and nothing else; the halo of the output is filled by the framework.
  Reading up to `SLACK` bytes past the end of an arena tensor is allowed, writing is not.
* `can_handle(isa, step)` sees the layouts, so a fast kernel checks what it needs (order, halo, channel counts); the
  kernel of highest priority that can handle a step is taken, and each operator has one of priority 0 that handles all.
* `in_place(isa, step)` names operands of which it promises that an output element is written only after every element
  that lies at the same storage offset was read; the planner may then give output and such an operand, if it dies there
  and has the same layout, one memory.
* `parallel=True` promises that threads may share the kernel: all that it writes is written inside `build.parallel` or
  `build.parallel_nest`, whose trips are independent of each other, and of all other such loops of the kernel, or stand
  behind a `build.barrier()`. The first thread runs a kernel without it alone, while the others wait.
* `by_rows=True` promises that the kernel never asks where the image ends: it reads padding from the halo, and works on
  any run of rows (`edgeconv.codegen.bands`) whose layouts it is shown.
* `upsamples=True` says that it computes convolutions of an upsampling by two, given the small image as operand
  (`edgeconv.codegen.upsampling`), and nothing else.
* `goes_on(isa, step)` says of a kernel that computes sequels (`edgeconv.codegen.sequels`) whether that of a step which
  it handles costs no more than steps of its own: `always`, or what a model of cycles says.
* `halo_demands(operator, program)` may be registered for operator classes whose kernels read a halo.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.layout import Halo
from edgeconv.errors import UnsupportedModelError
from edgeconv.ir import Program, describe

if TYPE_CHECKING:
    from edgeconv.codegen.builder import Builder
    from edgeconv.codegen.plan import Step

__all__ = [
    "HALO_DEMANDS",
    "KERNELS",
    "Kernel",
    "always",
    "find",
    "halo_demands",
    "handles",
    "has_fusing_kernel",
    "kernel",
    "select",
]

Emit = Callable[["Builder", "Step"], str]
Predicate = Callable[[Isa, "Step"], bool]
Names = Callable[[Isa, "Step"], tuple[str, ...]]


@dataclass(frozen=True)
class Kernel:
    """One way to compute an operator."""

    name: str
    emit: Emit
    can_handle: Predicate
    priority: int
    fuses: bool
    goes_on: Predicate | None
    in_place: Names
    parallel: bool
    by_rows: bool
    upsamples: bool


KERNELS: dict[type, list[Kernel]] = {}
"""Kernels by operator class, highest priority first."""

HALO_DEMANDS: dict[type, Callable[[Any, Program], dict[str, Halo]]] = {}
"""By operator class: the halo that its fast kernels would like around each operand."""


def always(isa: Isa, step: Step) -> bool:
    """The sequel of a kernel that computes one output after the other: nothing is computed twice."""
    return True


def kernel(
    operator: type,
    name: str,
    *,
    can_handle: Predicate = lambda isa, step: True,
    priority: int = 0,
    fuses: bool = False,
    goes_on: Predicate | None = None,
    in_place: Names = lambda isa, step: (),
    parallel: bool = False,
    by_rows: bool = False,
    upsamples: bool = False,
) -> Callable[[Emit], Emit]:
    """Register the decorated function as a kernel of `operator` (see the module's docstring)."""

    def register(emit: Emit) -> Emit:
        found = KERNELS.setdefault(operator, [])
        found.append(Kernel(name, emit, can_handle, priority, fuses, goes_on, in_place, parallel, by_rows, upsamples))
        found.sort(key=lambda candidate: -candidate.priority)
        return emit

    return register


def halo_demands(operator: type) -> Callable[[Callable[[Any, Program], dict[str, Halo]]], object]:
    """Register the decorated function, (operator, program) -> halo by operand name, for an operator class."""

    def register(function: Callable[[Any, Program], dict[str, Halo]]) -> object:
        HALO_DEMANDS[operator] = function
        return function

    return register


def has_fusing_kernel(operator: object) -> bool:
    """Whether a requant may be fused behind this operator."""
    return any(candidate.fuses for candidate in KERNELS.get(type(operator), ()))


def find(isa: Isa, step: Step) -> Kernel | None:
    """The kernel for a step, or None."""
    return next(_candidates(isa, step), None)


def handles(isa: Isa, step: Step) -> bool:
    """Whether there is a kernel for a step."""
    return find(isa, step) is not None


def _candidates(isa: Isa, step: Step) -> Iterator[Kernel]:
    for candidate in KERNELS.get(type(step.operator), ()):
        fits = candidate.upsamples == step.upsamples and (candidate.fuses or step.requant is None)
        fits = fits and (candidate.goes_on is not None or not step.sequel)
        if fits and candidate.can_handle(isa, step):
            yield candidate


def select(isa: Isa, step: Step) -> Kernel:
    """The kernel for a step.

    Raises:
        UnsupportedModelError: no kernel handles it.
    """
    found = find(isa, step)
    if found is not None:
        return found
    what = describe(step.operator)  # type: ignore[arg-type]
    raise UnsupportedModelError(f"no kernel for {what} on {isa.name}", advice="report this model")

"""The plan of the generated code: fused steps, layouts, and the place of every tensor in memory.

Nothing here needs TVM. Order: fuse requants into the operator before them; choose aliases (reshapes that move nothing)
and layouts; fuse additions and tables behind requants; place the tensors that stay in the arena by their lifetimes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels import registry
from edgeconv.codegen.layout import Halo, Layout, channels_last, container_of, row_major, storage_of
from edgeconv.codegen.tables import fold_dequantized_tables
from edgeconv.codegen.upsampling import find_upsamplings, of_small_image
from edgeconv.ir import Program, TensorType
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import ProvedForms
from edgeconv.ir.operators import Operator

if TYPE_CHECKING:
    from edgeconv.codegen.bands import Chain

__all__ = ["SLACK", "Load", "Place", "Plan", "Step", "Store", "make_plan"]

SLACK = 64
"""Bytes that may be read past the end of an arena tensor: one vector."""


@dataclass(frozen=True)
class Load:
    """Pseudo-operator: an integer input is copied from the user's array into the arena."""

    output: str
    origin: str = ""


@dataclass(frozen=True)
class Store:
    """Pseudo-operator: an output is copied from the arena (or from constants) into the user's array."""

    output: str
    origin: str = ""


@dataclass(frozen=True)
class Place:
    """Where a tensor lies: `space` is "input", "output", "arena" or "constant"; `at` an index or a byte offset."""

    space: str
    at: int


@dataclass(frozen=True)
class Step:
    """One kernel call: an operator, and the requant fused behind it.

    Attributes:
        output: name of the tensor written.
        forms: how the requant (or an operator that rounds, such as add) is computed, or None.
        upsamples: the operator is a convolution of its operand upsampled by two (edgeconv.codegen.upsampling).
        sequel: additions and tables that the kernel computes on the requantized values, or additions on accumulators,
            one after the other, before it stores them (edgeconv.codegen.sequels); `output` is that of the last.
    """

    operator: Operator | Load | Store
    requant: ops.Requant | None
    output: str
    forms: ProvedForms | None
    plan: Plan
    upsamples: bool = field(default=False, kw_only=True)
    sequel: tuple[Step, ...] = field(default=(), kw_only=True)

    @property
    def operands(self) -> tuple[str, ...]:
        """Names of the tensors read."""
        own = self.operator.operands if isinstance(self.operator, Operator) else (self.operator.output,)
        return (*own, *(name for step in self.sequel for name in self._brought(step)))

    @property
    def rounded(self) -> str:
        """What requantization or operator give: `output`, or what the sequel begins with."""
        return self.requant.output if self.requant is not None else self.operator.output

    @property
    def others(self) -> tuple[str, ...]:
        """The tensors that the sequel adds, each once."""
        sums = [step for step in self.sequel if isinstance(step.operator, ops.Add)]
        return tuple(dict.fromkeys(name for step in sums for name in self._brought(step)))

    def _brought(self, later: Step) -> list[str]:
        """What a step of the sequel reads besides the values that the kernel has in registers."""
        inside = {self.rounded, *(step.output for step in self.sequel)}
        return [name for name in later.operands if name not in inside]

    @property
    def works_in_place(self) -> bool:
        """Whether the output lies where a tensor lies that the sequel adds."""
        places = self.plan.places
        return self.output in places and any(places.get(name) == places[self.output] for name in self.others)

    def type(self, name: str) -> TensorType:
        """Logical type of a tensor."""
        return self.plan.program.types[name]

    def layout(self, name: str) -> Layout:
        """Layout of a tensor as this step sees it."""
        return self.plan.layouts[name]


@dataclass
class Plan:
    """The finished plan. `layouts` and `places` hold every tensor that has memory (fused intermediates have none)."""

    program: Program
    steps: list[Step] = field(default_factory=list)
    layouts: dict[str, Layout] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    chains: list[Chain] = field(default_factory=list)
    arena_bytes: int = 0

    def root(self, name: str) -> str:
        """The tensor whose memory `name` uses."""
        while name in self.aliases:
            name = self.aliases[name]
        return name

    @property
    def units(self) -> Iterator[Step | Chain]:
        """What is emitted as a whole, in order: chains, and the steps that are in none."""
        chains = {chain.first: chain for chain in self.chains}
        index = 0
        while index < len(self.steps):
            chain = chains.get(index)
            yield chain or self.steps[index]
            index = chain.last + 1 if chain else index + 1


def make_plan(program: Program, forms: Mapping[str, ProvedForms], isa: Isa, *, fuse: bool, bands: bool = True) -> Plan:
    """Plan the code of a program.

    Args:
        forms: proved forms by output name of each requant and add.
        fuse: fuse requants, additions and tables into the operators before them, and dequantizations into tables.
        bands: with `fuse`, compute chains of steps over images by bands of rows (edgeconv.codegen.bands).
    """
    if fuse and isa.lanes > 1:
        program = fold_dequantized_tables(program, isa)
    # Bands need upsampled images as tensors of their own: they make rows of them.
    upsamplings = find_upsamplings(program) if fuse and not bands and isa.lanes > 1 else {}
    while True:
        plan = Plan(program)
        live = _live_operators(program)
        fused = _fusable_requants(program, live) if fuse else {}
        _make_steps(plan, live, fused, forms, upsamplings)
        _choose_layouts(plan)
        without = {step.output for step in plan.steps if step.upsamples and not registry.handles(isa, step)}
        if not without:
            break
        upsamplings = {x: conv for x, conv in upsamplings.items() if _written(conv, fused) not in without}
    if fuse and not isa.gpu:
        _fuse_sequels(plan, isa)
    _insert_ends(plan)
    if fuse and bands:
        _fuse_rows(plan, isa)
    _place(plan, isa)
    return plan


def _place(plan: Plan, isa: Isa) -> None:
    from edgeconv.codegen.memory import place_tensors  # which builds on the classes of this module

    place_tensors(plan, isa)


def _written(operator: Operator, fused: Mapping[str, ops.Requant]) -> str:
    """The tensor that the step of an operator writes."""
    return fused[operator.output].output if operator.output in fused else operator.output


def _fuse_sequels(plan: Plan, isa: Isa) -> None:
    from edgeconv.codegen.sequels import fuse_sequels  # which builds on the classes of this module

    fuse_sequels(plan, isa)


def _fuse_rows(plan: Plan, isa: Isa) -> None:
    """Choose the chains that are computed by bands of rows; their inner tensors become rolling buffers."""
    from edgeconv.codegen.fusion import buffer_layout, choose_chains  # which build on the classes of this module

    plan.chains = choose_chains(plan, isa)
    for chain in plan.chains:
        for name, rows in chain.buffers.items():
            plan.layouts[name] = buffer_layout(plan.layouts[name], rows)


def _live_operators(program: Program) -> list[Operator]:
    needed = set(program.outputs)
    live: list[Operator] = []
    for operator in reversed(program.operators):
        if operator.output in needed:
            live.append(operator)
            needed.update(operator.operands)
    return live[::-1]


def _fusable_requants(program: Program, live: Sequence[Operator]) -> dict[str, ops.Requant]:
    """Accumulator name -> the requant that alone reads it."""
    fused: dict[str, ops.Requant] = {}
    alive = {operator.output for operator in live}
    for operator in live:
        if not isinstance(operator, ops.Requant) or operator.x in program.outputs:
            continue
        readers = [reader for reader in program.consumers[operator.x] if reader.output in alive]
        producer = program.producers.get(operator.x)
        if len(readers) == 1 and producer is not None and registry.has_fusing_kernel(producer):
            fused[operator.x] = operator
    return fused


def _make_steps(
    plan: Plan,
    live: Sequence[Operator],
    fused: Mapping[str, ops.Requant],
    forms: Mapping[str, ProvedForms],
    upsamplings: Mapping[str, ops.Conv],
) -> None:
    swallowed = {requant.output for requant in fused.values()} | upsamplings.keys()
    for operator in live:
        if operator.output in swallowed:
            continue
        requant, output = fused.get(operator.output), _written(operator, fused)
        conv = upsamplings.get(operator.x) if isinstance(operator, ops.Conv) else None
        ours = operator if conv is None else of_small_image(plan.program, conv)
        plan.steps.append(Step(ours, requant, output, forms.get(output), plan, upsamples=conv is not None))


def _choose_layouts(plan: Plan) -> None:
    program = plan.program
    written = [step.output for step in plan.steps]
    read = {name for step in plan.steps for name in step.operands}
    kept = [name for name in (*program.inputs, *program.constants, *written) if name in read or name in program.outputs]
    orders = _orders(plan, kept)
    halos = _halos(plan)
    for name in kept:
        type_ = program.types[name]
        if type_.dtype.is_float and (name in program.inputs or name in program.outputs):
            plan.layouts[name] = row_major(type_.shape, container_of(type_.dtype))
        elif orders.get(name) == "channels_last":
            halo = None if name in program.constants else halos.get(name)
            plan.layouts[name] = channels_last(type_.shape, storage_of(type_.dtype), halo)
        else:
            plan.layouts[name] = row_major(type_.shape, storage_of(type_.dtype))
    for step in list(plan.steps):
        if _try_alias(plan, step):
            plan.steps.remove(step)


_SPATIAL = (
    *(ops.Conv, ops.ConvTranspose, ops.MaxPool, ops.AvgPool, ops.Resize, ops.ResizeLinear),
    ops.SelectiveScan,  # its vectors run over channels
)
_SAME_ORDER = (
    *(ops.Requant, ops.Add, ops.Mul, ops.Table, ops.Threshold, ops.Cast, ops.Concat, ops.Slice, ops.Pad),
    *(ops.ReduceSum, ops.ReduceMax, ops.ReduceMin, ops.ArgMax, ops.Softmax, ops.Normalize),
)


def _orders(plan: Plan, kept: Sequence[str]) -> dict[str, str]:
    """Channels-last for what is joined to a spatial operator through elementwise ones, row-major next to matmuls."""
    group: dict[str, str] = {}

    def find(name: str) -> str:
        while group.get(name, name) != name:
            name = group[name]
        return name

    wish: dict[str, set[str]] = {}
    rank = {name: len(plan.program.types[name].shape) for name in plan.program.types}
    for step in plan.steps:
        if isinstance(step.operator, _SAME_ORDER):
            for name in step.operands:
                if rank[name] == rank[step.output]:
                    group[find(name)] = find(step.output)
    for step in plan.steps:
        spatial, matmul = isinstance(step.operator, _SPATIAL), isinstance(step.operator, ops.MatMul)
        for name in (*step.operands, step.output) if spatial or matmul else ():
            if name not in plan.program.constants or name == getattr(step.operator, "x", None):
                wish.setdefault(find(name), set()).add("channels_last" if spatial else "row_major")
    _spread_row_major(plan, wish, find)
    orders = {}
    for name in kept:
        wishes = wish.get(find(name), set())
        imaged = rank[name] in (3, 4) and wishes != {"row_major"}
        orders[name] = "channels_last" if imaged else "row_major"
    return orders


def _spread_row_major(plan: Plan, wish: dict[str, set[str]], find: Callable[[str], str]) -> None:
    """Reshapes and transposes move nothing between row-major tensors: what no spatial operator reads follows a matmul.

    Matrices are row-major, and so are the tensors that become one, or become of one, by such movements alone.
    """
    moved = [step for step in plan.steps if isinstance(step.operator, (ops.Reshape, ops.Transpose))]
    changed = True
    while changed:
        changed = False
        for step in moved:
            sides = {find(name): len(plan.program.types[name].shape) for name in (*step.operands, step.output)}
            wishes = [wish.get(side, set()) for side in sides]
            if any("channels_last" in found for found in wishes):
                continue
            if any(rank == 2 for rank in sides.values()) or {"row_major"} in wishes:
                changed |= any("row_major" not in found for found in wishes)
                for side in sides:
                    wish.setdefault(side, set()).add("row_major")


def _halos(plan: Plan) -> dict[str, Halo]:
    halos: dict[str, Halo] = {}
    for step in plan.steps:
        demand = registry.HALO_DEMANDS.get(type(step.operator))
        for name, halo in demand(step.operator, plan.program).items() if demand else ():
            if any(halo.pads):
                halos[name] = halos[name].union(halo) if name in halos else halo
    return halos


def _try_alias(plan: Plan, step: Step) -> bool:
    """Let a reshape or transpose share its operand's memory where all who read the result cope with any layout."""
    operator, program = step.operator, plan.program
    if not isinstance(operator, (ops.Reshape, ops.Transpose)) or step.output in program.outputs:
        return False
    if operator.x in program.inputs and program.types[operator.x].dtype.is_float:
        return False
    source = plan.layouts[operator.x]
    if isinstance(operator, ops.Reshape):
        layout = source.reshaped(operator.shape)
    else:
        layout = source.permuted(operator.permutation)
    if layout is None:
        return False
    wanted = plan.layouts[step.output]
    if layout.same_places(wanted):
        layout = wanted
    elif not all(
        _reads_any_layout(reader, step.output, layout, plan) for reader in plan.steps if step.output in reader.operands
    ):
        return False
    plan.layouts[step.output] = layout
    plan.aliases[step.output] = operator.x
    return True


def _reads_any_layout(reader: Step, name: str, layout: Layout, plan: Plan) -> bool:
    operator = reader.operator
    if isinstance(operator, ops.MatMul) and not {operator.x, operator.w} & plan.program.constants.keys():
        return name == operator.w or layout.axes[-1][-1] == (layout.shape[-1], 1)
    if isinstance(operator, ops.MatMul):
        return (
            operator.x == name
            and operator.w in plan.program.constants
            and layout.shape[0] == len(layout.shape) - 1 == 1
        )
    return isinstance(operator, (ops.Dequantize, ops.Reshape, ops.Transpose))


def _insert_ends(plan: Plan) -> None:
    program = plan.program
    read = {name for step in plan.steps for name in step.operands} | {*plan.aliases.values()}
    loads = [name for name, type_ in program.inputs.items() if not type_.dtype.is_float]
    loads = [name for name in loads if name in read or name in program.outputs]
    stores = [name for name in program.outputs if not _direct(plan, name)]
    plan.steps[:0] = [Step(Load(name), None, name, None, plan) for name in loads]
    plan.steps += [Step(Store(name), None, name, None, plan) for name in stores]
    for index, name in enumerate(program.outputs):
        if _direct(plan, name):
            plan.places[name] = Place("output", index)
    for index, (name, type_) in enumerate(program.inputs.items()):
        if type_.dtype.is_float:
            plan.places[name] = Place("input", index)


def _direct(plan: Plan, name: str) -> bool:
    """Whether the step that computes an output writes it straight into the user's array."""
    return plan.program.types[name].dtype.is_float and name in plan.program.producers

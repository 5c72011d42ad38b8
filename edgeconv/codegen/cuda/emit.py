"""A program as kernels of a GPU, and the same kernels as one function of a CPU, with loops in the places of threads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeconv.codegen.blob import Blob
from edgeconv.codegen.builder import Memory, bind, const
from edgeconv.codegen.cuda.builder import ELEMENTS, CudaBuilder, Memories, arena_stride
from edgeconv.codegen.cuda.shape import Shape, most_samples
from edgeconv.codegen.cuda.team import BlockTeam, GridTeam, LoopTeam, Team
from edgeconv.codegen.emit import Emitted
from edgeconv.codegen.halo import halo_runs
from edgeconv.codegen.kernels.float_bits import held_in
from edgeconv.codegen.kernels.registry import select
from edgeconv.codegen.layout import container_of
from edgeconv.codegen.plan import Plan, Step, Store
from edgeconv.codegen.report import KernelReport, Reporter
from edgeconv.codegen.tir import Expr, IRBuilder, PointerType, PrimType, T, tirx

__all__ = ["Kernels", "Launch", "emit_device", "emit_loops"]

_RAW_FUNCTION = {"calling_conv": 2}  # TVM's "device kernel launch": plain arguments
_MANY = 1 << 30
_NOT_LOWERED = {"disable_lower_builtin": True}


@dataclass(frozen=True)
class Launch:
    """A kernel and how it is launched.

    Attributes:
        symbol: of the kernel: void symbol(inputs…, outputs…, weights, scratch, int32 n, int32 number).
        function: its TIR.
        blocks: of a launch: for each sample, or 0 where a block takes `samples` samples.
        numbers: times it is launched, with number 0, 1, …
    """

    symbol: str
    function: object
    blocks: int
    numbers: int = 1


@dataclass(frozen=True)
class Kernels:
    """What was emitted.

    Attributes:
        launches: in the order in which they run.
        report: of every step.
        temporary_bytes: the most that a step asked for; more than was reserved where the kernels are of no use.
    """

    launches: tuple[Launch, ...]
    report: tuple[KernelReport, ...]
    temporary_bytes: int


def emit_device(plan: Plan, blob: Blob, shape: Shape, symbol: str, reserved: int) -> Kernels:
    """The kernels of a GPU.

    Args:
        reserved: bytes at the end of each arena that are kept for temporaries.
    """
    if shape.whole:
        return _emit_block(plan, blob, shape, symbol, reserved)
    emitted = [
        _emit_grid(plan, blob, shape, f"{symbol}_{number}", step, reserved) for number, step in enumerate(plan.steps)
    ]
    launches, reports, temporary = zip(*emitted, strict=True)
    return Kernels(launches, reports, max(temporary))


def _emit_block(plan: Plan, blob: Blob, shape: Shape, symbol: str, reserved: int) -> Kernels:
    with IRBuilder() as ir, T.prim_func(s_tir=False):
        users, weights, _, n, _ = _head(plan, symbol)
        blocks = tirx.truncdiv(n + (shape.samples - 1), const(shape.samples))
        with T.launch_thread("blockIdx.x", blocks) as block, T.launch_thread("threadIdx.x", shape.threads) as thread:
            size = arena_stride(plan) * shape.samples
            shared = T.alloc_buffer((size,), "uint8", scope="shared", annotations=_NOT_LOWERED, align=64)
            memories = Memories(
                _declared(users[0]), _declared(users[1]), _bytes(weights), _bytes(shared.data, scope="shared")
            )
            first = bind(block * shape.samples)
            active = bind(tirx.min(const(shape.samples), n - first))
            team = BlockTeam(thread, shape.threads, shape.samples, active, shape.tiles_wanted)
            build = CudaBuilder(plan, blob, team, memories, reserved, first)
            reports = tuple(_emit_step(build, step) for step in plan.steps)
    return Kernels((Launch(symbol, ir.get(), 0),), reports, build.temporary_bytes)


def _emit_grid(
    plan: Plan, blob: Blob, shape: Shape, symbol: str, step: Step, reserved: int
) -> tuple[Launch, KernelReport, int]:
    with IRBuilder() as ir, T.prim_func(s_tir=False):
        users, weights, scratch, n, number = _head(plan, symbol)
        with (
            T.launch_thread("blockIdx.y", most_samples(plan, shape)) as sample,
            T.launch_thread("blockIdx.x", n) as block,
            T.launch_thread("threadIdx.x", shape.threads) as thread,
        ):
            memories = Memories(_declared(users[0]), _declared(users[1]), _bytes(weights), _bytes(scratch))
            team = GridTeam(bind(block * shape.threads + thread), bind(n * shape.threads), number, shape.tiles_wanted)
            build = CudaBuilder(plan, blob, team, memories, reserved, sample, sample)
            report = _emit_step(build, step)
    launch = Launch(symbol, ir.get(), -(-team.trips // shape.threads), team.launches)
    return launch, report, build.temporary_bytes


def emit_loops(
    plan: Plan, blob: Blob, shape: Shape, symbol: str, reserved: int, *, backwards: bool
) -> tuple[Emitted, int]:
    """void symbol(const void *const *in, void *const *out, const uint8_t *weights, uint8_t *scratch, int64_t n).

    Returns:
        the function, and the bytes of temporaries, as in `Kernels`.
    """
    with IRBuilder() as ir, T.prim_func(s_tir=False):
        T.func_name(symbol)
        T.func_attr({"global_symbol": symbol, **_RAW_FUNCTION})
        inputs, outputs = (T.arg(name, T.ptr("int64")) for name in ("in", "out"))
        weights, scratch = (T.arg(name, T.ptr("uint8")) for name in ("weights", "scratch"))
        n = T.arg("n", T.int64())
        users = [_addresses(plan, names, at) for names, at in zip(_user_names(plan), (inputs, outputs), strict=True)]
        memories = Memories(_declared(users[0]), _declared(users[1]), _bytes(weights), _bytes(scratch))
        count = bind(n.astype("int32"))
        samples = shape.samples if shape.whole else 1
        with T.serial(0, tirx.truncdiv(count + (samples - 1), const(samples))) as block:
            first = bind(block * samples)
            active = bind(tirx.min(const(samples), count - first))
            team: Team = LoopTeam(shape.threads, samples, active, shape.tiles_wanted, backwards=backwards)
            build = CudaBuilder(plan, blob, team, memories, reserved, first)
            reports = tuple(_emit_step(build, step) for step in plan.steps)
    return Emitted(ir.get(), arena_stride(plan) * samples, 0, reports), build.temporary_bytes


def _emit_step(build: CudaBuilder, step: Step) -> KernelReport:
    """The kernel of a step and the halo around what it writes."""
    chosen, reporter = select(build.isa, step), Reporter(build.blob)
    build.open_phase(parallel=chosen.parallel)
    with reporter.constants_of(step), held_in("local"):
        detail = chosen.emit(build, step)
    if not isinstance(step.operator, Store):
        _fill_halo(build, step.output)
    build.end_step()
    return reporter.report(step, chosen.name, detail)


def _fill_halo(build: CudaBuilder, name: str) -> None:
    view = build.view(name)
    layout = view.layout
    if layout.halo is None or not any(layout.halo.pads):
        return
    samples = layout.shape[0]
    per_sample = layout.size // samples
    stored = const(layout.halo.value + layout.storage.bias, layout.storage.element)
    for offset, repeats, stride, count in halo_runs(layout, per_sample):
        if repeats * count:
            with build.parallel_nest([samples, repeats, count]) as (sample, row, index):
                view.vstore(sample * per_sample + offset + row * stride + index, stored, 1)


Pointers = Sequence[tuple[Expr, str]]


def _user_names(plan: Plan) -> tuple[Sequence[str], Sequence[str]]:
    return tuple(plan.program.inputs), plan.program.outputs


def _head(plan: Plan, symbol: str) -> tuple[list[Pointers], Expr, Expr, Expr, Expr]:
    """Name and parameters of a kernel: pointers to inputs and outputs, weights, scratch, n, number."""
    T.func_name(symbol)
    T.func_attr({"global_symbol": symbol, **_RAW_FUNCTION})
    users: list[Pointers] = []
    for kind, names in zip(("input", "output"), _user_names(plan), strict=True):
        elements = [container_of(plan.program.types[name].dtype).element for name in names]
        users.append([(T.arg(f"{kind}{i}", T.ptr(element)), element) for i, element in enumerate(elements)])
    weights, scratch = (T.arg(name, T.ptr("uint8")) for name in ("weights", "scratch"))
    return users, weights, scratch, T.arg("n", T.int32()), T.arg("number", T.int32())


def _addresses(plan: Plan, names: Sequence[str], pointers: Expr) -> Pointers:
    table = T.decl_buffer((len(names) + 1,), "int64", data=pointers)
    found = []
    for index, name in enumerate(names):
        element = container_of(plan.program.types[name].dtype).element
        found.append((T.Bind(tirx.reinterpret(PointerType(PrimType(element)), table[index])), element))
    return found


def _declared(pointers: Pointers) -> list[Memory]:
    return [Memory.at(pointer, [element]) for pointer, element in pointers]


def _bytes(pointer: Expr, scope: str = "global") -> Memory:
    buffers = {}
    for element in ELEMENTS:
        buffers[element] = T.decl_buffer((_MANY,), element, data=pointer, scope=scope, align=1)
    return Memory(buffers)

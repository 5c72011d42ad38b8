"""Which parts of a Relax module run on the array: patterns, then neighbours together as far as its memory goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgeconv.codegen.tir import tvm
from edgeconv.errors import ModelError
from edgeconv.hw.relax.compile import CompiledRegion, compile_region
from edgeconv.hw.relax.judge import Judge, judging
from edgeconv.hw.relax.patterns import NAME, register, registered
from edgeconv.hw.relax.prepare import QUANTIZERS, prepared
from edgeconv.hw.relax.region import composite_of, region_of_function
from edgeconv.hw.relax.tensors import op_name
from edgeconv.hw.spec import ArrayConfig

__all__ = ["OnArray", "Partition", "WithTvm", "explain_partition", "partition_for_edgeconv"]

_NOT_MATCHED = "no pattern of docs/relax.md covers it"
_ENDS = "floats do not reach the array"


@dataclass(frozen=True)
class OnArray:
    """A function that runs on the array in one go.

    Attributes:
        symbol: its name in the module.
        composites: patterns that it is made of, in order.
        cycles: of one sample.
    """

    symbol: str
    composites: tuple[str, ...]
    cycles: int


@dataclass(frozen=True)
class WithTvm:
    """An operator that stays with TVM, the variable that it writes, and why."""

    variable: str
    operator: str
    reason: str


@dataclass(frozen=True, eq=False)
class Partition:
    """A module in two parts.

    Attributes:
        module: what `RunCodegen` takes.
    """

    module: Any
    on_array: tuple[OnArray, ...]
    with_tvm: tuple[WithTvm, ...]

    def text(self) -> str:
        """What runs where, for people: operators that stay for one reason stand together."""
        lines = ["on the array:"]
        for each in self.on_array:
            lines.append(f"  {each.symbol}, {each.cycles:,} cycles a sample: {', '.join(each.composites)}")
        lines += [] if self.on_array else ["  nothing"]
        lines.append("with TVM:")
        for reason in dict.fromkeys(each.reason for each in self.with_tvm):
            lines.append(f"  {reason}:")
            lines += [f"    {each.variable} = {each.operator}" for each in self.with_tvm if each.reason == reason]
        lines += [] if self.with_tvm else ["  nothing"]
        return "\n".join(lines)


def partition_for_edgeconv(module: Any, config: ArrayConfig | None = None) -> Any:
    """Mark what runs on the array, in the manner of TVM's own `partition_for_…`.

    Every composite is one that the array's compiler has taken, with all proofs of docs/certificate.md; all else stays
    as it is.

    Args:
        module: with Relax functions as the ONNX frontend makes them.
        config: of the array; the same is to be given to `RunCodegen`.
    """
    return explain_partition(module, config).module


def explain_partition(module: Any, config: ArrayConfig | None = None) -> Partition:
    """`partition_for_edgeconv`, with what runs where and why."""
    register()
    with judging(config) as judge:
        fuse = tvm.relax.transform.FuseOpsByPattern(registered(), bind_constants=True, annotate_codegen=False)
        fused = fuse(prepared(module))
    merged, compiled = _merged(fused, config)
    parts = tuple(_on_array(merged, name, each) for name, each in compiled.items())
    return Partition(merged, parts, tuple(_remaining(merged, judge)))


def _code_functions(module: Any) -> Iterator[tuple[Any, Any]]:
    """The functions of a module that this back end makes code for, with their names."""
    for name, function in module.functions.items():
        attributes = getattr(function, "attrs", None)
        if attributes and "Codegen" in attributes and str(attributes["Codegen"]).startswith(NAME):
            yield name, function


def _merged(fused: Any, config: ArrayConfig | None) -> tuple[Any, dict[str, CompiledRegion]]:
    """Neighbours as one function, where the array's compiler takes them; else in halves, and those again.

    MergeCompositeFunctions joins what has one code generator, so parts that are to stay apart get one each for that
    time. Composites are numbered, because it opens the functions that they are.
    """
    numbered = {name: f for name, f in fused.functions.items() if (composite_of(f) or "").startswith(f"{NAME}.")}
    plain = [str(composite_of(function)) for function in numbered.values()]
    part_of = [0] * len(numbered)
    while True:
        marked = {
            name: function.with_attr("Composite", f"{NAME}_{part}.{number}")
            for number, ((name, function), part) in enumerate(zip(numbered.items(), part_of, strict=True))
        }
        module = tvm.IRModule({**dict(fused.functions.items()), **marked}, fused.attrs, fused.global_infos)
        module = tvm.relax.transform.MergeCompositeFunctions()(module)
        compiled: dict[Any, CompiledRegion] = {}
        refused = None
        for name, function in _code_functions(module):
            try:
                compiled[name] = compile_region(region_of_function(function), config)
            except ModelError as error:
                refused = (function, error)
                break
        if refused is None:
            return _named(module, compiled, plain)
        numbers = sorted(int(composite.rpartition(".")[2]) for composite in _composites(refused[0]))
        if len(numbers) < 2:
            raise refused[1]
        new = max(part_of) + 1
        for number in numbers[len(numbers) // 2 :]:
            part_of[number] = new


def _composites(function: Any) -> list[str]:
    inner = [b.value for block in function.body.blocks for b in block.bindings if hasattr(b, "value")]
    return [str(composite_of(each)) for each in inner if isinstance(each, tvm.relax.Function)]


def _named(module: Any, compiled: Mapping[Any, CompiledRegion], plain: list[str]) -> tuple[Any, dict[str, Any]]:
    """Short names for the functions on the array, and composites under the names of their patterns again."""
    functions = dict(module.functions.items())
    renamed = {}
    for number, name in enumerate(compiled):
        renamed[name] = tvm.ir.GlobalVar(f"{NAME}_{number}")
        tvm.relax.expr._update_type(renamed[name], functions[name].ty)
    for name, function in list(functions.items()):
        if isinstance(function, tvm.relax.Function):
            functions[name] = _Renamed(renamed, plain).visit_expr(function)
    for name, new in renamed.items():
        function = functions.pop(name).with_attr("Codegen", NAME)
        functions[new] = function.with_attr("global_symbol", new.name_hint)
    named = tvm.IRModule(functions, module.attrs, module.global_infos)
    return named, {renamed[name].name_hint: each for name, each in compiled.items()}


@tvm.relax.expr_functor.mutator
class _Renamed(tvm.relax.PyExprMutator):
    """Gives functions on the array other names, and composites those of their patterns."""

    def __init__(self, renamed: Mapping[Any, Any], plain: list[str]) -> None:
        super().__init__()
        self._renamed, self._plain = renamed, plain

    def visit_global_var_(self, name: Any) -> Any:
        return self._renamed.get(name, name)

    def visit_function_(self, function: Any) -> Any:
        found = super().visit_function_(function)
        composite = composite_of(function)
        if composite is None:
            return found
        return found.with_attr("Composite", self._plain[int(composite.rpartition(".")[2])])


def _on_array(module: Any, name: str, compiled: CompiledRegion) -> OnArray:
    composites = tuple(each.removeprefix(f"{NAME}.") for each in _composites(module[name]))
    return OnArray(name, composites, compiled.network.image.cycles)


def _remaining(module: Any, judge: Judge) -> Iterator[WithTvm]:
    """What the functions outside of composites still call."""
    generated = {name for name, _ in _code_functions(module)}
    reasons = _reasons(judge)
    for name, function in module.functions.items():
        if name in generated or not isinstance(function, tvm.relax.Function):
            continue
        for block in function.body.blocks:
            for binding in block.bindings:
                operator = op_name(getattr(binding, "value", None))
                if operator:
                    variable = binding.var.name
                    reason = _ENDS if operator in QUANTIZERS else _NOT_MATCHED
                    yield WithTvm(variable, operator, reasons.get(variable, reason))


def _reasons(judge: Judge) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for refusal in judge.refusals:
        error = refusal.error
        for variable in refusal.variables:
            found.setdefault(variable, error.problem + (f" (expected: {error.expected})" if error.expected else ""))
    return found

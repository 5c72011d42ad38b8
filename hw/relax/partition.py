"""Which parts of a Relax module run on the array: patterns, then neighbours together as far as its memory goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgeconv.codegen.tir import tvm
from edgeconv.errors import ModelError, UsageError
from edgeconv.hw.relax.compile import CompiledRegion, compile_region
from edgeconv.hw.relax.judge import Judge, judging
from edgeconv.hw.relax.patterns import NAME, register, registered
from edgeconv.hw.relax.prepare import QUANTIZERS, prepared
from edgeconv.hw.relax.region import composite_of, is_plain, region_of_function
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
        hosted: why the host computes the last rounding, of the array's sums; "" where it does not.
    """

    symbol: str
    composites: tuple[str, ...]
    cycles: int
    hosted: str = ""


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
            lines += [f"    the last rounding on the host: {each.hosted}"] if each.hosted else []
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

    Raises:
        UsageError: the module was partitioned before.
    """
    return explain_partition(module, config).module


def explain_partition(module: Any, config: ArrayConfig | None = None) -> Partition:
    """`partition_for_edgeconv`, with what runs where and why.

    Raises:
        UsageError: the module was partitioned before.
    """
    for name, _ in _code_functions(module):
        raise UsageError(
            f"the module has {name.name_hint}, which is for the array already",
            expected="a module that was not partitioned for edgeconv",
            advice="partition the module that this one was made of",
        )
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
    """Neighbours as one function, as many from the first on as the array's compiler takes; then the next ones."""
    composites = {name: f for name, f in fused.functions.items() if (composite_of(f) or "").startswith(f"{NAME}.")}
    part_of = [0] * len(composites)
    while True:
        module = _joined(fused, composites, part_of)
        compiled, refused = _compiled(module, config)
        if refused is None:
            return _named(module, compiled, [str(composite_of(function)) for function in composites.values()])
        numbers = [int(name.rpartition(".")[2]) for name in _composites(refused)]
        least, most, new = 1, len(numbers) - 1, max(part_of) + 1
        while least < most:
            middle = (least + most + 1) // 2
            tried = _split(part_of, numbers[middle:], new)
            least, most = (middle, most) if _holds(fused, composites, tried, new, config) else (least, middle - 1)
        part_of = _split(part_of, numbers[least:], new)


def _split(part_of: list[int], numbers: Sequence[int], new: int) -> list[int]:
    return [new if number in numbers else part for number, part in enumerate(part_of)]


def _holds(fused: Any, composites: Mapping[Any, Any], part_of: list[int], new: int, config: ArrayConfig | None) -> bool:
    """Whether the compiler takes all functions but those of the newest part."""
    return _compiled(_joined(fused, composites, part_of), config, but=f"{NAME}_{new}")[1] is None


def _joined(fused: Any, composites: Mapping[Any, Any], part_of: list[int]) -> Any:
    """Neighbours of the same part as one function.

    MergeCompositeFunctions joins what has one code generator, so each part has one of its own for that time. Composites
    are numbered, because it opens the functions that they are.
    """
    marked = {
        name: function.with_attr("Composite", f"{NAME}_{part}.{number}")
        for number, ((name, function), part) in enumerate(zip(composites.items(), part_of, strict=True))
    }
    module = tvm.IRModule({**dict(fused.functions.items()), **marked}, fused.attrs, fused.global_infos)
    return tvm.relax.transform.MergeCompositeFunctions()(module)


def _compiled(module: Any, config: ArrayConfig | None, but: str = "") -> tuple[dict[Any, CompiledRegion], Any]:
    """The functions for the array, compiled, and the first that was refused.

    Raises:
        ModelError: a composite on its own was refused, which its pattern's check had taken.
    """
    compiled: dict[Any, CompiledRegion] = {}
    for name, function in _code_functions(module):
        if str(function.attrs["Codegen"]) == but:
            continue
        try:
            compiled[name] = compile_region(region_of_function(function), config)
        except ModelError:
            if len(_composites(function)) < 2:
                raise
            return compiled, function
    return compiled, None


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
    return OnArray(name, composites, compiled.network.image.cycles, compiled.hosted)


def _remaining(module: Any, judge: Judge) -> Iterator[WithTvm]:
    """What the functions outside of composites still call."""
    reasons = _reasons(judge)
    for function in filter(is_plain, module.functions.values()):
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

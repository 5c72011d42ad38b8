"""From a region of Relax to an image of the array: importer, lowering, proofs and compiler of the ONNX way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import onnx

from edgeconv.errors import ModelError
from edgeconv.hw.compiler import CompiledNetwork, compile_network
from edgeconv.hw.compiler.assemble import require
from edgeconv.hw.ends import split_ends
from edgeconv.hw.relax.operators import to_onnx
from edgeconv.hw.relax.region import Region
from edgeconv.hw.spec import ArrayConfig
from edgeconv.importer.read import read_model
from edgeconv.integer import ARRAY, lower, prove
from edgeconv.ir import Program
from edgeconv.ir import operators as ops

__all__ = ["CompiledRegion", "compile_region"]

_KEPT = 64
"""Regions whose result is kept: each is compiled alone, with its neighbours, and again when code is made."""


@dataclass(frozen=True, eq=False)
class CompiledRegion:
    """A region as program and image; inputs and outputs are in the order of the region.

    Attributes:
        hosted: why the host computes the last rounding, of the array's sums; "" where it does not.
    """

    program: Program
    network: CompiledNetwork
    hosted: str = ""


def compile_region(region: Region, config: ArrayConfig | None = None) -> CompiledRegion:
    """Compile a region for the array.

    Raises:
        ModelError: it has no integer arithmetic, no form of the array's that can be proved, or does not fit.
    """
    return _compiled(to_onnx(region).SerializeToString(deterministic=True), config)


@lru_cache(maxsize=_KEPT)
def _compiled(model: bytes, config: ArrayConfig | None) -> CompiledRegion:
    program = lower(read_model(onnx.load_from_string(model), "region", {}))
    # Said before anything is proved, which takes long for large layers: all inputs are in the memory at once.
    held = sum(type_.size * -(-type_.dtype.bits // 8) for type_ in program.inputs.values())
    require(held, (config or ArrayConfig()).activation_bytes, "activation memory", "bytes")
    try:
        return _for_array(program, (), config)
    except ModelError as error:
        hosted = _roundings_at_the_end(program)
        if not hosted:
            raise
        try:
            return replace(_for_array(program, hosted, config), hosted=error.problem)
        except ModelError:
            raise error from None


def _for_array(program: Program, hosted: tuple[str, ...], config: ArrayConfig | None) -> CompiledRegion:
    forms = prove(split_ends(program, hosted).core, ARRAY).forms
    return CompiledRegion(program, compile_network(program, forms, config, hosted))


def _roundings_at_the_end(program: Program) -> tuple[str, ...]:
    """Outputs that round sums which the program has made, for nobody else to read."""
    found = []
    for name in program.outputs:
        operator = program.producers.get(name)
        if isinstance(operator, (ops.Requant, ops.Add, ops.Threshold)) and not program.consumers[name]:
            made = [operand for operand in operator.operands if operand not in program.constants]
            if all(operand in program.producers for operand in made):
                found.append(name)
    return tuple(found)

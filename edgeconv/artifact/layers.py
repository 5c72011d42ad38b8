"""What a program costs and what its ends mean, for the manifest and for `edgeconv inspect`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from math import prod

from edgeconv.artifact.manifest import LayerInfo, TensorInfo
from edgeconv.ir import Constant, Program
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import ProvedForms

__all__ = ["describe_inputs", "describe_layers", "describe_outputs", "input_ranges", "macs_of", "weight_bytes"]


def macs_of(program: Program, operator: ops.Operator) -> int:
    """Multiply-accumulates of one operator for one sample; what lies in the padding counts, too."""
    if isinstance(operator, ops.Conv):
        return prod(program.types[operator.output].shape) * prod(program.types[operator.w].shape[1:])
    if isinstance(operator, ops.ConvTranspose):
        pixels = prod(program.types[operator.x].shape) // program.types[operator.x].shape[1]
        return pixels * prod(program.types[operator.w].shape)
    if isinstance(operator, ops.MatMul):
        return prod(program.types[operator.output].shape) * program.types[operator.operands[0]].shape[-1]
    return 0


def describe_layers(
    program: Program, forms: Mapping[str, Mapping[str, ProvedForms]] | None = None
) -> tuple[LayerInfo, ...]:
    """One entry per operator, in execution order.

    Args:
        forms: per policy, the proved forms by output.
    """
    layers = []
    for operator in program.operators:
        type_ = program.types[operator.output]
        kinds = {
            policy: dict(Counter(form.kind for form in proved[operator.output].forms))
            for policy, proved in (forms or {}).items()
            if operator.output in proved
        }
        weights = sum(program.types[name].size for name in operator.operands if name in program.constants)
        layers.append(
            LayerInfo(
                operator.output,
                operator.keyword,
                operator.origin,
                str(type_.dtype),
                type_.shape,
                macs_of(program, operator),
                weights,
                kinds,
            )
        )
    return tuple(layers)


def weight_bytes(program: Program) -> int:
    """Bytes of all constants, those of fewer than 8 bits packed: what the model weighs on disk before compression."""
    return sum(map(_packed_bytes, program.constants.values()))


def _packed_bytes(constant: Constant) -> int:
    if constant.dtype.is_float or constant.dtype.bits >= 8:
        return int(constant.array.nbytes)
    return (constant.array.size * constant.dtype.bits + 7) // 8


def describe_inputs(program: Program, units: Mapping[str, str]) -> tuple[TensorInfo, ...]:
    """The inputs; for a float input the scale is that of the quantizer that reads it.

    Args:
        units: of real values, by tensor name.
    """
    described = []
    for name, type_ in program.inputs.items():
        quantizer = _quantizer(program, name)
        described.append(
            TensorInfo(
                name,
                str(type_.dtype),
                str(type_.dtype.container),
                type_.shape,
                quantizer.scale if quantizer else None,
                quantizer.grid.zero_point if quantizer else None,
                units.get(name),
            )
        )
    return tuple(described)


def describe_outputs(program: Program, units: Mapping[str, str]) -> tuple[TensorInfo, ...]:
    """The outputs; for a float output the scale is the factor of its one integer operand, rounded to a double."""
    described = []
    for name in program.outputs:
        type_ = program.types[name]
        scale = None
        producer = program.producers.get(name)
        if isinstance(producer, ops.Dequantize) and len(producer.inputs) == 1 and set(producer.linear.radicand) == {1}:
            scale = tuple(float(factor) for factor in producer.linear.factors[0])
        described.append(
            TensorInfo(name, str(type_.dtype), str(type_.dtype.container), type_.shape, scale, None, units.get(name))
        )
    return tuple(described)


def input_ranges(program: Program) -> tuple[tuple[float, float], ...]:
    """The least and greatest value that the model resolves, for each input."""
    ranges = []
    for name, type_ in program.inputs.items():
        quantizer = _quantizer(program, name)
        if quantizer:
            scale, grid = max(quantizer.scale), quantizer.grid
            ranges.append(((grid.lo - grid.zero_point) * scale, (grid.hi - grid.zero_point) * scale))
        elif type_.dtype.is_float:
            ranges.append((-1.0, 1.0))
        else:
            ranges.append((float(type_.dtype.lo), float(type_.dtype.hi)))
    return tuple(ranges)


def _quantizer(program: Program, name: str) -> ops.Quantize | None:
    readers = program.consumers[name]
    return next((operator for operator in readers if isinstance(operator, ops.Quantize)), None)

"""Where two programs, or two sets of arrays, begin to differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import Constant, Program, describe

__all__ = ["Difference", "compare_arrays", "compare_programs", "first_different_tensor"]

Array = NDArray[np.generic]


@dataclass(frozen=True)
class Difference:
    """One difference.

    Attributes:
        place: an operator, a tensor, or an array and the index of its first differing value.
        left, right: what each side has there.
        count: how many values differ, where values are compared; of how many.
    """

    place: str
    left: str
    right: str
    count: int | None = None
    total: int | None = None


def compare_programs(left: Program, right: Program) -> list[Difference]:
    """What differs between two programs: inputs, outputs, the first differing operator, constants. Empty when equal."""
    found = []
    for name in dict.fromkeys((*left.inputs, *right.inputs)):
        if left.inputs.get(name) != right.inputs.get(name):
            found.append(
                Difference(f"input %{name}", _or_absent(left.inputs.get(name)), _or_absent(right.inputs.get(name)))
            )
    if left.outputs != right.outputs:
        found.append(Difference("outputs", ", ".join(left.outputs), ", ".join(right.outputs)))
    found += _first_operator(left, right)
    for name in dict.fromkeys((*left.constants, *right.constants)):
        mine, theirs = left.constants.get(name), right.constants.get(name)
        if mine != theirs:
            found.append(_compare_constants(name, mine, theirs))
    if not found and list(left.inputs) != list(right.inputs):
        found.append(Difference("order of inputs", ", ".join(left.inputs), ", ".join(right.inputs)))
    return found


def _first_operator(left: Program, right: Program) -> list[Difference]:
    for index, (mine, theirs) in enumerate(zip(left.operators, right.operators, strict=False)):
        if mine == theirs:
            continue
        place = f"operator {index}"
        if type(mine) is not type(theirs) or mine.output != theirs.output:
            return [Difference(place, describe(mine), describe(theirs))]
        place = f"{place}, {describe(mine)}"
        if mine.operands != theirs.operands:
            return [Difference(f"{place}, operands", ", ".join(mine.operands), ", ".join(theirs.operands))]
        for name, value in mine.attributes().items():
            if theirs.attributes()[name] != value:
                return [Difference(f"{place}, {name}", *_clipped(str(value), str(theirs.attributes()[name])))]
        return [Difference(f"{place}, origin", mine.origin, theirs.origin)]
    mine_count, their_count = len(left.operators), len(right.operators)
    return [Difference("operators", str(mine_count), str(their_count))] if mine_count != their_count else []


def _clipped(left: str, right: str, around: int = 40) -> tuple[str, str]:
    """Two texts around the first character that differs."""
    pairs = enumerate(zip(left, right, strict=False))
    at = next((index for index, (a, b) in pairs if a != b), min(len(left), len(right)))
    start = max(0, at - around)

    def clip(text: str) -> str:
        end = "…" if at + around < len(text) else ""
        return ("…" if start else "") + text[start : at + around] + end

    return clip(left), clip(right)


def _or_absent(value: object) -> str:
    return "(absent)" if value is None else str(value)


def _compare_constants(name: str, left: Constant | None, right: Constant | None) -> Difference:
    if left is None or right is None or left.type != right.type:
        mine, theirs = (None if constant is None else constant.type for constant in (left, right))
        return Difference(f"constant %{name}", _or_absent(mine), _or_absent(theirs))
    return _compare_values(f"constant %{name}", left.array, right.array)


def compare_arrays(left: Mapping[str, Array], right: Mapping[str, Array]) -> list[Difference]:
    """What differs between arrays of the same names: presence, dtype, shape, or values (bits: NaN equals NaN)."""
    found = []
    for name in dict.fromkeys((*left, *right)):
        mine, theirs = left.get(name), right.get(name)
        if mine is None or theirs is None or mine.dtype != theirs.dtype or mine.shape != theirs.shape:
            found.append(Difference(f"array '{name}'", _kind_of(mine), _kind_of(theirs)))
        elif mine.tobytes() != theirs.tobytes():
            found.append(_compare_values(f"array '{name}'", mine, theirs))
    return found


def _compare_values(place: str, left: Array, right: Array) -> Difference:
    size = left.dtype.itemsize
    bits = [np.ascontiguousarray(array).reshape(-1).view(np.uint8).reshape(-1, size) for array in (left, right)]
    different = (bits[0] != bits[1]).any(1)
    first = int(np.argmax(different))
    index = tuple(int(axis) for axis in np.unravel_index(first, left.shape)) if left.ndim else ()
    mine, theirs = (str(array.reshape(-1)[first].item()) for array in (left, right))
    return Difference(f"{place} at {index}", mine, theirs, int(different.sum()), left.size)


def _kind_of(array: Array | None) -> str:
    return "(absent)" if array is None else f"{array.dtype} {array.shape}"


def first_different_tensor(left: Program, right: Program, inputs: Mapping[str, Array]) -> tuple[Difference | None, int]:
    """Run the reference for both programs and find the first tensor of the same name whose values differ.

    Args:
        inputs: arrays (n, *shape) that fit both programs.

    Returns:
        the difference, None where all are equal; and the number of tensors compared.
    """
    from edgeconv.reference import run

    common = [
        operator.output
        for operator in left.operators
        if operator.output in right.producers and left.types[operator.output] == right.types[operator.output]
    ]
    mine, theirs = run(left, inputs, keep=common), run(right, inputs, keep=common)
    for name in common:
        if mine[name].tobytes() != theirs[name].tobytes():
            place = f"{describe(left.producers[name])}, value"
            return _compare_values(place, mine[name], theirs[name]), len(common)
    return None, len(common)

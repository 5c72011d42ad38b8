"""Nearest-neighbour upsamplings by two that one convolution reads: it may read the small image instead."""

from __future__ import annotations

from dataclasses import replace

from edgeconv.ir import Program
from edgeconv.ir import operators as ops

__all__ = ["find_upsamplings", "of_small_image"]


def find_upsamplings(program: Program) -> dict[str, ops.Conv]:
    """The name of each upsampled image -> the depthwise 3×3 convolution that alone reads it."""
    found = {}
    for operator in program.operators:
        if not isinstance(operator, ops.Conv) or not _is_plain(program, operator):
            continue
        resize = program.producers.get(operator.x)
        alone = len(program.consumers[operator.x]) == 1 and operator.x not in program.outputs
        if alone and isinstance(resize, ops.Resize) and _doubles(program, resize):
            found[operator.x] = operator
    return found


def _is_plain(program: Program, conv: ops.Conv) -> bool:
    shape = program.types[conv.x].shape
    depthwise = len(shape) == 4 and conv.groups == shape[1] == program.types[conv.output].shape[1]
    window = program.types[conv.w].shape[2:] == (3, 3) and conv.pads == (1, 1, 1, 1)
    return depthwise and window and set(conv.strides + conv.dilations) == {1}


def _doubles(program: Program, resize: ops.Resize) -> bool:
    extents = program.types[resize.x].shape[2:]
    wanted = tuple(tuple(index // 2 for index in range(2 * extent)) for extent in extents)
    return resize.indices == wanted and resize.x not in program.constants


def of_small_image(program: Program, conv: ops.Conv) -> ops.Conv:
    """The convolution with the small image as its operand."""
    resize = program.producers[conv.x]
    assert isinstance(resize, ops.Resize)
    return replace(conv, x=resize.x)

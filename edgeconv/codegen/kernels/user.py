"""Copies between the user's arrays and the arena: integer inputs and outputs."""

from __future__ import annotations

from edgeconv.codegen.builder import Builder, View
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.layout import Layout
from edgeconv.codegen.plan import Load, Step, Store

__all__ = ["copy_scalar"]


def copy_scalar(build: Builder, source: View, target: View) -> None:
    """Copy a tensor element by element, in the order of the target's memory, from one layout and storage to another."""
    shape = target.layout.shape
    order = sorted(range(len(shape)), key=lambda axis: -_outermost_stride(target.layout, axis))
    exact = "float32" if target.layout.storage.element == "float32" else "int64"
    with build.nest([shape[axis] for axis in order]) as ordered:
        indices = [ordered[order.index(axis)] for axis in range(len(shape))]
        target.store(indices, source.load(indices, exact))


def _outermost_stride(layout: Layout, axis: int) -> int:
    return max((stride for extent, stride in layout.axes[axis] if extent > 1), default=0)


@kernel(Load, "load.scalar")
def _load(build: Builder, step: Step) -> str:
    copy_scalar(build, build.user_view("input", step.output), build.view(step.output))
    return "element by element"


@kernel(Store, "store.scalar")
def _store(build: Builder, step: Step) -> str:
    copy_scalar(build, build.view(step.output), build.user_view("output", step.output))
    return "element by element"

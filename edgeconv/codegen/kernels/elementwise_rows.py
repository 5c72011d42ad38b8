"""Requantizations of whole rows by one form, and sums of them, a vector at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgeconv.codegen.builder import Builder, View, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.panels import Bucket, Finish, Panel, can_finish, make_buckets
from edgeconv.codegen.kernels.registry import kernel
from edgeconv.codegen.kernels.requantizer import proved_forms
from edgeconv.codegen.kernels.rows import common_rows, each_vector
from edgeconv.codegen.kernels.sum_vectors import Constant, VectorSum, fits_vectors, sum_columns
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx
from edgeconv.ir import operators as ops

__all__ = ["RowWriter", "load_values", "store_elements"]

_NARROW = ("uint8", "int16")


def load_values(view: View, offset: Expr, lanes: int) -> Expr:
    """`lanes` values (storage bias removed) as an int32 vector."""
    storage = view.layout.storage
    stored = view.vload(offset, lanes)
    wide = stored if storage.element == "int32" else stored.astype(f"int32x{lanes}")
    return bind(wide - const(storage.bias, "int32", lanes) if storage.bias else wide)


def _can_add(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.Add) or isa.lanes == 1 or step.forms is None:
        return False
    layouts = [step.layout(name) for name in (*operator.inputs, step.output)]
    readable = all(layout.storage.element in (*_NARROW, "int32") for layout in layouts[:-1])
    if not readable or layouts[-1].storage.element not in _NARROW or not fits_vectors(step.forms.forms):
        return False
    rows = common_rows(layouts)
    innermost = 1 if layouts[-1].order == "channels_last" else len(layouts[-1].shape) - 1
    one = len(step.forms.forms) == 1 or operator.linear.axis == innermost
    return rows is not None and one


@kernel(ops.Add, "add.rows", priority=10, can_handle=_can_add, parallel=True, by_rows=True)
def _add(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Add)
    views, y = [build.view(name) for name in operator.inputs], build.view(step.output)
    rows = common_rows([view.layout for view in (*views, y)])
    assert rows is not None
    lanes, grid, storage = build.isa.lanes, operator.grid, y.layout.storage
    writer = RowWriter(build, y, grid.lo + storage.bias, grid.hi + storage.bias)
    vectors = VectorSum.of(build.isa, proved_forms(step), grid.zero_point + storage.bias)
    constants = _sum_constants(build, step, vectors, writer.width)

    def body(offsets: list[Expr], count: int) -> None:
        constant = constants(offsets[-1] - rows.bases[-1])
        sums = []
        for part in range(-(-count // lanes)):
            pairs = zip(views, offsets, strict=False)
            operands = [load_values(view, offset + part * lanes, lanes) for view, offset in pairs]
            sums.append(vectors.value(operands, constant(part)))
        writer.store(offsets[-1], sums, count)

    each_vector(build, rows, writer.width, body)
    return f"{writer.width} elements at a time" + (" in float64" if vectors.element == "float64" else "")


def _sum_constants(
    build: Builder, step: Step, vectors: VectorSum, width: int
) -> Callable[[Expr], Callable[[int], Constant]]:
    """(elements before a run of `width` in its tensor) -> (vector of the run) -> its constants.

    Channels are innermost: a run begins anywhere in the cycle of channels, and the constants go on behind its end.
    """
    forms = proved_forms(step).forms
    columns = sum_columns(forms)
    if len(forms) == 1:
        uniform = vectors.uniform(columns)
        return lambda before: lambda part: uniform
    lanes = build.isa.lanes
    views = {
        label: build.constant(f"{step.output}/{label}", np.resize(values, len(forms) + width))
        for label, values in columns.items()
    }

    def of_run(before: Expr) -> Callable[[int], Constant]:
        first = 0 if width % len(forms) == 0 else bind(tirx.truncmod(before, const(len(forms))))
        return lambda part: lambda label: bind(views[label].vload(first + part * lanes, lanes))

    return of_run


class RowWriter:
    """Narrows int32 vectors to the output's elements and stores them one behind the other.

    Args:
        lo, hi: clip bounds of the stored numbers.
    """

    def __init__(self, build: Builder, view: View, lo: int, hi: int) -> None:
        self._isa, self._view, self._lo, self._hi = build.isa, view, lo, hi

    @property
    def width(self) -> int:
        """Elements of one store."""
        return (4 if self._view.layout.storage.element == "uint8" else 2) * self._isa.lanes

    def store(self, offset: Expr, vectors: list[Expr], count: int) -> None:
        """Store the first `count` elements of at most `width / lanes` vectors of stored numbers."""
        element = self._view.layout.storage.element
        pack = self._isa.pack_bytes if element == "uint8" else self._isa.pack_words
        whole = self.width // self._isa.lanes
        packed = pack([*vectors, *[vectors[-1]] * (whole - len(vectors))])
        bounds = (0, 255) if element == "uint8" else (-(1 << 15), (1 << 15) - 1)
        if self._lo > bounds[0]:
            packed = tirx.max(packed, const(self._lo, element, self.width))
        if self._hi < bounds[1]:
            packed = tirx.min(packed, const(self._hi, element, self.width))
        store_elements(self._view, offset, bind(packed), self.width, count)


def store_elements(view: View, offset: Expr, vector: Expr, width: int, count: int) -> None:
    """Store the first `count` of `width` elements, in pieces whose lengths are powers of two."""
    done = 0
    while done < count:
        size = 1 << ((count - done).bit_length() - 1)
        order = [tirx.const(index, "int32") for index in range(done, done + size)]
        view.vstore(offset + done, vector if size == width else tirx.Shuffle([vector], order), size)
        done += size


def _can_requant(isa: Isa, step: Step) -> bool:
    operator = step.operator
    if not isinstance(operator, ops.Requant) or isa.lanes == 1 or step.forms is None or len(step.forms.forms) > 1:
        return False
    x, y = step.layout(operator.x), step.layout(step.output)
    narrow = x.storage.element in (*_NARROW, "int32")
    return narrow and common_rows([x, y]) is not None and can_finish(isa, _as_fused(step), [0])


def _as_fused(step: Step) -> Step:
    """The step as the vector requantization sees it: a requant behind an operator."""
    operator = step.operator
    assert isinstance(operator, ops.Requant)
    return Step(operator, operator, step.output, step.forms, step.plan)


@kernel(ops.Requant, "requant.rows", priority=10, can_handle=_can_requant, parallel=True, by_rows=True)
def _requant(build: Builder, step: Step) -> str:
    operator = step.operator
    assert isinstance(operator, ops.Requant)
    x, y = build.view(operator.x), build.view(step.output)
    rows = common_rows([x.layout, y.layout])
    assert rows is not None
    lanes = build.isa.lanes
    fused = _as_fused(step)
    (bucket,) = make_buckets(fused, [Panel(0, lanes, 1)], lanes)
    assert isinstance(bucket, Bucket)
    finish = Finish(build, fused, bucket, "requant")
    per_store = 4 if y.layout.storage.element == "uint8" else 2

    def body(offsets: list[Expr], count: int) -> None:
        parts = -(-count // lanes)
        loaded = [load_values(x, offsets[0] + part * lanes, lanes) for part in range(parts)]
        counts = [min(lanes, count - part * lanes) for part in range(parts)]
        places: list[Expr] = [offsets[1], *[None] * (parts - 1)]
        finish.store(places, finish.values(0, 0, loaded), counts)

    each_vector(build, rows, per_store * lanes, body)
    return f"{per_store * lanes} elements at a time"

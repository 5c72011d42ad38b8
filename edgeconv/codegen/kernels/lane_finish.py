"""The end of kernels whose lanes are not successive channels: any channel in any lane, one kind of form for all.

`Finish` in `panels` serves vectors of neighbouring output channels. Here a vector holds positions of one channel, or a
run of channels-last memory that begins and ends anywhere; the constants are laid out lane by lane as the caller says.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeconv.codegen.builder import Builder, bind, const
from edgeconv.codegen.isa.base import Isa
from edgeconv.codegen.kernels.bit_forms import bits_sign
from edgeconv.codegen.kernels.elementwise_rows import store_elements
from edgeconv.codegen.kernels.forms_base import BlockConstants, Ending
from edgeconv.codegen.kernels.panel_forms import COLUMNS, VALUES
from edgeconv.codegen.kernels.panels import can_finish, kind_key
from edgeconv.codegen.kernels.requantizer import proved_forms
from edgeconv.codegen.plan import Step
from edgeconv.codegen.tir import Expr, tirx

__all__ = ["LaneFinish", "can_finish_lanes"]


def can_finish_lanes(isa: Isa, step: Step) -> bool:
    """Whether a step's output is bytes or bare accumulators, and one kind of form serves all channels."""
    element = step.layout(step.output).storage.element
    if step.requant is None:
        return element == "int32"
    channels = step.type(step.output).shape[1]
    if element != "uint8" or step.requant.linear.axis not in (1,) or not can_finish(isa, step, [*range(channels)]):
        return False
    return len({form.kind for form in proved_forms(step).forms}) == 1


class LaneFinish:
    """Requantizes vectors of accumulators and stores them.

    Args:
        channels: (vectors, lanes): the output channel of every lane of each vector of constants.
        started: the accumulators begin with what `bit_forms.channel_starts` says.
    """

    def __init__(
        self, build: Builder, step: Step, channels: NDArray[np.int64], label: str, *, started: bool = False
    ) -> None:
        self._build, self._out = build, build.view(step.output)
        self._grid = step.requant.grid if step.requant else None
        forms = proved_forms(step).forms if step.requant else ()
        bias = self._out.layout.storage.bias
        zero = 0 if self._grid is None else self._grid.zero_point + bias
        self._ending = Ending(build, zero, bias, started, bits_sign(build.isa, step, zero, range(len(forms))))
        self._kind, self._number = kind_key(forms)
        rows = [[forms[channel if len(forms) > 1 else 0] for channel in row] for row in channels] if forms else []
        arrays = COLUMNS[self._kind](rows, self._number, self._ending)
        views = {name: build.constant(f"{step.output}/{label}.{name}", a[:, None]) for name, a in arrays.items()}
        self._constants = BlockConstants(views, build.isa.lanes)

    @property
    def build(self) -> Builder:
        """The builder."""
        return self._build

    def values(self, vector: Expr, accumulators: list[Expr]) -> list[Expr]:
        """Accumulators through the constants of one vector: stored numbers, neither clipped nor narrowed."""
        return VALUES[self._kind](self._ending, self._constants, vector, self._number, accumulators)

    def packed(self, vectors: list[Expr]) -> Expr:
        """At most four of these vectors as clipped bytes, one vector's lanes behind the other's."""
        isa = self._build.isa
        whole = (isa.pack_bits if self._ending.sign else isa.pack_bytes)(
            [*vectors, *[vectors[-1]] * (4 - len(vectors))]
        )
        assert self._grid is not None
        width, bias = 4 * self._build.isa.lanes, self._out.layout.storage.bias
        if self._grid.lo + bias > 0:
            whole = tirx.max(whole, const(self._grid.lo + bias, "uint8", width))
        if self._grid.hi + bias < 255:
            whole = tirx.min(whole, const(self._grid.hi + bias, "uint8", width))
        return bind(whole)

    def store(self, offset: Expr, vector: Expr, width: int, count: int) -> None:
        """Write the first `count` of the `width` elements of a vector of stored numbers."""
        store_elements(self._out, offset, vector, width, count)

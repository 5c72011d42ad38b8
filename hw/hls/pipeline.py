"""A program as a pipeline of stages that are joined by streams, while it is being built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeconv.hw.hls.finish import Fusable, finish_struct
from edgeconv.hw.hls.order import Order
from edgeconv.hw.hls.text import array, type_of
from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.ir.forms import ProvedForms

__all__ = ["Pipeline", "Stage", "Stream", "order_struct"]

Interval = tuple[int, int]


@dataclass(frozen=True)
class Stream:
    """One stream: its C++ name, the type of an element, and the order of the tensor's elements."""

    name: str
    element: str
    order: Order

    @property
    def word(self) -> str:
        """C++ type of what one cycle moves."""
        return f"edge::word<{self.element}, {self.order.lanes}>"


@dataclass(frozen=True)
class Stage:
    """One function of the dataflow region.

    Attributes:
        name: of its definitions.
        operator: keyword of the program, or what the stage does for others ("copy", "reorder").
        outputs: tensors it is done for, the last one is what it writes.
        definitions: C++ before the top function: structs, constants.
        call: C++ of the call in the top function.
        cycles: iterations of its loops for one sample, with one iteration a cycle.
        multipliers: that stand side by side.
    """

    name: str
    operator: str
    outputs: tuple[str, ...]
    definitions: tuple[str, ...]
    call: str
    cycles: int
    multipliers: int = 0


@dataclass
class Pipeline:
    """Stages and streams so far.

    Attributes:
        program: whose ends are integers.
        forms: proved forms by output tensor.
        ranges: reachable [lo, hi] by tensor.
        interval: cycles that a stage with multipliers should take for one sample.
    """

    program: Program
    forms: Mapping[str, ProvedForms]
    ranges: Mapping[str, Interval]
    interval: int
    stages: list[Stage] = field(default_factory=list)
    streams: list[Stream] = field(default_factory=list)
    _ready: dict[str, list[Stream]] = field(default_factory=dict)
    _names: Counter[str] = field(default_factory=Counter)

    def name(self, kind: str) -> str:
        """A name that nothing else has."""
        self._names[kind] += 1
        return f"{kind}_{self._names[kind] - 1}"

    def element(self, tensor: str) -> str:
        """C++ type of an element: the program's where it is narrow or seen from outside, else as wide as values are."""
        dtype = self.program.types[tensor].dtype
        outside = tensor in self.program.inputs or tensor in self.program.outputs
        if outside or dtype.bits <= 16 or tensor not in self.ranges:
            return type_of(dtype.lo, dtype.hi)
        return type_of(*self.ranges[tensor])

    def range(self, tensor: str) -> Interval:
        """Reachable [lo, hi]."""
        dtype = self.program.types[tensor].dtype
        return self.ranges.get(tensor, (dtype.lo, dtype.hi))

    def readers(self, tensor: str) -> int:
        """How often a tensor is read, by operators or from outside."""
        consumers = self.program.consumers[tensor]
        return sum(each.operands.count(tensor) for each in consumers) + (tensor in self.program.outputs)

    def stream(self, tensor: str, order: Order) -> Stream:
        """A new stream for a tensor."""
        return self._new(self.element(tensor), order)

    def add(self, stage: Stage, tensor: str, written: Stream) -> None:
        """Add a stage; what it writes is at hand for the readers of the tensor from then on."""
        self.stages.append(stage)
        self.offer(tensor, written)

    def offer(self, tensor: str, written: Stream) -> None:
        """Have a stream read by all readers of a tensor: it is copied where there are several."""
        ready = [written]
        for _ in range(self.readers(tensor) - 1):
            source, order = ready.pop(), written.order
            first, second = self._new(source.element, order), self._new(source.element, order)
            call = f"edge::copy<{order.words}>({source.name}, {first.name}, {second.name})"
            self.stages.append(Stage(self.name("copy"), "copy", (tensor,), (), call, order.words))
            ready += [first, second]
        self._ready[tensor] = ready

    def take(self, tensor: str, order: Order | None = None) -> Stream:
        """A stream of a tensor for one reader, in an order of its own where that is asked for."""
        stream = self._ready[tensor].pop()
        if order is None or stream.order == order:
            return stream
        places = np.empty(stream.order.index.size, np.int64)
        places[stream.order.index.reshape(-1)] = np.arange(places.size)
        return self.reorder(stream, places[order.index.reshape(-1)], order, (tensor,))

    def reorder(
        self,
        source: Stream,
        arrivals: NDArray[np.int64],
        order: Order,
        tensors: tuple[str, ...],
        name: str | None = None,
    ) -> Stream:
        """A stage that keeps a whole sample and passes it on in another order.

        Args:
            arrivals: for each element of the output, which one of the input it is, counted as they arrive.
        """
        name = name or self.name("reorder")
        moved = self._new(source.element, order)
        definition = order_struct(f"{name}_order", arrivals)
        sizes = f"{source.order.words}, {order.words}, {order.lanes}, {name}_order"
        call = f"edge::reorder<{sizes}>({source.name}, {moved.name})"
        cycles = source.order.words + order.index.size
        self.stages.append(Stage(name, "reorder", tensors, (definition,), call, cycles))
        return moved

    def channels(self, operator: ops.Operator, order: Order) -> NDArray[np.int64]:
        """The index of the constants of each element, shape (words, lanes); zeros where all share them."""
        shape = self.program.types[operator.output].shape
        match operator:
            case ops.Requant() | ops.Add():
                count, axis = operator.linear.channels, operator.linear.axis
            case ops.Table():
                count, axis = self.program.constants[operator.values].array.ndim, operator.axis
            case ops.Threshold():
                count, axis = self.program.constants[operator.thresholds].array.shape[0], operator.axis
            case _:
                count, axis = 1, 0
        return order.positions_along(shape, axis) if count > 1 else np.zeros_like(order.index)

    def finish(self, name: str, tensor: str, order: Order, units: NDArray[np.int64]) -> tuple[str, str]:
        """The struct that ends a stage, and the tensor that the stage then writes.

        Args:
            tensor: what the stage makes before the struct is applied.
            order: in which it makes it.
            units: shape (words, lanes): the index under which the stage asks for an element's constants.
        """
        chain = self._following(tensor, order, units)
        written = chain[-1].output if chain else tensor
        text = finish_struct(f"{name}_finish", self.program, chain, self.forms, self.element(written))
        return text, written

    def chain(self, name: str, first: Fusable, order: Order, units: NDArray[np.int64]) -> tuple[str, str]:
        """As `finish`, where the first operator of the struct is given."""
        chain = [first, *self._following(first.output, order, units)]
        text = finish_struct(f"{name}_finish", self.program, chain, self.forms, self.element(chain[-1].output))
        return text, chain[-1].output

    def _following(self, tensor: str, order: Order, units: NDArray[np.int64]) -> list[Fusable]:
        """The operators of one value that come next, as long as nothing else reads what they do."""
        found: list[Fusable] = []
        while self.readers(tensor) == 1 and self.program.consumers[tensor]:
            (operator,) = self.program.consumers[tensor]
            if not isinstance(operator, Fusable):
                break
            wanted = self.channels(operator, order)
            if wanted.any() and not np.array_equal(wanted, units):
                break
            found.append(operator)
            tensor = operator.output
        return found

    def between(self, first: str, last: str) -> tuple[str, ...]:
        """The tensors from one to another, along their only readers."""
        names = [first]
        while names[-1] != last:
            names.append(self.program.consumers[names[-1]][0].output)
        return tuple(names)

    def _new(self, element: str, order: Order) -> Stream:
        stream = Stream(f"s{len(self.streams)}", element, order)
        self.streams.append(stream)
        return stream


def order_struct(name: str, arrivals: NDArray[np.int64]) -> str:
    """A struct whose `of(i)` gives what `arrivals` holds."""
    lines = [array(f"{name}_of", arrivals), f"struct {name} {{"]
    return "\n".join([*lines, f"    static int of(int i) {{ return int({name}_of[i]); }}", "};"])

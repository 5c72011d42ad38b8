"""Per-layer comparison of the reference with onnxruntime, and with a float model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgeconv.ir import Program
from edgeconv.ir import operators as ops
from edgeconv.verify.causes import explain
from edgeconv.verify.results import LayerComparison

Array = NDArray[np.generic]
Integers = NDArray[np.int64]
ROUNDING = (ops.Quantize, ops.Requant, ops.Add, ops.Table, ops.Threshold, ops.Softmax, ops.Normalize)
_ON_GRID = (ops.Quantize, ops.Requant, ops.Add, ops.Softmax, ops.Normalize)


@dataclass
class _Tally:
    values: int = 0
    different: int = 0
    saturated: int = 0
    causes: Counter[str] = field(default_factory=Counter)


class LayerTable:
    """Gathers per-layer differences over chunks of samples.

    Args:
        program: the program that the reference runs.
        layers: ONNX value behind each quantizing node, by node name (`OnnxPeer.layers`).
    """

    def __init__(self, program: Program, layers: Mapping[str, str]) -> None:
        self._program = program
        self._layers = layers
        self._compared = {
            op.output: op
            for op in program.operators
            if isinstance(op, ROUNDING) and op.origin in layers and not program.types[op.output].dtype.is_float
        }
        self._tallies = {name: _Tally() for name in self._compared}

    @property
    def tensors(self) -> set[str]:
        """Tensors of the program that `add` needs: the compared ones and the operands of what rounds."""
        needed = set(self._compared)
        for op in self._compared.values():
            if isinstance(op, ops.Requant | ops.Add | ops.Threshold):
                needed.update(name for name in op.operands if name not in self._program.constants)
        return needed

    def add(self, mine: Mapping[str, Array], theirs: Mapping[str, Array]) -> None:
        """Compare one chunk: `mine` by tensor of the program, `theirs` by ONNX value, samples in front."""
        samples = len(next(iter(mine.values())))
        dirty: dict[str, NDArray[np.bool_]] = {}
        for operator in self._program.operators:
            inherited = np.zeros(samples, np.bool_)
            for name in operator.operands:
                inherited |= dirty.get(name, False)
            dirty[operator.output] = inherited
            if operator.output in self._compared:
                other = theirs[self._layers[operator.origin]]
                if other.size != mine[operator.output].size:
                    # One node may become several operators (each operand of a concatenation, for instance), and an
                    # operator may move before or behind a pool: then there is no tensor to set beside the node's.
                    del self._compared[operator.output]
                    continue
                differs = self._add_layer(operator, mine, other, inherited)
                # A layer that agrees again hides what came before it.
                dirty[operator.output] = differs

    def _add_layer(
        self, operator: ops.Operator, mine: Mapping[str, Array], other: Array, inherited: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        values = mine[operator.output].astype(np.int64)
        tally = self._tallies[operator.output]
        lo, hi = _bounds(operator, self._program)
        tally.values += values.size
        # A bound that means real zero is where a ReLU puts its values, not saturation.
        zero = operator.grid.zero_point if isinstance(operator, _ON_GRID) else None
        tally.saturated += sum(int((values == bound).sum()) for bound in {lo, hi} - {zero})
        peer = np.clip(other.reshape(values.shape).astype(np.int64), lo, hi)
        different = values != peer
        if different.any():
            tally.different += int(different.sum())
            operands = self._operands(operator, mine, values.shape)
            tally.causes += explain(self._program, operator, operands, values, peer, inherited)
        return np.asarray(different.reshape(len(values), -1).any(1))

    def _operands(self, operator: ops.Operator, mine: Mapping[str, Array], shape: tuple[int, ...]) -> list[Integers]:
        if not isinstance(operator, ops.Requant | ops.Add | ops.Threshold):
            return []
        names = operator.operands[:1] if isinstance(operator, ops.Threshold) else operator.operands
        operands: list[Integers] = []
        for name in names:
            constant = self._program.constants.get(name)
            array = mine[name] if constant is None else constant.array[None]
            missing = len(shape) - array.ndim
            aligned = array.reshape(array.shape[0], *(1,) * missing, *array.shape[1:])
            operands.append(np.broadcast_to(aligned.astype(np.int64), shape))
        return operands

    def rows(self, sqnr: Mapping[str, float]) -> tuple[LayerComparison, ...]:
        """The table, in execution order. `sqnr`: dB by tensor of the program."""
        rows = []
        for name, operator in self._compared.items():
            tally = self._tallies[name]
            saturated = tally.saturated / max(1, tally.values)
            causes = dict(tally.causes)
            label = f"{operator.keyword} %{name}"
            rows.append(
                LayerComparison(
                    label, operator.origin, tally.values, tally.different, saturated, causes, sqnr.get(name)
                )
            )
        return tuple(rows)


def _bounds(operator: ops.Operator, program: Program) -> tuple[int, int]:
    if isinstance(operator, _ON_GRID):
        return operator.grid.lo, operator.grid.hi
    type_ = program.types[operator.output].dtype
    return type_.lo, type_.hi

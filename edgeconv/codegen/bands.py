"""Row-wise fusion: a chain of steps over images is computed band by band, so that its activations never exist whole.

The last step of a chain makes a few rows, and each step before it only the rows that are needed next. Of a tensor that
only the chain reads, a *rolling buffer* holds the rows that are still needed: at the start of a band these move to its
front. No row is computed twice, whatever strides and pads are. Rows of padding are filled in where a window reaches
them, columns of padding lie in the buffer from the start.

Bands that differ in nothing but the place of their rows are one loop in the generated code (a `Stretch`): usually the
first band is one, the last is one, and all between are one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from edgeconv.ir import operators as ops

if TYPE_CHECKING:
    from edgeconv.codegen.plan import Plan, Step

__all__ = ["Band", "Chain", "Move", "Part", "Stretch", "Window", "banded_operator", "make_chain", "reads_by_rows"]

Interval = tuple[int, int]
_ROWS = 2  # the axis of rows of an image
_ELEMENTWISE = (ops.Requant, ops.Add, ops.Table, ops.Dequantize)


@dataclass(frozen=True)
class Window:
    """Rows of a tensor in a band: `count` rows from `row` on.

    Attributes:
        row: of a rolling tensor the row of its buffer; of any other the row of the image, negative in the padding.
        advance: how far `row` moves from one band of a stretch to the next.
    """

    name: str
    row: int
    count: int
    rolling: bool
    advance: int = 0


@dataclass(frozen=True)
class Part:
    """What one step (an index into the chain's steps) makes and reads in one band; constants are left out."""

    step: int
    made: Window
    read: tuple[Window, ...]
    sources: tuple[int, ...] = ()
    """Of a resize: for each row made the row that it repeats, counted from the first one read."""


@dataclass(frozen=True)
class Move:
    """Rows of a rolling buffer that are still needed move to its front: `count` rows from row `source` to `target`."""

    name: str
    source: int
    target: int
    count: int


@dataclass(frozen=True)
class Band:
    """One band: first the moves, then the rows of padding (`fills`) of rolling buffers, then the parts in order."""

    moves: tuple[Move, ...]
    fills: tuple[Window, ...]
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Stretch:
    """`count` successive bands that differ only in how far the windows of whole tensors have advanced."""

    band: Band
    count: int


@dataclass(frozen=True)
class Chain:
    """Steps `first` … `last` of the plan as bands.

    Attributes:
        buffers: rows of the rolling buffer of each tensor that has one.
    """

    first: int
    last: int
    steps: tuple[Step, ...]
    buffers: dict[str, int]
    stretches: tuple[Stretch, ...]


def reads_by_rows(step: Step, plan: Plan) -> bool:
    """Whether rows of a step's output need few rows of its operands."""
    operator, types = step.operator, plan.program.types
    operands = _images(step, plan)
    if not operands or len(types[step.output].shape) != 4 or types[step.output].shape[0] != 1:
        return False
    if any(name in plan.aliases or plan.layouts[name].order != "channels_last" for name in operands):
        return False
    if step.requant is not None and not _by_channel(step.requant):
        return False
    if not all(_by_channel(later.operator) for later in step.sequel):
        return False
    if isinstance(operator, ops.Conv):
        return True
    if isinstance(operator, ops.Resize):
        rows = operator.indices[0]
        return all(a <= b for a, b in pairwise(rows))
    same = all(types[name].shape == types[step.output].shape for name in operands)
    return isinstance(operator, _ELEMENTWISE) and same and _by_channel(operator)


def _by_channel(operator: Any) -> bool:
    if isinstance(operator, ops.Table):
        return operator.axis == 1
    return operator.linear.channels == 1 or operator.linear.axis == 1


def _images(step: Step, plan: Plan) -> list[str]:
    return [name for name in dict.fromkeys(step.operands) if name not in plan.program.constants]


def _rows_read(step: Step, image: str, made: Interval) -> Interval:
    operator, (lo, hi) = step.operator, made
    if isinstance(operator, ops.Conv) and image == operator.x:
        window = operator.window(step.type(operator.w))
        start = lo * window.strides[0] - window.begin(0)
        return start, start + (hi - 1 - lo) * window.strides[0] + (window.kernel[0] - 1) * window.dilations[0] + 1
    if isinstance(operator, ops.Resize):
        return operator.indices[0][lo], operator.indices[0][hi - 1] + 1
    return made


def banded_operator(operator: Any, part: Part) -> Any:
    """The operator with its tables of rows as one band sees them."""
    if isinstance(operator, ops.Resize):
        return replace(operator, indices=(part.sources, *operator.indices[1:]))
    return operator


def make_chain(plan: Plan, first: int, last: int, height: int) -> Chain | None:
    """Steps `first` … `last` as bands of `height` rows of the last one; None where they make no chain."""
    steps = plan.steps[first : last + 1]
    made_here = [step.output for step in steps]
    for index, step in enumerate(steps):
        images = _images(step, plan)
        if index and not any(name in made_here for name in images):
            return None
        if step.output != made_here[-1] and not any(step.output in later.operands for later in steps[index + 1 :]):
            return None
    rolling = _rolling(plan, first, last)
    rows = {step.output: plan.program.types[step.output].shape[_ROWS] for step in steps}
    bands, buffers = _bands(plan, steps, rolling, rows, height)
    return Chain(first, last, tuple(steps), buffers, _stretches(bands))


def _rolling(plan: Plan, first: int, last: int) -> list[str]:
    """Tensors that nothing outside of the steps reads."""
    outside = {name for i, step in enumerate(plan.steps) if not first <= i <= last for name in step.operands}
    outside |= {*plan.program.outputs, *plan.aliases.values()}
    return [step.output for step in plan.steps[first : last + 1] if step.output not in outside]


@dataclass(frozen=True)
class _Made:
    """Rows that a step makes, and those that it reads for them (which may lie outside of the image)."""

    step: int
    output: str
    rows: Interval
    read: tuple[tuple[str, Interval], ...]


def _bands(
    plan: Plan, steps: Sequence[Step], rolling: Sequence[str], rows: dict[str, int], height: int
) -> tuple[list[Band], dict[str, int]]:
    """The bands, and the rows that each rolling buffer needs."""
    total = rows[steps[-1].output]
    done = dict.fromkeys(rows, 0)
    schedule: list[list[_Made]] = []
    for start in range(0, total, height):
        schedule.append(_rows_made(plan, steps, rolling, rows, done, min(start + height, total)))
        done.update({made.output: made.rows[1] for made in schedule[-1]})
    origins = _origins(schedule, rolling)
    bands, buffers = [], dict.fromkeys(rolling, 0)
    done = dict.fromkeys(rows, 0)
    for index, members in enumerate(schedule):
        origin, before = origins[index], origins[max(index - 1, 0)]
        ends = {name: hi for made in members for name, (_, hi) in made.read}
        for made in members:
            for name, (_, hi) in made.read:
                ends[name] = max(ends[name], hi)
        moves, fills = [], []
        for name in rolling:
            kept = max(origin[name], 0)
            if done[name] > kept and origin[name] != before[name]:
                moves.append(Move(name, kept - before[name], kept - origin[name], done[name] - kept))
            if origin[name] < 0:
                fills.append(Window(name, 0, -origin[name], True))
            if ends.get(name, 0) > rows[name]:
                fills.append(Window(name, rows[name] - origin[name], ends[name] - rows[name], True))
        done.update({made.output: made.rows[1] for made in members})
        for name in rolling:
            buffers[name] = max(buffers[name], max(done[name], ends.get(name, 0)) - origin[name])
        parts = tuple(_part(steps, made, origin) for made in members)
        bands.append(Band(tuple(moves), tuple(fills), parts))
    return bands, buffers


def _rows_made(
    plan: Plan, steps: Sequence[Step], rolling: Sequence[str], rows: dict[str, int], done: dict[str, int], end: int
) -> list[_Made]:
    """The rows that each step makes so that the last one has `end` rows."""
    final = end == rows[steps[-1].output]
    wanted = {steps[-1].output: (0, end)}
    found = []
    for index in reversed(range(len(steps))):
        name = steps[index].output
        lo, hi = wanted.get(name, (0, 0))
        whole = name not in rolling
        hi = rows[name] if final and whole else min(hi, rows[name])
        lo = done[name] if whole else max(done[name], lo)
        if hi <= lo:
            continue
        read = tuple((image, _rows_read(steps[index], image, (lo, hi))) for image in _images(steps[index], plan))
        found.append(_Made(index, name, (lo, hi), read))
        for image, interval in read:
            before = wanted.get(image, interval)
            wanted[image] = min(before[0], interval[0]), max(before[1], interval[1])
    return found[::-1]


def _origins(schedule: Sequence[Sequence[_Made]], rolling: Sequence[str]) -> list[dict[str, int]]:
    """By band: the first row of each rolling tensor that it or a later band reads."""
    needed: dict[str, int] = {}
    origins = []
    for members in reversed(schedule):
        for made in members:
            for name, (lo, _) in made.read:
                needed[name] = min(lo, needed.get(name, lo))
        origins.append(dict(needed))
    origins.reverse()
    for before, origin in pairwise(origins):
        for name in rolling:  # what is read no more stays where it is
            origin.setdefault(name, before[name])
    for name in rolling:
        _even_out(origins, name)
    return [{name: origin[name] for name in rolling} for origin in origins]


def _even_out(origins: list[dict[str, int]], name: str) -> None:
    """Keep a few rows longer, so that the buffer moves as far after the first band as it does later on."""
    if len(origins) < 4:
        return
    advance = origins[2][name] - origins[1][name]
    extra = origins[1][name] - advance - origins[0][name]
    for origin in origins[1:] if extra > 0 else ():
        origin[name] -= extra
    if extra < 0:
        origins[0][name] += extra


def _part(steps: Sequence[Step], made: _Made, origin: dict[str, int]) -> Part:
    def window(name: str, rows: Interval) -> Window:
        return Window(name, rows[0] - origin.get(name, 0), rows[1] - rows[0], name in origin)

    operator = steps[made.step].operator
    sources: tuple[int, ...] = ()
    if isinstance(operator, ops.Resize):
        first = made.read[0][1][0]
        sources = tuple(row - first for row in operator.indices[0][made.rows[0] : made.rows[1]])
    read = tuple(window(name, rows) for name, rows in made.read)
    return Part(made.step, window(made.output, made.rows), read, sources)


def _stretches(bands: Sequence[Band]) -> tuple[Stretch, ...]:
    stretches: list[Stretch] = []
    start = 0
    while start < len(bands):
        first, count = bands[start], 1
        if start + 1 < len(bands) and _still(first) == _still(bands[start + 1]):
            first = _advancing(first, bands[start + 1])
            while start + count < len(bands) and _moved(first, count) == _plain(bands[start + count]):
                count += 1
        stretches.append(Stretch(first, count))
        start += count
    return tuple(stretches)


def _with_windows(band: Band, change: Callable[[Window], Window]) -> Band:
    parts = [replace(p, made=change(p.made), read=tuple(change(w) for w in p.read)) for p in band.parts]
    return replace(band, parts=tuple(parts))


def _still(band: Band) -> Band:
    """A band without the places of its windows in whole tensors."""
    return _with_windows(band, lambda window: window if window.rolling else replace(window, row=0))


def _plain(band: Band) -> Band:
    return _with_windows(band, lambda window: replace(window, advance=0))


def _moved(band: Band, count: int) -> Band:
    return _with_windows(band, lambda window: replace(window, row=window.row + count * window.advance, advance=0))


def _advancing(band: Band, following: Band) -> Band:
    """The band with the advance of each window to the next band."""
    parts = []
    for part, later in zip(band.parts, following.parts, strict=True):
        made = replace(part.made, advance=later.made.row - part.made.row)
        read = [replace(w, advance=v.row - w.row) for w, v in zip(part.read, later.read, strict=True)]
        parts.append(replace(part, made=made, read=tuple(read)))
    return replace(band, parts=tuple(parts))

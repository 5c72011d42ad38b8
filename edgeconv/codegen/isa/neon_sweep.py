"""The inner loop of convolutions with weights of 8 bits for a core that issues in order, scheduled by hand.

Four positions × four output channels: 16 registers of sums, 6 of products, 4 of weights, 6 of activations. A product of
16 bytes of taps is smull, smlal2 and sadalp, three *slots* of one cycle; smlal2 comes seven slots behind smull, and
sadalp seven behind that, because a result takes six cycles. What a block leaves unfinished, the next one finishes.
Loads of two registers cost no slot in LLVM's model of the Cortex-A53 where they come as early as registers are free
(docs/arm.md); LLVM's scheduler leaves no such order standing, it loads everything first and spills.

Two steps of 16 taps make a *block*: weights of channels 0, 1 and of 2, 3 are loaded for each step; activations of
positions 0, 1 and 2 for both steps at once, those of position 3 for each. Products take the channels pair by pair for
two positions, so that each pair of weights is free early enough to be loaded for the next step.

A load for the block to come may read 32 bytes past the last one.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["BLOCK", "POSITIONS", "sweep_function", "sweep_name"]

BLOCK = 2
"""Steps of 16 taps that a sweep takes at least, and a multiple of which it takes."""
POSITIONS = 4
_CHANNELS = 4
_UNROLLED = 2  # blocks of a trip
_STEP = 16  # taps
_WEIGHTS_STEP = _CHANNELS * _STEP  # bytes of weights of a step
_ACTIVATIONS_BLOCK = BLOCK * _STEP  # bytes of activations of a block
_PER_STEP = POSITIONS * _CHANNELS  # products
_STEP_SLOTS = 3 * _PER_STEP
_BLOCK_SLOTS = BLOCK * _STEP_SLOTS
_SKEW = 2  # products that begin between the instructions of one
_PRODUCT, _WEIGHT, _ACTIVATION = 16, 22, 26  # first registers
# (position, channel) of the products of a step.
_ORDER = tuple((p + q, c + d) for p in (0, 2) for c in (0, 2) for q in (0, 1) for d in (0, 1))
# Registers of the 32 products of a block: any five neighbours differ, around the end, too.
_TURN = (*(5, 0, 1, 2, 3, 4) * 2, *(0, 1, 2, 3, 4) * 4)
# Slots of the loads: weights of channels 0, 1 and 2, 3 of the next step, from the beginning of a step; activations of
# positions 0 and 1 for the next block, of 2 for this one, of 3 for each of its steps, from the beginning of a block.
_WEIGHT_SLOTS = (41, 53)
_ACTIVATION_SLOTS = (86, 92, 10)
_LAST_SLOTS = (23, 56)
_COUNTER = "x15"
_FIRST_WEIGHTS, _NEXT_WEIGHTS, _NEXT_ACTIVATIONS = ("x16", "x17"), "x20", ("x21", "x22")  # of the first block
_CLOBBERED = (*(f"x{index}" for index in range(18)), "x20", "x21", "x22")


def sweep_name(steps: int, *, fresh: bool) -> str:
    """Name of the function for a number of steps."""
    return f"edge_neon_sweep_{steps}{'_fresh' if fresh else ''}"


def sweep_function(steps: int, *, fresh: bool) -> str:
    """LLVM's text of `void sweep(int32x4 acc[16], weights, activations of 4 positions)`, to be inlined.

    Args:
        steps: of 16 taps, a multiple of `BLOCK`; weights lie as [step][channel][16], sums as [position][channel].
        fresh: begin the sums instead of adding to them.
    """
    vector, indices = "<4 x i32>", range(_PER_STEP)
    sums, name = "{" + ", ".join([vector] * len(indices)) + "}", sweep_name(steps, fresh=fresh)
    pointers = ["%w", *(f"%a{position}" for position in range(POSITIONS))]
    added = [] if fresh else list(indices)
    constraints = [f"={{v{index}}}" for index in indices] + [str(index) for index in added] + ["r"] * len(pointers)
    constraints += [f"~{{v{index}}}" for index in range(_PRODUCT, 32)]
    constraints += [f"~{{{register}}}" for register in _CLOBBERED] + ["~{cc}", "~{memory}"]
    arguments = [f"{vector} %s{index}" for index in added] + [f"ptr {pointer}" for pointer in pointers]
    parameters = ", ".join(f"ptr {pointer}" for pointer in ("%acc", *pointers))
    operands = [f"${len(indices) + len(added) + index}" for index in range(len(pointers))]
    text = "\\0A".join(_assembly(steps, operands, fresh=fresh))
    lines = [f"define linkonce_odr hidden void @{name}({parameters}) alwaysinline {{"]
    lines += [f"  %p{index} = getelementptr inbounds {vector}, ptr %acc, i64 {index}" for index in indices]
    lines += [f"  %s{index} = load {vector}, ptr %p{index}, align 16" for index in added]
    lines.append(f'  %t = call {sums} asm sideeffect "{text}", "{",".join(constraints)}"({", ".join(arguments)})')
    for index in indices:
        lines.append(f"  %r{index} = extractvalue {sums} %t, {index}")
        lines.append(f"  store {vector} %r{index}, ptr %p{index}, align 16")
    return "\n".join([*lines, "  ret void", "}", ""])


def _assembly(steps: int, operands: list[str], *, fresh: bool) -> list[str]:
    """A first block, a loop over trips of two, one more block where that leaves one, and what is unfinished then."""
    blocks = steps // BLOCK
    trips, odd = divmod(blocks - 1, _UNROLLED)
    lines = [f"mov {_COUNTER}, #{trips}"] if trips else []
    lines += _begin(*operands, goes_on=blocks > 1)
    lines += _first_block(operands[3:], fresh=fresh, goes_on=blocks > 1)
    if trips:
        trip = [line for block in range(_UNROLLED) for line in _block(block, goes_on=True)]
        lines += ["1:", *trip, *_advance(), "b.ne 1b"]
    if odd:
        lines += _block(0, goes_on=False)
    return [*lines, *(line for _, line in sorted(_products(begun_before=True)))]


def _weight_pointer(step: int, half: int) -> str:
    return f"x{2 * step + half}"


def _activation_pointer(position: int, block: int) -> str:
    """Of positions 0 to 2 for each block of a trip; of position 3 for all."""
    return f"x{8 + _UNROLLED * position + block}" if position < 3 else "x14"


def _begin(weights: str, *windows: str, goes_on: bool) -> list[str]:
    """What the first products need, and all pointers."""
    lines = [_load(_WEIGHT, weights), _load(_activation(0, 0), windows[0]), _load(_activation(1, 0), windows[1])]
    lines.append(_load(_WEIGHT + 2, weights, _WEIGHTS_STEP // 2))
    places = [(_FIRST_WEIGHTS[half], weights, _WEIGHTS_STEP + half * 32) for half in (0, 1)]
    if goes_on:
        block, trip = BLOCK * _WEIGHTS_STEP, _UNROLLED * BLOCK * _WEIGHTS_STEP
        places.append((_NEXT_WEIGHTS, weights, block))
        places += [(_NEXT_ACTIVATIONS[position], windows[position], _ACTIVATIONS_BLOCK) for position in (0, 1)]
        for step in range(BLOCK * _UNROLLED):
            for half in (0, 1):
                # What is loaded for the trip to come is a trip ahead.
                ahead = step * _WEIGHTS_STEP + half * 32 if step or half else trip
                places.append((_weight_pointer(step, half), weights, block + ahead))
        for position, window in enumerate(windows):
            for block in range(_UNROLLED if position < 3 else 1):
                ahead = block if block or position > 1 else _UNROLLED
                places.append((_activation_pointer(position, block), window, _ACTIVATIONS_BLOCK * (1 + ahead)))
    return lines + [f"add {pointer}, {base}, #{place}" for pointer, base, place in places]


def _first_block(windows: Sequence[str], *, fresh: bool, goes_on: bool) -> list[str]:
    """The block that follows none; `windows` point to the activations of positions 2 and 3."""
    following = (_NEXT_WEIGHTS, *_NEXT_ACTIVATIONS) if goes_on else ()
    loads = _loads(_FIRST_WEIGHTS, windows, 0, following)
    return _in_order(loads, _products(begun_before=False, fresh=fresh))


def _advance() -> list[str]:
    """To the next trip: all in one place, since behind a vector instruction the model lets an addition wait."""
    steps = range(BLOCK * _UNROLLED)
    weights = [_weight_pointer(step, half) for step in steps for half in (0, 1)]
    activations = [_activation_pointer(position, block) for position in range(3) for block in range(_UNROLLED)]
    lines = [f"subs {_COUNTER}, {_COUNTER}, #1"]
    lines += [f"add {pointer}, {pointer}, #{len(steps) * _WEIGHTS_STEP}" for pointer in weights]
    pointers = [*activations, _activation_pointer(3, 0)]
    return lines + [f"add {pointer}, {pointer}, #{_UNROLLED * _ACTIVATIONS_BLOCK}" for pointer in pointers]


def _activation(position: int, step: int) -> int:
    """Register of a position's activations; those of position 3 follow the first steps of positions 0 and 2."""
    return _ACTIVATION + (2 * position + step if position < 3 else 4 * step)


def _products(*, begun_before: bool, fresh: bool = False) -> list[tuple[int, str]]:
    """(slot, instruction) of a block's products, or of those of a block before that it finishes."""
    slots = []
    for number in range(BLOCK * _PER_STEP):
        step, (position, channel) = number // _PER_STEP, _ORDER[number % _PER_STEP]
        product, a = f"v{_PRODUCT + _TURN[number]}", f"v{_activation(position, step)}"
        w, acc = f"v{_WEIGHT + channel}", f"v{position * _CHANNELS + channel}"
        added = "saddlp" if fresh and step == 0 else "sadalp"
        slots += [
            (3 * number, f"smull {product}.8h, {a}.8b, {w}.8b"),
            (3 * (number + _SKEW) + 1, f"smlal2 {product}.8h, {a}.16b, {w}.16b"),
            (3 * (number + 2 * _SKEW) + 2, f"{added} {acc}.4s, {product}.8h"),
        ]
    if begun_before:
        return [(slot - _BLOCK_SLOTS, line) for slot, line in slots if slot >= _BLOCK_SLOTS]
    return [(slot, line) for slot, line in slots if slot < _BLOCK_SLOTS]


def _block(block: int, *, goes_on: bool) -> list[str]:
    """One block of a trip, with the loads for the next one where it `goes_on`."""
    step, after = BLOCK * block, (block + 1) % _UNROLLED
    following = (_weight_pointer(BLOCK * after, 0), *(_activation_pointer(position, after) for position in (0, 1)))
    weights = _weight_pointer(step + 1, 0), _weight_pointer(step + 1, 1)
    windows = _activation_pointer(2, block), _activation_pointer(3, 0)
    loads = _loads(weights, windows, block * _ACTIVATIONS_BLOCK, following if goes_on else ())
    # The rest of what the block before has begun to load for this one.
    loads.append((_WEIGHT_SLOTS[1] - _STEP_SLOTS, _pair(_WEIGHT + 2, _weight_pointer(step, 1))))
    return _in_order(loads, _products(begun_before=True) + _products(begun_before=False))


def _loads(
    weights: Sequence[str], windows: Sequence[str], place: int, following: Sequence[str]
) -> list[tuple[int, str]]:
    """(slot, instruction) of the loads of a block.

    Args:
        weights: pointers to the halves of its second step.
        windows: pointers to the activations of positions 2 and 3.
        place: of the block, in bytes from the pointer for position 3.
        following: pointers to the weights and to the activations of positions 0 and 1 with which the next block begins,
            if there is one.
    """
    early, late = _WEIGHT_SLOTS
    loads = [(early, _pair(_WEIGHT, weights[0])), (late, _pair(_WEIGHT + 2, weights[1]))]
    loads.append((_ACTIVATION_SLOTS[2], _pair(_activation(2, 0), windows[0])))
    for step, slot in enumerate(_LAST_SLOTS):
        loads.append((slot, f"ldr q{_activation(3, step)}, [{windows[1]}, #{place + step * _STEP}]"))
    if following:
        loads.append((_STEP_SLOTS + early, _pair(_WEIGHT, following[0])))
        for position, pointer in enumerate(following[1:]):
            loads.append((_ACTIVATION_SLOTS[position], _pair(_activation(position, 0), pointer)))
    return loads


def _in_order(loads: list[tuple[int, str]], products: list[tuple[int, str]]) -> list[str]:
    """Loads come before what has their slot."""
    placed = [(slot, 0, line) for slot, line in loads] + [(slot, 1, line) for slot, line in products]
    return [line for _, _, line in sorted(placed)]


def _pair(register: int, pointer: str) -> str:
    return f"ld1 {{v{register}.16b, v{register + 1}.16b}}, [{pointer}]"


def _load(register: int, pointer: str, place: int = 0) -> str:
    return f"ldp q{register}, q{register + 1}, [{pointer}, #{place}]"

"""The one definition of the accelerator's parameters, descriptor and memory map.

The SystemVerilog package (hw/rtl/edge_pkg.sv), the C header (hw/include/edge_accelerator.h) and the tables of
docs/accelerator.md are generated from it by `python -m edgeconv.hw.export`; a test holds them equal.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

__all__ = [
    "ACC_BITS",
    "ADDRESS_BITS",
    "BLOCKS_OF_LANE",
    "DESCRIPTOR",
    "DESCRIPTOR_WORDS",
    "LANES",
    "MEMORIES",
    "PARAMETER",
    "PARAMETER_BITS",
    "SELECT",
    "SMALL",
    "WORD_BITS",
    "ArrayConfig",
    "Field",
    "Memory",
    "Timing",
    "configuration",
    "pack",
    "timing",
]

WORD_BITS = 64
"""Width of the bus by which memories are loaded, and of a descriptor word."""
LANES = 8
"""Multipliers of a processing element, bytes read in a cycle, and channels of a result word."""
BLOCKS_OF_LANE = 3
"""Multiplier blocks of a requantization unit: the fourth partial product is made in logic (hw/rtl/wide_multiply.sv)."""
ACC_BITS = 35
"""Accumulators: 17 + 18 bits, the two operands that the requantization's multipliers take."""
ADDRESS_BITS = 20
"""Signed byte addresses: a run may begin in the padding before a tensor."""


@dataclass(frozen=True)
class ArrayConfig:
    """Sizes of one configuration; the defaults fit an ECP5-85F.

    Attributes:
        elements: processing elements, a multiple of `beat`; each has 8 multipliers.
        activation_bytes: activation memory.
        weight_words: words of 8 bytes in the weight memory of each processing element.
        parameter_words: requantization constants of `beat` channels each.
        tables: tables of 256 bytes.
        result_words: results of 8 channels each, 32 bits a result.
        descriptors: layer descriptors.
        beat: results that are finished and written in a cycle, and requantization units: 1, 2, 4 or 8.
        logic_units: arithmetic units of each processing element whose multipliers are made of logic. No image depends
            on it, so configurations that differ in nothing else are equal.
    """

    elements: int = 16
    activation_bytes: int = 32768
    weight_words: int = 2048
    parameter_words: int = 512
    tables: int = 8
    result_words: int = 512
    descriptors: int = 256
    beat: int = LANES
    logic_units: int = dataclasses.field(default=0, compare=False, repr=False)

    @property
    def halves(self) -> int:
        """Groups of `beat` processing elements; each works one cycle behind the one before it."""
        return self.elements // self.beat

    @property
    def multipliers(self) -> int:
        """8-bit products in a cycle."""
        return self.elements * LANES

    @property
    def multiplier_blocks(self) -> int:
        """Multiplier blocks (DSPs) of 18×18 bits: those of the products and of the requantization units."""
        return self.elements * (LANES - self.logic_units) + self.beat * BLOCKS_OF_LANE


SMALL = ArrayConfig(
    elements=4,
    activation_bytes=16384,
    weight_words=1600,
    result_words=128,
    descriptors=64,
    beat=1,
    logic_units=2,
)
"""For an ECP5-25F: 28 multiplier blocks, 56 memories of 2,048 bytes, 24,288 look-up tables (docs/boards.md)."""
_OF_PARTS = {"LFE5U-25F": SMALL, "LFE5UM-25F": SMALL}


def configuration(part: str | None) -> ArrayConfig:
    """What is built for a device, by its order code: SMALL for an ECP5-25F, the default one for all others."""
    return next((config for name, config in _OF_PARTS.items() if part and part.startswith(name)), ArrayConfig())


@dataclass(frozen=True)
class Field:
    """A field of a packed record, `bits` wide, two's complement where signed."""

    name: str
    bits: int
    meaning: str
    signed: bool = False


# One tuple for each 64-bit word, least significant field first.
DESCRIPTOR: tuple[tuple[Field, ...], ...] = (
    (
        Field("x_base", ADDRESS_BITS, "address of the first run of the first position", True),
        Field("x_position_stride", ADDRESS_BITS, "bytes from a position to the next", True),
        Field("x_run_stride", ADDRESS_BITS, "bytes from a run to the next", True),
    ),
    (
        Field("x_plane_stride", ADDRESS_BITS, "bytes from a plane to the next; the bounds move along", True),
        Field("x_group_stride", ADDRESS_BITS, "bytes from an output group to the next", True),
        Field("bound_run_stride", ADDRESS_BITS, "what the bounds move by from a run to the next", True),
    ),
    (
        Field(
            "bound_lo", ADDRESS_BITS, "first valid address; bytes outside of the bounds count as the zero point", True
        ),
        Field("bound_hi", ADDRESS_BITS, "address after the last valid one", True),
        Field("out_base", ADDRESS_BITS, "address of the first result: bytes, or beats in the result memory", True),
    ),
    (
        Field("words", 12, "words of 8 bytes in a run, less 1"),
        Field("runs", 12, "runs of a plane, less 1"),
        Field("planes", 4, "planes of a position, less 1; the accumulator is multiplied by 256 between planes"),
        Field("positions", 16, "output positions, less 1"),
        Field("groups", 12, "output groups, less 1"),
    ),
    (
        Field("w_base", 16, "first weight word"),
        Field("w_run_stride", 16, "weight words from a run to the next"),
        Field("w_plane_stride", 16, "weight words from a plane to the next"),
        Field("w_group_stride", 16, "weight words from an output group to the next"),
    ),
    (
        Field("out_position_stride", ADDRESS_BITS, "from a position's results to the next", True),
        Field("out_group_stride", ADDRESS_BITS, "from a group's results to the next", True),
        Field("p_base", 12, "first parameter word"),
        Field("p_group_stride", 12, "parameter words from an output group to the next"),
    ),
    (
        Field("clip_lo", 32, "least result", True),
        Field("clip_hi", 32, "greatest result", True),
    ),
    (
        Field("zero_point", 8, "subtracted from the bytes of plane 0"),
        Field("zero_point_low", 8, "subtracted from the bytes of all other planes"),
        Field("beats", 3, "writes of a beat of results that a group makes; 8 as 0"),
        Field("last_beats", 3, "writes of the last group; 8 as 0"),
        Field("last_bytes", 4, "results in the last write of the last group"),
        Field("maximum", 1, "accumulate by taking the larger value"),
        Field("nibbles", 1, "two 4-bit weights a byte: twice the output channels"),
        Field("to_results", 1, "write 32-bit results to the result memory"),
        Field("use_table", 1, "look the result up in a table"),
        Field("table_index", 4, "which table"),
        Field("odd", 1, "the output's zero point is odd"),
        Field("last_layer", 1, "the network ends after this descriptor"),
        Field("delay", 16, "cycles to wait before the first read, so that it finds what earlier layers write"),
    ),
)
DESCRIPTOR_WORDS = len(DESCRIPTOR)

PARAMETER: tuple[Field, ...] = (
    Field("addend", 62, "added to accumulator times multiplier: bias, rounding half, zero point", True),
    Field("shift", 6, "right shift, rounding down"),
    Field("even", 1, "of two equally near integers take the even one"),
    Field("multiplier", 32, "factor of the accumulator", True),
)
"""Requantization constants of one channel, least significant field first."""
PARAMETER_BITS = sum(field.bits for field in PARAMETER)


@dataclass(frozen=True)
class Memory:
    """A memory that the bus writes: `select` chooses it, an address of the bus the place in it."""

    select: int
    name: str
    address: str


MEMORIES: tuple[Memory, ...] = (
    Memory(0, "control", "0: data bit 0 starts the network"),
    Memory(1, "activations", "byte address; 8 bytes a write"),
    Memory(2, "weights", "processing element in bits 31…16, weight word below"),
    Memory(3, "parameters", "bit 0: half of the record (0: low 64 bits, 1: the rest); bits 3…1: lane; above: word"),
    Memory(4, "tables", "byte address: table·256 + index; bits 7…0 of the data"),
    Memory(5, "descriptors", "descriptor·8 + word"),
)
SELECT = {memory.name: memory.select for memory in MEMORIES}
"""What the bus selects a memory by."""


@dataclass(frozen=True)
class Timing:
    """Cycles of the pipeline; the RTL, the cycle model and the compiler's start delays share them.

    Attributes:
        load: from the cycle in which a descriptor is taken, or the network is started, to the first in which the next
            one can be taken. Its first word is issued in the cycle after that, or `delay` cycles later.
        hazard: least distance between the cycle that issues the last word of a position and the one that issues a
            word that reads its first beat of results; each further beat of the position adds 1.
        drain: from the cycle that issues the very last word to the first idle one.
        result: from the cycle of a result word's address to that of the word.
    """

    load: int
    hazard: int
    drain: int
    result: int


def timing(config: ArrayConfig) -> Timing:
    """The figures for a configuration: the last beat of a position is 2·halves - 1 cycles behind the first."""
    parts = LANES // config.beat  # of a result word, read one after the other (hw/rtl/ram.sv)
    return Timing(load=11, hazard=38, drain=41 + 2 * config.halves, result=2 if parts == 1 else 2 + parts)


def pack(fields: tuple[Field, ...], values: dict[str, int]) -> int:
    """A record as one integer, least significant field first.

    Raises:
        OverflowError: a value does not fit its field; names it.
    """
    word = shift = 0
    for field in fields:
        value = values[field.name]
        lo, hi = (-(1 << field.bits - 1), (1 << field.bits - 1) - 1) if field.signed else (0, (1 << field.bits) - 1)
        if not lo <= value <= hi:
            raise OverflowError(f"{field.name} = {value}, {lo}…{hi} possible")
        word |= (value & ((1 << field.bits) - 1)) << shift
        shift += field.bits
    return word

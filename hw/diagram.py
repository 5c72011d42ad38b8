"""The block diagram of the documentation, drawn from the definitions of array and system.

python -m edgeconv.hw.export      # writes docs/images/accelerator.svg among the other generated files
"""

from __future__ import annotations

from edgeconv.hw.drawing import Box, Drawing
from edgeconv.hw.soc.spec import MOST_WINDOW, SLOTS
from edgeconv.hw.spec import ACC_BITS, LANES, PARAMETER_BITS, WORD_BITS, ArrayConfig

__all__ = ["block_diagram"]

_MEMORY, _LOGIC, _PORT = "#fff3d6", "#e3eefb", "#e6f4e6"
_DRAWN = 3  # processing elements that are shown before the last one


def block_diagram(config: ArrayConfig | None = None) -> str:
    """The SVG of the whole system: processor, crossing, sample port, sequencer, memories, array, requantization."""
    sizes = config or ArrayConfig()
    drawing = Drawing(1180, 800, "The accelerator and the system around it")
    _processor(drawing)
    drawing.frame(Box(300, 20, 860, 760), "array's clock")
    registers = drawing.box(
        Box(320, 60, 150, 90), "Registers", ("bus writes of", f"{WORD_BITS} bits, results"), fill=_PORT
    )
    drawing.arrow((240, 96), registers.left(0.4))
    drawing.arrow(registers.left(0.6), (240, 114))
    _sample_port(drawing, registers)
    sequencer = _sequencer(drawing, registers, sizes)
    activations = drawing.box(
        Box(320, 350, 150, 120),
        "Activations",
        (f"{sizes.activation_bytes:,} bytes,", f"{LANES} from any byte", "address a cycle", "bounds: zero point"),
        fill=_MEMORY,
    )
    drawing.arrow(
        sequencer.bottom(0.12), (584, 310), (activations.x + 75, 310), activations.top(), label="address", at=(402, 326)
    )
    elements = _elements(drawing, sequencer, activations, sizes)
    _finish(drawing, elements, activations, registers, sizes)
    return drawing.text


def _processor(drawing: Drawing) -> None:
    drawing.frame(Box(20, 20, 170, 480), "processor's clock")
    core = drawing.box(Box(40, 60, 130, 90), "picorv32", ("RISC-V, firmware", "in C"), fill=_LOGIC)
    memory = drawing.box(Box(40, 185, 130, 50), "Memory", ("16 KB",), fill=_MEMORY)
    timer = drawing.box(Box(40, 265, 130, 50), "Timer", ("watchdog",), fill=_LOGIC)
    serial = drawing.box(Box(40, 345, 130, 60), "Serial port", ("8N1, receives", "into a queue"), fill=_PORT)
    drawing.line(core.bottom(), memory.top())
    drawing.line(memory.bottom(), timer.top())
    drawing.line(timer.bottom(), serial.top())
    drawing.box(Box(200, 75, 40, 75), "", (), fill="#f4f4f4")
    drawing.label(220, 66, "crossing", size=11, anchor="middle", color="#444")
    drawing.arrow((170, 96), (200, 96))
    drawing.arrow((200, 114), (170, 114))
    drawing.box(Box(40, 530, 130, 60), "Host", ("frames with CRC-32",), fill="#f4f4f4")
    drawing.arrow((90, 405), (90, 530))
    drawing.arrow((120, 530), (120, 405))


def _sample_port(drawing: Drawing, registers: Box) -> None:
    capture = drawing.box(
        Box(700, 60, 210, 90),
        "Sample port",
        ("last 256 samples,", f"{SLOTS} windows of {MOST_WINDOW:,}", "trigger number and time"),
        fill=_PORT,
    )
    events = drawing.box(Box(980, 60, 160, 90), "Events", ("number, time, cycles,", "results"), fill=_PORT)
    drawing.arrow((760, 25), capture.top(60 / 210), label="samples, 16 bits", at=(666, 36))
    drawing.arrow((850, 25), capture.top(150 / 210), label="trigger", at=(858, 36))
    drawing.arrow(events.top(), (1060, 25), label="event pins", at=(1068, 36))
    drawing.arrow(capture.right(), events.left())
    drawing.arrow(capture.left(), registers.right(), label="windows, by the bus", at=(530, 98))


def _sequencer(drawing: Drawing, registers: Box, sizes: ArrayConfig) -> Box:
    descriptors = drawing.box(
        Box(320, 200, 150, 70),
        "Descriptors",
        (f"{sizes.descriptors} operators", f"of {WORD_BITS * 8} bits"),
        fill=_MEMORY,
    )
    sequencer = drawing.box(
        Box(540, 200, 370, 70),
        "Sequencer",
        ("group, position, plane, run, word:", "a word a cycle, from layer to layer, too"),
        fill=_LOGIC,
    )
    drawing.arrow(registers.bottom(), descriptors.top(), label="loads all memories", at=(402, 178))
    drawing.arrow(descriptors.right(), sequencer.left())
    return sequencer


def _elements(drawing: Drawing, sequencer: Box, activations: Box, sizes: ArrayConfig) -> Box:
    frame = Box(540, 340, 600, 190)
    drawing.frame(frame, f"{sizes.elements} processing elements (PE): {sizes.multipliers} multipliers")
    places = [560 + 140 * number for number in range(_DRAWN)] + [1006]
    names = [f"PE {number}" for number in range(_DRAWN)] + [f"PE {sizes.elements - 1}"]
    for x, name in zip(places, names, strict=True):
        weights = drawing.box(
            Box(x, 372, 114, 44), "Weights", (f"{sizes.weight_words:,} × {LANES} bytes",), fill=_MEMORY
        )
        drawing.box(Box(x, 428, 114, 90), "", (), fill=_LOGIC)
        for unit in range(LANES):
            drawing.cell(Box(x + 7 + 13 * unit, 446, 10, 18), "×")
        drawing.label(x + 57, 441, name, size=11, anchor="middle")
        drawing.label(x + 57, 481, f"sum of {LANES} products", size=11, anchor="middle", color="#444")
        drawing.label(x + 57, 497, f"accumulator, {ACC_BITS} bits", size=11, anchor="middle", color="#444")
        drawing.label(x + 57, 512, "(two for 4-bit weights)", size=10, anchor="middle", color="#444")
        drawing.arrow(weights.bottom(), (x + 57, 428))
    drawing.label(982, 460, "…", size=18)
    drawing.arrow(activations.right(0.68), (540, 432), label=f"{LANES} bytes", at=(480, 426))
    drawing.arrow(sequencer.bottom(0.5), (725, 340), label="weight address", at=(733, 310))
    return frame


def _finish(drawing: Drawing, elements: Box, activations: Box, registers: Box, sizes: ArrayConfig) -> None:
    requant = drawing.box(
        Box(780, 580, 360, 70),
        f"{LANES} requantization units",
        ("(acc·m + b) >> s, half-even or half-up, clip:", "the proved forms of the certificate"),
        fill=_LOGIC,
    )
    constants = drawing.box(
        Box(880, 700, 260, 60),
        "Constants",
        (f"{sizes.parameter_words} words of {LANES} channels, {PARAMETER_BITS} bits each",),
        fill=_MEMORY,
    )
    tables = drawing.box(
        Box(540, 580, 170, 70), "Tables", (f"{sizes.tables} of 256 bytes,", "or passed by"), fill=_MEMORY
    )
    results = drawing.box(
        Box(540, 700, 170, 60), "Results", (f"{sizes.result_words} × {LANES} of 32 bits",), fill=_MEMORY
    )
    drawing.arrow(
        (960, elements.y + elements.height), requant.top(0.5), label=f"{LANES} accumulators a cycle", at=(970, 560)
    )
    drawing.arrow(constants.top(), requant.bottom(230 / 360))
    drawing.arrow(requant.left(), tables.right())
    drawing.arrow(requant.bottom(0.15), (834, 730), results.right(), label="sums", at=(790, 690))
    drawing.arrow(tables.left(), (395, 615), activations.bottom(), label=f"{LANES} bytes a cycle", at=(405, 608))
    drawing.arrow(
        results.left(), (310, 730), (310, 141), registers.left(0.9), label="to processor and events", at=(330, 748)
    )

"""What `inspect` shows of an artifact for the accelerator: cycles and use of each layer, memories, rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeconv.cli.console import format_table
from edgeconv.cli.formatting import shorten

if TYPE_CHECKING:
    from edgeconv.artifact import Artifact
    from edgeconv.hw.compiler import LayerCycles

__all__ = ["ArrayFacts", "array_facts", "array_text"]


@dataclass(frozen=True)
class ArrayFacts:
    """A network on the array.

    Attributes:
        layers: in order.
        cycles: of one sample, from start to the last result in memory.
        use: useful multiply-accumulates over what the array could do in these cycles.
        clock_mhz: that the target aims for, and `samples_per_second` at that clock.
        memory: used and available, by memory.
    """

    layers: tuple[LayerCycles, ...]
    cycles: int
    multipliers: int
    use: float
    clock_mhz: float
    samples_per_second: float
    memory: dict[str, tuple[int, int]]


def array_facts(artifact: Artifact) -> ArrayFacts:
    """Read them from the image of an artifact."""
    from edgeconv.artifact.array_target.write import image_of

    image = image_of(artifact)
    multipliers = image.config.multipliers
    clock = float(artifact.manifest.settings["clock_mhz"])
    return ArrayFacts(
        image.layers,
        image.cycles,
        multipliers,
        sum(layer.macs for layer in image.layers) / (image.cycles * multipliers),
        clock,
        clock * 1e6 / image.cycles,
        dict(image.memory),
    )


def array_text(facts: ArrayFacts) -> str:
    """The facts for people."""
    rows = [
        (
            layer.operator,
            shorten(layer.output),
            str(layer.start),
            str(layer.wait),
            str(layer.cycles),
            f"{layer.macs / (layer.cycles * facts.multipliers):.0%}" if layer.macs else "",
            str(layer.descriptors),
            str(layer.weight_words),
        )
        for layer in facts.layers
    ]
    header = ("layer", "output", "first cycle", "waits", "cycles", "of peak", "descriptors", "weight words")
    memory = [(name, str(used), str(size), f"{used / size:.0%}") for name, (used, size) in facts.memory.items()]
    total = (
        f"{facts.cycles} cycles a sample, {facts.use:.0%} of {facts.multipliers} multipliers; "
        f"{facts.samples_per_second:,.0f} samples/s at {facts.clock_mhz:g} MHz, the clock aimed for (not routed)"
    )
    return "\n\n".join(
        [format_table(rows, header=header), format_table(memory, header=("memory", "used", "there is", "")), total]
    )

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
        clock_mhz: of the target, and `samples_per_second` at that clock.
        routed_mhz: the highest clock of the bitstream that the artifact carries; None where it carries none.
        memory: used and available, by memory.
    """

    layers: tuple[LayerCycles, ...]
    cycles: int
    multipliers: int
    use: float
    clock_mhz: float
    routed_mhz: float | None
    samples_per_second: float
    memory: dict[str, tuple[int, int]]


def array_facts(artifact: Artifact) -> ArrayFacts:
    """Read them from the image of an artifact."""
    from edgeconv.artifact.array_target.bitstream import routed_report
    from edgeconv.artifact.array_target.write import image_of

    report = routed_report(artifact)
    image = image_of(artifact)
    multipliers = image.config.multipliers
    clock = float(artifact.manifest.settings["clock_mhz"])
    return ArrayFacts(
        image.layers,
        image.cycles,
        multipliers,
        sum(layer.macs for layer in image.layers) / (image.cycles * multipliers),
        clock,
        report.fmax_mhz if report else None,
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
    clock = (
        "the clock aimed for (no bitstream in this artifact)"
        if facts.routed_mhz is None
        else f"for which the bitstream is made (routed: {facts.routed_mhz:.1f} MHz)"
    )
    total = (
        f"{facts.cycles} cycles a sample, {facts.use:.0%} of {facts.multipliers} multipliers; "
        f"{facts.samples_per_second:,.0f} samples/s at {facts.clock_mhz:g} MHz, {clock}"
    )
    return "\n\n".join(
        [format_table(rows, header=header), format_table(memory, header=("memory", "used", "there is", "")), total]
    )

"""Numbers and layers as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from edgeconv.cli.console import format_table

if TYPE_CHECKING:
    from edgeconv.artifact import LayerInfo
    from edgeconv.artifact.manifest import Tuning

__all__ = ["layer_rows", "readable_bytes", "readable_count", "readable_time", "shorten", "tuning_text"]


def readable_bytes(count: int) -> str:
    """A size with the unit that gives at most four digits: B, KB (1000 B) or MB."""
    if count < 10_000:
        return f"{count} B"
    return f"{count / 1e3:.1f} KB" if count < 1e6 else f"{count / 1e6:.2f} MB"


def readable_count(count: float) -> str:
    """A number with k, M or G."""
    for bound, divisor, unit in ((1e3, 1.0, ""), (1e6, 1e3, "k"), (1e9, 1e6, "M")):
        if count < bound:
            return f"{count / divisor:.3g}{unit}"
    return f"{count / 1e9:.3g}G"


def readable_time(seconds: float) -> str:
    """A time in ns, µs, ms or s with three digits; in minutes from a hundred seconds on, then in hours."""
    for bound, factor, unit in ((1e-6, 1e9, "ns"), (1e-3, 1e6, "µs"), (1.0, 1e3, "ms")):
        if seconds < bound:
            return f"{seconds * factor:.3g} {unit}"
    if seconds < 99.95:
        return f"{seconds:.3g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"


def shorten(text: str, length: int = 32) -> str:
    """The end of a long name, which is what tells names of one graph apart."""
    return text if len(text) <= length else "…" + text[1 - length :]


def layer_rows(layers: Iterable[LayerInfo], kernels: Mapping[str, str] | None = None) -> list[tuple[str, ...]]:
    """A row for each layer: operator, output, shape, MACs, weights, kernel (where kernels are given), forms."""
    rows = []
    for layer in layers:
        # Instruction sets with different policies differ in forms; the last policy is that of the fastest.
        forms = list(layer.forms.values())[-1] if layer.forms else {}
        row = [
            layer.operator,
            shorten(layer.output),
            f"{layer.type}[{','.join(map(str, layer.shape))}]",
            readable_count(layer.macs) if layer.macs else "",
            str(layer.weights) if layer.weights else "",
        ]
        if kernels is not None:
            row.append(kernels.get(layer.output, ""))
        row.append(", ".join(f"{count} {kind}" for kind, count in forms.items()))
        rows.append(tuple(row))
    return rows


def tuning_text(tuning: Tuning) -> str:
    """What was measured, and which blockings differ from those of the cycle models."""
    found = f"{len(tuning.changed)} other blockings" if tuning.changed else "those of the cycle models are the fastest"
    head = f"blockings of {tuning.isa} measured on {tuning.processor}, {tuning.steps} steps: {found}"
    rows = [
        (
            shorten(blocking.output, 48),
            blocking.part,
            " × ".join(blocking.axes),
            " × ".join(map(str, blocking.modelled)),
            " × ".join(map(str, blocking.chosen)),
            *map(readable_time, blocking.seconds),
        )
        for blocking in tuning.changed
    ]
    header = ("output", "part of the step", "blocking", "model", "chosen", "step before", "after")
    return f"{head}\n\n{format_table(rows, header=header)}" if rows else head

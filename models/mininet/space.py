"""What is searched for the depth family: widths, levels and iterations, and the bits of every part of the network.

The published default (widths 16, 32, 64, two levels, two iterations, 8 bits) lies inside.
"""

from __future__ import annotations

from dataclasses import replace

from edgeconv.models.mininet.config import DepthTraining, MiniNetConfig
from edgeconv.quantize.policy import LayerRule
from edgeconv.search.space import Choice, Space, Value, Values

__all__ = ["config_of", "default_values", "depth_space"]

_WIDTHS = {"stem.width": (8, 12, 16, 24), "encode1.width": (16, 24, 32, 48), "encode2.width": (32, 48, 64, 96)}
_PARTS = {
    "stem": ("stem*",), "encode1": ("encode1.*",), "encode2": ("encode2.*",), "recurrent": ("recurrent.*",),
    "climb": ("climb.*",), "up": ("up1.*", "up0.*"),
}  # fmt: skip
"""Parts that have bits of their own, and the names of their layers. The answer keeps its 8 bits."""
_BITS = (4, 6, 8)


def depth_space() -> Space:
    """Sizes, then weights and activations part by part, and weights of the heads."""
    sizes = {"levels": (1, 2), "iterations": (1, 2, 3)} | _WIDTHS
    choices = [Choice(name, values) for name, values in sizes.items()]
    for part in _PARTS:
        choices += [Choice(f"{part}.{own}", _BITS, bits=True) for own in ("weights", "activations")]
    return Space("mininet", (*choices, Choice("heads.weights", _BITS, bits=True)))


def default_values(shape: MiniNetConfig | None = None) -> dict[str, Value]:
    """A network as a recipe has it, all its layers of 8 bits; the recipe of the family when None."""
    shape = shape or MiniNetConfig()
    values: dict[str, Value] = {"levels": shape.levels, "iterations": shape.iterations}
    values |= dict(zip(_WIDTHS, shape.widths, strict=True))
    for part in _PARTS:
        values |= {f"{part}.weights": 8, f"{part}.activations": 8}
    return values | {"heads.weights": 8}


def config_of(values: Values, base: DepthTraining) -> DepthTraining:
    """The recipe for the network of these values."""
    a, b, c = (int(values[name]) for name in _WIDTHS)
    shape = MiniNetConfig((a, b, c), int(values["levels"]), int(values["iterations"]))
    rules = [
        LayerRule(pattern, int(values[f"{part}.weights"]), int(values[f"{part}.activations"]))
        for part, patterns in _PARTS.items()
        for pattern in patterns
    ]
    rules.append(LayerRule("heads.*", weight_bits=int(values["heads.weights"])))
    return replace(base, network=shape, policy=replace(base.policy, rules=(*base.policy.rules, *rules)))

"""What is searched for the wave family: size and rank of the filters, width, depth, and the bits of every layer.

The published default (3 frames, width 16, depth 4, 5 taps, rank 2, 8 bits) lies inside.
"""

from __future__ import annotations

from dataclasses import replace

from edgeconv.models.oneway_wave.config import StepConfig, WaveTraining
from edgeconv.quantize.policy import LayerRule
from edgeconv.search.space import Choice, Space, Value, Values

__all__ = ["config_of", "default_values", "wave_space"]

_DEPTHS = (2, 3, 4, 5)
_SIZES: dict[str, tuple[int, ...]] = {
    "frames": (2, 3),
    "width": (4, 8, 12, 16, 24),
    "size": (3, 5, 7),
    "rank": (0, 1, 2, 4),  # 0: dense
}
_BITS = (4, 6, 8)


def wave_space() -> Space:
    """Choices of the whole network, then weights and activations layer by layer; the last layer's sums stay."""
    choices = [Choice("depth", _DEPTHS), *(Choice(name, values) for name, values in _SIZES.items())]
    for number in range(1, _DEPTHS[-1] + 1):
        choices.append(Choice(f"conv{number}.weights", _BITS, _needed(number), bits=True))
        if number < _DEPTHS[-1]:
            choices.append(Choice(f"conv{number}.activations", _BITS, _needed(number + 1), bits=True))
    return Space("oneway_wave", tuple(choices))


def _needed(depth: int) -> tuple[str, int] | None:
    return ("depth", depth) if depth > _DEPTHS[0] else None


def default_values(shape: StepConfig | None = None) -> dict[str, Value]:
    """A network as a recipe has it, all its layers of 8 bits; the recipe of the family when None."""
    shape = shape or StepConfig()
    values: dict[str, Value] = {"depth": shape.depth, **{name: getattr(shape, name) for name in _SIZES}}
    values |= {f"conv{number}.weights": 8 for number in range(1, shape.depth + 1)}
    return values | {f"conv{number}.activations": 8 for number in range(1, shape.depth)}


def config_of(values: Values, base: WaveTraining) -> WaveTraining:
    """The recipe for the network of these values."""
    depth = int(values["depth"])
    shape = StepConfig(depth=depth, **{name: int(values[name]) for name in _SIZES})
    rules = [LayerRule(f"convs.{i}*", weight_bits=int(values[f"conv{i + 1}.weights"])) for i in range(depth)]
    rules += [
        LayerRule(f"relus.{i}", activation_bits=int(values[f"conv{i + 1}.activations"])) for i in range(depth - 1)
    ]
    return replace(base, network=shape, policy=replace(base.policy, rules=(*base.policy.rules, *rules)))

"""What is searched for the pulse family: three to five strided convolutions, their widths, kernels and bits.

The published default (widths 16, 32, 32, 64, kernels of 5, hidden 64, 8 bits) lies inside, so that a search can only
improve on it.
"""

from __future__ import annotations

from edgeconv.search.elastic import ElasticConvNet
from edgeconv.search.space import Space, Value

__all__ = ["ELASTIC", "default_values", "pulse_space"]

ELASTIC = ElasticConvNet(
    samples=128,
    channels=1,
    # The ADC's codes less the baseline: signed, and 12 bits at most matter.
    input_bits=16,
    depths=(3, 4, 5),
    widths=(4, 8, 16, 32, 64),
    kernels=(3, 5, 7),
    strides=(2, 2, 2, 2, 2),
    hidden=(8, 16, 32, 64),
    outputs=2,
)


def pulse_space() -> Space:
    """The space of the pulse family."""
    return ELASTIC.space("pulse")


def default_values() -> dict[str, Value]:
    """The network that the family trains without a search, in the terms of the space."""
    values: dict[str, Value] = {"depth": 4}
    for number, width in enumerate((16, 32, 32, 64), 1):
        values |= {f"conv{number}.width": width, f"conv{number}.kernel": 5}
        values |= {f"conv{number}.weights": 8, f"conv{number}.activations": 8}
    return values | {"hidden.width": 64, "hidden.weights": 8, "hidden.activations": 8, "readout.weights": 8}

"""A family of 1-D networks that differ in depth, width, kernel size and bits: convolutions, then two dense layers.

The description is torch-free: spaces, cost formulas, supernet and stand-alone networks all read their shapes here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgeconv.search.space import Choice, Space, Values

__all__ = ["BITS", "ElasticConvNet", "LayerShape"]

BITS = (2, 3, 4, 6, 8)
"""Bit widths that are searched: every container of packed weights, and its neighbours."""


@dataclass(frozen=True)
class LayerShape:
    """One layer of one network of the family.

    Attributes:
        name: "conv1" … or "hidden", "readout".
        inputs, outputs: channels, or features of a dense layer.
        kernel, stride: 1 for dense layers.
        length: positions of the output; 1 for dense layers.
        weight_bits: of the weights; output activations have `activation_bits`, those of the readout none (0).
        input_bits: of the activations it reads.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int
    stride: int
    length: int
    weight_bits: int
    activation_bits: int
    input_bits: int

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.inputs * self.outputs * self.kernel

    @property
    def macs(self) -> int:
        """Multiply-accumulates a sample."""
        return self.weights * self.length

    @property
    def mac_bits(self) -> int:
        """Multiply-accumulates times the bits of both factors: the binary products of the layer."""
        return self.macs * self.weight_bits * self.input_bits


@dataclass(frozen=True)
class ElasticConvNet:
    """Bounds and choices of the family.

    Attributes:
        samples, channels: of the input; `input_bits` its width on the way in.
        depths: numbers of convolutions, ascending and without gaps.
        widths, kernels: per convolution; kernels are odd.
        strides: of each convolution, as many as the largest depth.
        hidden: widths of the first dense layer.
        outputs: of the second one.
        weight_bits, activation_bits: choices for every layer.
    """

    samples: int
    channels: int
    input_bits: int
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    hidden: tuple[int, ...]
    outputs: int
    weight_bits: tuple[int, ...] = BITS
    activation_bits: tuple[int, ...] = BITS

    def space(self, name: str) -> Space:
        """Depth, then width, kernel, weight bits and activation bits layer by layer."""
        choices = [Choice("depth", self.depths)]
        for number in range(1, self.depths[-1] + 1):
            needs = ("depth", number) if number > self.depths[0] else None
            for own, values in (
                ("width", self.widths), ("kernel", self.kernels),
                ("weights", self.weight_bits), ("activations", self.activation_bits),
            ):  # fmt: skip
                choices.append(Choice(f"conv{number}.{own}", values, needs, bits=own in ("weights", "activations")))
        choices += [
            Choice("hidden.width", self.hidden),
            Choice("hidden.weights", self.weight_bits, bits=True),
            Choice("hidden.activations", self.activation_bits, bits=True),
            Choice("readout.weights", self.weight_bits, bits=True),
        ]
        return Space(name, tuple(choices), self)

    def length_after(self, depth: int) -> int:
        """Positions that `depth` convolutions leave; padding is half a kernel, so only strides count."""
        length = self.samples
        for stride in self.strides[:depth]:
            length = -(-length // stride)
        return length

    def layers(self, values: Values) -> tuple[LayerShape, ...]:
        """All layers of the network that these values mean."""
        found = []
        inputs, bits, depth = self.channels, self.input_bits, int(values["depth"])
        for number in range(1, depth + 1):
            width, kernel, weights, bits_out = (
                int(values[f"conv{number}.{own}"]) for own in ("width", "kernel", "weights", "activations")
            )
            stride, length = self.strides[number - 1], self.length_after(number)
            found.append(LayerShape(f"conv{number}", inputs, width, kernel, stride, length, weights, bits_out, bits))
            inputs, bits = width, bits_out
        width, weights, bits_out = (int(values[f"hidden.{own}"]) for own in ("width", "weights", "activations"))
        flat = inputs * self.length_after(depth)
        found.append(LayerShape("hidden", flat, width, 1, 1, 1, weights, bits_out, bits))
        found.append(LayerShape("readout", width, self.outputs, 1, 1, 1, int(values["readout.weights"]), 0, bits_out))
        return tuple(found)

    def terms(self, values: Values) -> Sequence[float]:
        """What a cost may be made of: numbers of order one, layer by layer, 0 of layers that are not there.

        The last one is of the whole network: weights that a first-level cache has no room for.
        """
        slots = self.depths[-1] + 2
        terms = [0.0] * (slots * _TERMS)
        layers = self.layers(values)
        for layer in layers:
            slot = self.depths[-1] + (0 if layer.name == "hidden" else 1)
            if layer.name.startswith("conv"):
                slot = int(layer.name.removeprefix("conv")) - 1
            terms[slot * _TERMS : (slot + 1) * _TERMS] = _terms_of(layer)
        return [*terms, max(0, sum(layer.weights for layer in layers) - _CACHE) / 1e3]


_TERMS = 10
_LANES, _GROUP, _FEW, _ADDING_LANES = 16, 4, 4, 3
"""Lanes of a vector, products that each adds up at once; convolutions into few channels sum along the window, and add
up lanes at the end (edgeconv/codegen/kernels/conv_few.py)."""
_CACHE = 48 * 1024
"""Bytes of a core's first-level data cache; weights lie in bytes, whatever their bits."""


def _terms_of(layer: LayerShape) -> Sequence[float]:
    taps = layer.inputs * layer.kernel
    vectors = layer.length * -(-layer.outputs // _LANES)
    products = vectors * -(-taps // _GROUP)
    along = layer.length * layer.outputs * -(-taps // (_LANES * _GROUP))
    few = (
        layer.outputs <= _FEW
        and layer.length >= _LANES
        and along + _ADDING_LANES * layer.outputs * layer.length < products
    )
    return (
        1.0,
        layer.macs / 1e3,
        layer.mac_bits / 1e3,
        layer.weights * layer.weight_bits / 1e3,
        layer.outputs * layer.length * layer.activation_bits / 1e3,
        layer.outputs / 10,
        0.0 if few else vectors / 10,
        0.0 if few else products / 1e2,
        layer.outputs * layer.length / 10 if few else 0.0,
        along / 1e2 if few else 0.0,
    )

"""The quantized twin of a network: `QuantLayers` builds it of modules that round, under the names of the float network.

A module that reads a quantized tensor gets brevitas' `IntQuantTensor`, which carries the scale along, so that biases
are integers at the scale of the accumulator. Bits are chosen when the whole network stands and every module has its
name (`configure`); before calibration the modules only observe: they compute in float, and remember what they saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import brevitas.nn as qnn
import torch
from brevitas.quant_tensor import IntQuantTensor
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.errors import QuantizationError
from edgeconv.quantize.export import IntegerInput
from edgeconv.quantize.grid import integers
from edgeconv.quantize.layers import Size, add_relu, concat_channels
from edgeconv.quantize.policy import LayerBits, QuantPolicy
from edgeconv.quantize.quantizers import (
    AccumulatorBias,
    LearnedScale,
    LearnedWeights,
    SignedActivation,
    UnsignedActivation,
)
from edgeconv.quantize.scan_twin import QuantScan

__all__ = [
    "QuantActivation",
    "QuantInterpolation",
    "QuantLayers",
    "QuantWeighted",
    "configure",
    "quantized_modules",
    "value_of",
]

# Values kept of each tensor that an observing quantizer sees: enough for a percentile of 99.99.
_KEPT = 1 << 16


def value_of(x: Tensor | IntQuantTensor) -> Tensor:
    """The real values of a tensor, quantized or not."""
    return x.value if isinstance(x, IntQuantTensor) else x


class QuantWeighted(nn.Module):
    """A convolution or fully connected layer, `layer`: integer weights and bias, the exact accumulator as its output.

    Args:
        kind: brevitas' class.
        arguments: of that class.
        output_axis: of its weight.
    """

    layer: nn.Module

    def __init__(self, kind: type[nn.Module], arguments: dict[str, Any], output_axis: int = 0) -> None:
        super().__init__()
        self.kind, self.arguments, self.output_axis = kind, arguments, output_axis
        self.name, self.observing = "", True

    def configure(self, name: str, policy: QuantPolicy, bits: LayerBits) -> None:
        """Make the layer, now that its bits are known."""
        self.name = name
        shape: tuple[int, ...] = ()
        if policy.per_channel:
            whole = self.kind(**self.arguments, weight_quant=None).weight  # for its shape
            shape = tuple(n if axis == self.output_axis else 1 for axis, n in enumerate(whole.shape))
        self.layer = self.kind(
            **{"bias": True, **self.arguments},
            weight_quant=LearnedWeights,
            weight_bit_width=bits.weight_bits,
            weight_power_of_two=policy.power_of_two,
            weight_scale_shape=shape,
            weight_learned=policy.learn_scales,
            bias_quant=AccumulatorBias if self.arguments.get("bias", True) else None,
            return_quant_tensor=False,
        )

    @property
    def weight_quantizer(self) -> LearnedScale:
        """What rounds the weights."""
        return self.layer.weight_quant.tensor_quant

    def forward(self, x: Tensor | IntQuantTensor) -> Tensor:
        if self.observing:
            # The class beside brevitas' own: torch's layer of that kind.
            return self.kind.__mro__[_torch_layer(self.kind)].forward(self.layer, value_of(x))  # type: ignore[attr-defined]
        if not isinstance(x, IntQuantTensor):
            raise _uncovered(f"layer '{self.name}'")
        return value_of(self.layer(x))


def _torch_layer(kind: type[nn.Module]) -> int:
    return next(i for i, base in enumerate(kind.__mro__) if base.__module__.startswith("torch.nn.modules"))


class QuantActivation(nn.Module):
    """A function of real values, and one rounding of its result.

    Args:
        function: of as many tensors as the module takes.
        signed: may the result be negative?
    """

    quantizer: nn.Module

    def __init__(self, function: Callable[..., Tensor], *, signed: bool, **options: Any) -> None:
        super().__init__()
        self.function, self.signed, self.options = function, signed, options
        self.name, self.observing = "", True
        self.seen: list[Tensor] = []

    def configure(self, name: str, policy: QuantPolicy, bits: LayerBits) -> None:
        """Make the quantizer, now that its bits are known."""
        self.name = name
        self.quantizer = qnn.QuantIdentity(
            act_quant=SignedActivation if self.signed else UnsignedActivation,
            bit_width=bits.activation_bits,
            power_of_two=policy.power_of_two,
            learned=policy.learn_scales,
            return_quant_tensor=True,
        )

    @property
    def scale_quantizer(self) -> LearnedScale:
        """What rounds the values."""
        return self.quantizer.act_quant.fused_activation_quant_proxy.tensor_quant

    def forward(self, *tensors: Tensor | IntQuantTensor) -> Tensor | IntQuantTensor:
        values = [value_of(x) for x in tensors]
        if self.training and not self.observing and self.function is torch.relu:
            return self.quantizer(*values)  # the unsigned grid ends at 0 and is the ReLU
        y = self.function(*values, **self.options)
        if not self.observing:
            return self.quantizer(y)
        self._remember(y)
        return y

    def _remember(self, y: Tensor) -> None:
        flat = y.detach().flatten()
        largest = flat.abs().argmax()
        # A step that shares no factor with the shape walks over all channels and places.
        step = max(1, len(flat) // _KEPT) | 1
        self.seen.append(torch.cat([flat[::step], flat[largest : largest + 1]]))


class _Silu(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before = QuantActivation(_same, signed=True)
        self.after = QuantActivation(F.silu, signed=True)

    def forward(self, x: Tensor | IntQuantTensor) -> Tensor | IntQuantTensor:
        return self.after(self.before(x))


class _QuantInput(nn.Module):
    """Integers that enter as they are."""

    def __init__(self, meaning: IntegerInput) -> None:
        super().__init__()
        self.bits = meaning.dtype.itemsize * 8
        self.register_buffer("scale", torch.tensor(meaning.scale), persistent=False)

    def forward(self, x: Tensor) -> IntQuantTensor:
        return integers(x, self.scale, bits=self.bits, training=self.training)


class _Moves(nn.Module):
    """A function that only picks or moves values: its result has the scale of its argument."""

    def __init__(self, function: Callable[..., Tensor], **options: Any) -> None:
        super().__init__()
        self.function, self.options = function, options

    def forward(self, x: Tensor | IntQuantTensor) -> Tensor | IntQuantTensor:
        y = self.function(value_of(x), **self.options)
        if not isinstance(x, IntQuantTensor):
            return y
        return IntQuantTensor(y, x.scale, x.zero_point, x.bit_width, x.signed, x.training)


class QuantInterpolation(nn.Module):
    """Bilinear upsampling by two: sums of neighbours, exact, of a quantized tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.observing = True

    def forward(self, x: Tensor | IntQuantTensor) -> Tensor:
        if not self.observing and not isinstance(x, IntQuantTensor):
            raise _uncovered("a bilinear upsampling")
        return F.interpolate(value_of(x), scale_factor=2.0, mode="bilinear")


def _uncovered(reader: str) -> QuantizationError:
    return QuantizationError(
        f"{reader} reads a value that no quantizer covers",
        expected="the output of a block that rounds",
        advice="put layers.requantize() before it",
    )


def _same(x: Tensor) -> Tensor:
    return x


class QuantLayers:
    """Blocks in integers, where `FloatLayers` has torch's own; `edgeconv.quantize.convert.make_twin` uses them."""

    def input_quantizer(self, integers: IntegerInput | None = None, *, signed: bool = False) -> nn.Module:
        return QuantActivation(_same, signed=signed) if integers is None else _QuantInput(integers)

    def conv1d(
        self, channels: int, filters: int, size: int, *, stride: int = 1, padding: int = 0, dilation: int = 1,
        groups: int = 1, normalized: bool = True, bias: bool = True,
    ) -> nn.Module:  # fmt: skip
        return QuantWeighted(
            qnn.QuantConv1d,
            _conv(channels, filters, size, stride=stride, padding=padding, dilation=dilation, groups=groups)
            | {"bias": bias or normalized},
        )

    def conv2d(
        self, channels: int, filters: int, size: Size, *, stride: Size = 1, padding: Size = 0, dilation: Size = 1,
        groups: int = 1, normalized: bool = True, bias: bool = True,
    ) -> nn.Module:  # fmt: skip
        return QuantWeighted(
            qnn.QuantConv2d,
            _conv(channels, filters, size, stride=stride, padding=padding, dilation=dilation, groups=groups)
            | {"bias": bias or normalized},
        )

    def conv_transpose1d(
        self, channels: int, filters: int, size: int, *, stride: int = 1, padding: int = 0, normalized: bool = True
    ) -> nn.Module:
        return QuantWeighted(
            qnn.QuantConvTranspose1d, _conv(channels, filters, size, stride=stride, padding=padding), output_axis=1
        )

    def conv_transpose2d(
        self, channels: int, filters: int, size: Size, *, stride: Size = 1, padding: Size = 0, normalized: bool = True
    ) -> nn.Module:
        return QuantWeighted(
            qnn.QuantConvTranspose2d, _conv(channels, filters, size, stride=stride, padding=padding), output_axis=1
        )

    def linear(self, features: int, outputs: int) -> nn.Module:
        return QuantWeighted(qnn.QuantLinear, {"in_features": features, "out_features": outputs})

    def relu(self) -> nn.Module:
        return QuantActivation(torch.relu, signed=False)

    def sigmoid(self) -> nn.Module:
        return QuantActivation(torch.sigmoid, signed=False)

    def silu(self) -> nn.Module:
        return _Silu()

    def requantize(self, *, signed: bool = True) -> nn.Module:
        return QuantActivation(_same, signed=signed)

    def add(self) -> nn.Module:
        return QuantActivation(torch.add, signed=True)

    def add_relu(self) -> nn.Module:
        return QuantActivation(add_relu, signed=False)

    def multiply(self) -> nn.Module:
        return QuantActivation(torch.mul, signed=True)

    def concat(self, *, signed: bool = True) -> nn.Module:
        return QuantActivation(concat_channels, signed=signed)

    def max_pool1d(self, size: int, stride: int | None = None, *, padding: int = 0) -> nn.Module:
        return _Moves(F.max_pool1d, kernel_size=size, stride=stride, padding=padding)

    def max_pool2d(self, size: Size, stride: Size | None = None, *, padding: Size = 0) -> nn.Module:
        return _Moves(F.max_pool2d, kernel_size=size, stride=stride, padding=padding)

    def mean(self, *dims: int, signed: bool = False) -> nn.Module:
        return QuantActivation(torch.mean, signed=signed, dim=dims, keepdim=True)

    def avg_pool2d(self, size: Size, stride: Size | None = None, *, signed: bool = False) -> nn.Module:
        return QuantActivation(F.avg_pool2d, signed=signed, kernel_size=size, stride=stride)

    def upsample1d(self) -> nn.Module:
        return _Moves(F.interpolate, scale_factor=2.0, mode="nearest")

    def upsample2d(self) -> nn.Module:
        return _Moves(F.interpolate, scale_factor=2.0, mode="nearest")

    def interpolate2d(self) -> nn.Module:
        return QuantInterpolation()

    def pad1d(self, before: int, after: int) -> nn.Module:
        return _Moves(F.pad, pad=(before, after))

    def flip(self, dim: int) -> nn.Module:
        return _Moves(torch.flip, dims=(dim,))

    def selective_scan(self, channels: int, states: int) -> nn.Module:
        return QuantScan(channels, states)


def _conv(channels: int, filters: int, size: Size, **options: Size) -> dict[str, Any]:
    return {"in_channels": channels, "out_channels": filters, "kernel_size": size, **options}


def quantized_modules(network: nn.Module) -> Iterator[tuple[str, QuantWeighted | QuantActivation]]:
    """The modules of a twin that round, by name."""
    for name, module in network.named_modules():
        if isinstance(module, (QuantWeighted, QuantActivation)):
            yield name, module


def configure(network: nn.Module, policy: QuantPolicy) -> None:
    """Give every module of a network of `QuantLayers` its bits.

    Raises:
        UsageError: a rule of the policy matches nothing.
    """
    modules = dict(quantized_modules(network))
    weighted = [name for name, module in modules.items() if isinstance(module, QuantWeighted)]
    bits = policy.resolve(weighted, [name for name in modules if name not in weighted])
    for name, module in modules.items():
        module.configure(name, policy, bits[name])

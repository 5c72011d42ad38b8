"""A supernet: the weights of a whole elastic family in one network whose shape and bits are chosen at every pass.

brevitas' layers hold the weights; their quantizers switch bit widths at run time. Weights are sliced first and rounded
then, for the range of a slice is not the range of the whole. Batch normalization has no statistics here: each network
that is taken out gets its own (`edgeconv.search.extract`), because shared ones rank networks at random.
"""

from __future__ import annotations

from typing import Any

import brevitas.nn as qnn
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv.quantize.convert import least_error_top
from edgeconv.quantize.quantizers import LearnedScale, LearnedWeights, UnsignedActivation, grid_range
from edgeconv.search.elastic import ElasticConvNet
from edgeconv.search.space import Values

__all__ = ["SuperNet", "SwitchedActivations", "SwitchedWeights"]

_BIT_WIDTHS = tuple(range(2, 9))


class _Switched(LearnedScale):
    """A quantizer of 2 to 8 bits, the width in force being plain state: a row of its scales belongs to each width."""

    def __init__(self, signed: bool, narrow_range: bool) -> None:
        super().__init__(8, signed, narrow_range, False, (len(_BIT_WIDTHS),), True)
        self._kind = {"signed": signed, "narrow": narrow_range}
        self.use(8)

    def use(self, bits: int) -> None:
        """Round to so many bits from now on."""
        self.low, self.high = grid_range(bits, **self._kind)
        self.row = _BIT_WIDTHS.index(bits)
        self.bits.fill_(float(bits))


class _SwitchedWeightQuant(_Switched):
    """Per output channel: the largest magnitude of the slice times a learned factor for each width."""

    @property
    def scale(self) -> Tensor:
        return self._peak * torch.exp2(self.log2_scale[self.row]) / self.high

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        self._peak = x.detach().abs().amax(tuple(range(1, x.dim())), keepdim=True).clamp_min(1e-8)
        return super().forward(x)


class _SwitchedActivationQuant(_Switched):
    """Per tensor: a learned top of the range for each width."""

    @property
    def scale(self) -> Tensor:
        return torch.exp2(self.log2_scale[self.row]) / self.high


class SwitchedWeights(LearnedWeights):
    """Signed symmetric weights whose width switches."""

    tensor_quant = _SwitchedWeightQuant  # type: ignore[assignment]


class SwitchedActivations(UnsignedActivation):
    """Activations from 0 on whose width switches."""

    tensor_quant = _SwitchedActivationQuant  # type: ignore[assignment]


class SuperNet(nn.Module):
    """All networks of a family. `use` chooses one; `quantized` False leaves values real, as before calibration."""

    def __init__(self, family: ElasticConvNet) -> None:
        super().__init__()
        self.family, self.quantized = family, False
        widest, kernel, hidden = family.widths[-1], family.kernels[-1], family.hidden[-1]
        inputs = [family.channels] + [widest] * (family.depths[-1] - 1)
        self.convs = nn.ModuleList(
            qnn.QuantConv1d(count, widest, kernel, bias=False, weight_quant=SwitchedWeights) for count in inputs
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(widest, track_running_stats=False) for _ in inputs)
        self.activations = nn.ModuleList(qnn.QuantReLU(act_quant=SwitchedActivations) for _ in inputs)
        # The length that is left differs with the depth, and so does what a position means.
        self.hidden = nn.ModuleDict(
            {
                str(depth): qnn.QuantLinear(
                    widest * family.length_after(depth), hidden, bias=True, weight_quant=SwitchedWeights
                )
                for depth in family.depths
            }
        )
        self.hidden_activation = qnn.QuantReLU(act_quant=SwitchedActivations)
        self.readout = qnn.QuantLinear(hidden, family.outputs, bias=True, weight_quant=SwitchedWeights)
        self._values: Values = {}

    def use(self, values: Values) -> None:
        """Be the network of these values until told otherwise."""
        self._values = values

    def conv_weight(self, index: int, inputs: int, outputs: int, kernel: int) -> Tensor:
        """The middle of the kernels of the first channels."""
        weight = self.convs[index].weight
        margin = (weight.shape[2] - kernel) // 2
        return weight[:outputs, :inputs, margin : margin + kernel]  # type: ignore[no-any-return]

    def hidden_weight(self, depth: int, channels: int, outputs: int) -> Tensor:
        """The columns of the first channels, position by position as they are flattened."""
        weight = self.hidden[str(depth)].weight
        return weight.view(len(weight), self.family.widths[-1], -1)[:outputs, :channels].flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        *convs, hidden, readout = self.family.layers(self._values)
        for index, each in enumerate(convs):
            weight = self._rounded(
                self.convs[index], self.conv_weight(index, each.inputs, each.outputs, each.kernel), each.weight_bits
            )
            norm = self.norms[index]
            x = F.conv1d(x, weight, stride=each.stride, padding=each.kernel // 2)
            x = F.batch_norm(
                x, None, None, norm.weight[: each.outputs], norm.bias[: each.outputs], training=True, eps=norm.eps
            )
            x = self._activated(self.activations[index], x, each.activation_bits)
        depth = int(self._values["depth"])
        last = self.hidden[str(depth)]
        weight = self._rounded(last, self.hidden_weight(depth, convs[-1].outputs, hidden.outputs), hidden.weight_bits)
        x = F.linear(x.flatten(1), weight, last.bias[: hidden.outputs])
        x = self._activated(self.hidden_activation, x, hidden.activation_bits)
        weight = self._rounded(self.readout, self.readout.weight[:, : hidden.outputs], readout.weight_bits)
        return F.linear(x, weight, self.readout.bias)

    @torch.no_grad()
    def calibrate(self, x: Tensor) -> None:
        """Choose the range of every width by least mean square error over a batch, from the values in force; round."""
        seen: dict[nn.Module, Tensor] = {}
        self._watch, self.quantized = seen, False
        self(x)
        self._watch, self.quantized = None, True
        for module, values in seen.items():
            quantizer = _quantizer(module)
            for bits in _BIT_WIDTHS:
                quantizer.use(bits)
                top = least_error_top(values.flatten()[None], values.abs().max()[None], quantizer)
                quantizer.log2_scale[quantizer.row] = torch.log2(top[0].clamp_min(1e-8))
        for layer in (*self.convs, *self.hidden.values(), self.readout):
            quantizer, rows = _quantizer(layer), layer.weight.flatten(1)
            peak = rows.abs().amax(1)
            for bits in _BIT_WIDTHS:
                quantizer.use(bits)
                top = least_error_top(rows, peak, quantizer)
                quantizer.log2_scale[quantizer.row] = torch.log2((top / peak.clamp_min(1e-8)).clamp_min(1e-3)).mean()

    _watch: dict[nn.Module, Tensor] | None = None

    def _rounded(self, layer: nn.Module, weight: Tensor, bits: int) -> Tensor:
        if not self.quantized:
            return weight
        quantizer = _quantizer(layer)
        quantizer.use(bits)
        return quantizer(weight)[0]  # type: ignore[no-any-return]

    def _activated(self, activation: nn.Module, x: Tensor, bits: int) -> Tensor:
        if not self.quantized:
            x = F.relu(x)
            if self._watch is not None:
                self._watch[activation] = x.detach()
            return x
        quantizer = _quantizer(activation)
        quantizer.use(bits)
        return quantizer(F.relu(x))[0]  # type: ignore[no-any-return]


def _quantizer(module: nn.Module) -> Any:
    """The tensor quantizer inside one of brevitas' modules."""
    if hasattr(module, "weight_quant"):
        return module.weight_quant.tensor_quant
    return module.act_quant.fused_activation_quant_proxy.tensor_quant

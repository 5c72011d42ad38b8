"""From a trained float network to its calibrated quantized twin: weights moved, normalization folded, scales chosen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import Tensor, nn

from edgeconv.errors import UsageError
from edgeconv.quantize.layers import Layers, NormalizedConv
from edgeconv.quantize.policy import QuantPolicy
from edgeconv.quantize.quantizers import LearnedScale
from edgeconv.quantize.scan_twin import QuantScan
from edgeconv.quantize.twin import (
    QuantActivation,
    QuantInterpolation,
    QuantLayers,
    QuantWeighted,
    configure,
    quantized_modules,
)

__all__ = ["calibrate", "fold_normalization", "make_twin", "observe", "transfer_weights"]

Network = TypeVar("Network", bound=nn.Module)
# Candidates for the range of least mean square error, as parts of the largest magnitude.
_CANDIDATES = torch.linspace(0.05, 1.0, 96)


def make_twin(
    build: Callable[[Layers], Network],
    trained: nn.Module,
    policy: QuantPolicy,
    batches: Iterable[Tensor | tuple[Tensor, ...]],
) -> Network:
    """The quantized twin of a trained network, ready for fine-tuning and already usable.

    Args:
        build: makes the network of given layers; called once with `QuantLayers`.
        trained: what `build` made of `FloatLayers`, trained.
        policy: bits and scales.
        batches: inputs of the network (a tuple where it takes several), to find ranges with.

    Returns:
        in evaluation mode.

    Raises:
        UsageError: a rule of the policy matches nothing, the networks differ, or there are no batches.
    """
    twin = build(QuantLayers())
    configure(twin, policy)
    transfer_weights(trained, twin)
    calibrate(twin, policy, batches)
    return twin


def fold_normalization(layer: nn.Module) -> tuple[Tensor, Tensor | None]:
    """Weight and bias, float32, of a layer with its batch normalization (in evaluation) folded in, in float64."""
    if not isinstance(layer, NormalizedConv):
        return layer.weight.detach(), None if layer.bias is None else layer.bias.detach()
    conv, norm = layer.conv, layer.norm
    factor = norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()
    axis = 1 if isinstance(conv, (nn.ConvTranspose1d, nn.ConvTranspose2d)) else 0
    shape = [len(factor) if i == axis else 1 for i in range(conv.weight.dim())]
    weight = conv.weight.double() * factor.reshape(shape)
    bias = norm.bias.double() - norm.running_mean.double() * factor
    return weight.detach().float(), bias.detach().float()


@torch.no_grad()
def transfer_weights(trained: nn.Module, twin: nn.Module) -> None:
    """Copy all weights of a float network into its twin.

    What is not made of `Layers` has to be the same module in both, and is copied by name.

    Raises:
        UsageError: a layer of one is missing in the other, or has another shape.
    """
    sources, moved = dict(trained.named_modules()), []
    for name, module in quantized_modules(twin):
        if isinstance(module, QuantWeighted):
            if name not in sources:
                raise UsageError(f"layer '{name}' of the twin", expected="a layer of that name in the float network")
            weight, bias = fold_normalization(sources[name])
            _copy(f"{name}.weight", weight, module.layer.weight)
            if bias is not None:
                _copy(f"{name}.bias", bias, module.layer.bias)
            moved.append(name + ".")
    targets = dict(twin.named_parameters()) | dict(twin.named_buffers())
    for name, value in trained.state_dict().items():
        if name.startswith(tuple(moved)):
            continue
        if name not in targets:
            raise UsageError(f"'{name}' of the float network", expected="a weight of that name in the twin")
        _copy(name, value, targets[name])


def _copy(name: str, source: Tensor, target: Tensor) -> None:
    if source.shape != target.shape:
        raise UsageError(f"'{name}' has shape {tuple(source.shape)}", expected=f"{tuple(target.shape)}, as in the twin")
    target.copy_(source)


def observe(twin: nn.Module, observing: bool) -> None:
    """Let a twin compute in float and remember what its quantizers see, or quantize."""
    for module in twin.modules():
        if isinstance(module, (QuantWeighted, QuantActivation, QuantInterpolation, QuantScan)):
            module.observing = observing


@torch.no_grad()
def calibrate(twin: nn.Module, policy: QuantPolicy, batches: Iterable[Tensor | tuple[Tensor, ...]]) -> None:
    """Choose every scale of a twin: of activations by the policy's calibration over `batches`, of weights by error.

    Raises:
        UsageError: there are no batches, or a quantizer saw nothing.
    """
    observe(twin, True)
    twin.eval()
    for batch in batches:
        twin(*batch) if isinstance(batch, tuple) else twin(batch)
    for name, module in quantized_modules(twin):
        if isinstance(module, QuantWeighted):
            _calibrate_weights(module)
        elif not module.seen:
            raise UsageError(f"calibration: no value came to '{name}'", expected="at least one batch that reaches it")
        else:
            seen = torch.cat(module.seen)
            module.seen.clear()
            module.scale_quantizer.set_top(_top(seen, module, policy))
    observe(twin, False)


def _calibrate_weights(module: QuantWeighted) -> None:
    """The range of least mean square error for each channel; 8 bits hold the largest weight."""
    quantizer, weight = module.weight_quantizer, module.layer.weight
    if not quantizer.log2_scale.dim():
        rows = weight.reshape(1, -1)
    else:
        rows = weight.movedim(module.output_axis, 0).flatten(1)
    largest = rows.abs().amax(1)
    if quantizer.high < 127:
        largest = least_error_top(rows, largest, quantizer)
    quantizer.set_top(largest.reshape(quantizer.log2_scale.shape))


def _top(seen: Tensor, module: QuantActivation, policy: QuantPolicy) -> Tensor:
    """The magnitude that the largest integer of an activation stands for."""
    magnitudes = seen.abs() if module.signed else seen.clamp_min(0)
    largest = magnitudes.max()
    if policy.calibration == "minmax":
        return largest
    if policy.calibration == "mse":
        return least_error_top(seen[None], largest[None], module.scale_quantizer)[0]
    place = min(len(seen) - 1, int(policy.percentile / 100 * len(seen)))
    top = magnitudes.kthvalue(place + 1).values
    # Nearly all values may be 0, and the few others are then what the tensor is about.
    return torch.where(top > 0, top, largest)


def least_error_top(rows: Tensor, largest: Tensor, quantizer: LearnedScale) -> Tensor:
    """For each row the magnitude of the largest integer with which rounding and clipping err least (mean square)."""
    best, least = largest.clone(), torch.full_like(largest, torch.inf)
    for part in _CANDIDATES:
        top = (largest * part).clamp_min(1e-10)
        scale = top / quantizer.high
        if quantizer.power_of_two:
            scale = torch.exp2(torch.log2(scale).ceil())
        steps = (rows / scale[:, None]).round_().clamp_(quantizer.low, quantizer.high)
        error = (steps * scale[:, None] - rows).square().sum(1)
        best, least = torch.where(error < least, top, best), torch.minimum(error, least)
    return best

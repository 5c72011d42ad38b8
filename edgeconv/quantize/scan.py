"""The selective scan in torch: in float, and in the integers of docs/arithmetic.md, with one backward pass for both.

Everything that has no time in it is computed for all times at once; the recurrence then costs one fused operation a
step, forward and backward, on tensors whose leading axis is time. That is fast on a CPU, where a parallel scan would do
twice the work, and needs no graph of a thousand steps.

Shapes: x, delta (samples, channels, length); b, c (samples, states, length); a (channels, states).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from edgeconv.ir.operators.scan import LOW_BITS, REACH_BITS, TABLE_BITS, decay_tables

__all__ = ["ScanConstants", "integer_scan", "scan", "straight_through_scan"]


@dataclass(frozen=True)
class ScanConstants:
    """The constants of an integer selective scan, as the operator `selective_scan` has them.

    Attributes:
        steps: int32 (1 or channels, 256), the step size of each integer dt, from -128 on.
        a: int32 (channels, states).
        skip, decay_shift, input_shift: int32 (channels,).
        state_step: what one unit of a channel's state means, float64 (channels,).
        sum_step: what one unit of a channel's sums means, float32 (channels,).
    """

    steps: Tensor
    a: Tensor
    skip: Tensor
    decay_shift: Tensor
    input_shift: Tensor
    state_step: Tensor
    sum_step: Tensor
    exp_bits: int
    state_bits: int

    def to(self, device: torch.device) -> ScanConstants:
        """The same on another device."""
        tensors = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **tensors)


def scan(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_n c·h of the scan in the precision of its operands, and the largest |h| of each channel (no gradient)."""
    return _Scan.apply(x, delta, a, b, c)  # type: ignore[no-any-return]


def straight_through_scan(
    operands: tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor], integers: tuple[Tensor, Tensor, Tensor, Tensor],
    constants: ScanConstants,
) -> Tensor:  # fmt: skip
    """What the integer scan gives, in real units, with the gradient of the real scan.

    Args:
        operands: x, delta, a, b, c and skip (channels,) as real numbers, which get the gradient.
        integers: x, dt, b, c as whole numbers.
    """
    return _StraightThrough.apply(*operands, *integers, constants)  # type: ignore[no-any-return]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        delta_t, c_t = _time_first(delta), _time_first(c)
        decay = torch.exp_(delta_t[..., None] * -a)
        states = _time_first(delta * x)[..., None] * _time_first(b)[:, :, None]
        for t in range(1, len(states)):
            states[t].addcmul_(decay[t], states[t - 1])
        ctx.save_for_backward(x, delta, a, b, c, decay, states)
        peak = torch.maximum(states.amax((0, 1, 3)), -states.amin((0, 1, 3)))
        ctx.mark_non_differentiable(peak)
        return _time_last(torch.einsum("tsdn,tsn->tsd", states, c_t)), peak

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, ...]:
        return _gradients(gradient, *ctx.saved_tensors)


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        *operands, x, dt, b, c, constants = arguments
        sums, decay, states = _integer_states(x, dt, b, c, constants)
        kind = operands[0].dtype
        real_decay = decay.to(kind).mul_(2.0**-constants.exp_bits)
        real_states = states.to(kind).mul_(constants.state_step.to(kind)[:, None])
        ctx.save_for_backward(*operands, real_decay, real_states)
        whole = sums + constants.skip[:, None] * x.to(torch.int32)
        return whole.to(kind) * constants.sum_step[:, None]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, delta, a, b, c, skip, decay, states = ctx.saved_tensors
        to_x, *others = _gradients(gradient, x, delta, a, b, c, decay, states)
        to_skip = (gradient * x).sum((0, 2))
        return (to_x + skip[:, None] * gradient, *others, to_skip, *(None,) * 5)


def _gradients(
    gradient: Tensor, x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor, decay: Tensor, states: Tensor
) -> tuple[Tensor, ...]:
    """Gradients of x, delta, a, b and c: the recurrence of the adjoint runs backward in time."""
    outer = _time_first(gradient)
    adjoint = outer[..., None] * _time_first(c)[:, :, None]
    for t in range(len(adjoint) - 2, -1, -1):
        adjoint[t].addcmul_(decay[t + 1], adjoint[t + 1])
    x_t, delta_t, b_t = _time_first(x), _time_first(delta), _time_first(b)
    to_c = torch.einsum("tsd,tsdn->tsn", outer, states)
    driven = torch.einsum("tsdn,tsn->tsd", adjoint, b_t)
    to_b = torch.einsum("tsdn,tsd->tsn", adjoint, delta_t * x_t)
    # The gradient of the exponent -delta·a: adjoint·decay·(state before).
    exponent = adjoint.mul_(decay)
    exponent[1:].mul_(states[:-1])
    exponent[0] = 0
    to_delta = driven * x_t - torch.einsum("tsdn,dn->tsd", exponent, a)
    to_a = -torch.einsum("tsdn,tsd->dn", exponent, delta_t)
    return _time_last(driven * delta_t), _time_last(to_delta), to_a, _time_last(to_b), _time_last(to_c)


def _time_first(tensor: Tensor) -> Tensor:
    return tensor.permute(2, 0, 1).contiguous()


def _time_last(tensor: Tensor) -> Tensor:
    return tensor.permute(1, 2, 0)


@torch.no_grad()
def integer_scan(x: Tensor, dt: Tensor, b: Tensor, c: Tensor, constants: ScanConstants) -> Tensor:
    """The exact sums y of the operator `table` and `selective_scan`, int32 (samples, channels, length).

    Args:
        x, dt, b, c: whole numbers of int8, of any dtype.
    """
    sums, _, _ = _integer_states(x, dt, b, c, constants)
    return sums + constants.skip[:, None] * x.to(torch.int32)


def _integer_states(
    x: Tensor, dt: Tensor, b: Tensor, c: Tensor, constants: ScanConstants
) -> tuple[Tensor, Tensor, Tensor]:
    """Sums without skip, and decay and states (length, samples, channels, states), all int32."""
    x, dt, b, c = (_time_first(operand).to(torch.int32) for operand in (x, dt, b, c))
    channels = torch.arange(x.shape[2], device=x.device) % len(constants.steps)
    delta = constants.steps[channels, dt.long() + 128]
    decay = _decays(delta[..., None] * constants.a, constants.decay_shift[:, None], constants.exp_bits)
    states = _shifted((delta * x)[..., None] * b[:, :, None], constants.input_shift[:, None])
    half = 1 << (constants.state_bits - 1)
    exp_bits = torch.tensor(constants.exp_bits, dtype=torch.int32, device=x.device)
    states[0].clamp_(-half, half - 1)
    for t in range(1, len(states)):
        states[t].add_(_shifted(decay[t] * states[t - 1], exp_bits)).clamp_(-half, half - 1)
    sums = (states * c[:, :, None]).sum(3, dtype=torch.int32)
    return _time_last(sums), decay, states


def _decays(exponents: Tensor, shifts: Tensor, exp_bits: int) -> Tensor:
    kind = {"dtype": torch.int32, "device": shifts.device}
    high, low = (torch.tensor(table, **kind) for table in decay_tables(exp_bits))
    bits, rest_bits = torch.tensor(exp_bits, **kind), exp_bits - LOW_BITS
    v = _shifted(exponents, shifts).clamp_(max=(1 << (exp_bits + REACH_BITS)) - 1)
    index = v >> rest_bits
    coarse = _shifted(high[index >> TABLE_BITS] * low[index & ((1 << TABLE_BITS) - 1)], bits)
    return _shifted(coarse * ((1 << exp_bits) - (v & ((1 << rest_bits) - 1))), bits)


def _shifted(value: Tensor, shift: Tensor) -> Tensor:
    """value / 2^shift, rounded half to even."""
    half = (torch.ones_like(shift) << (shift - 1)) - 1
    return ((value >> shift) & 1).add_(value).add_(half) >> shift

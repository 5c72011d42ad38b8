"""The quantized twin of the selective scan, which computes the integers of docs/arithmetic.md."""

from __future__ import annotations

import numpy as np
import torch
from brevitas.quant_tensor import IntQuantTensor
from numpy.typing import NDArray
from torch import Tensor

from edgeconv.errors import QuantizationError
from edgeconv.ir.operators.scan import MOST_EXP_BITS, MOST_SHIFT, MOST_STATE_BITS
from edgeconv.quantize.scan import ScanConstants, integer_scan, scan, straight_through_scan
from edgeconv.quantize.scan_export import exported_scan
from edgeconv.quantize.scan_layer import ScanParameters

__all__ = ["QuantScan"]

_LARGEST_A, _LARGEST_STEP = 255, 65535
# Room above the largest state that was seen, and how much of a peak is left after each batch of training.
_MARGIN, _KEPT = 1.05, 0.995


class QuantScan(ScanParameters):
    """The integer scan of four quantized tensors of at most 8 bits; gives the exact sums, as a convolution does.

    In evaluation it computes the integers exactly. In training it is the real scan of the quantized operands and of the
    quantized a, which is several times as fast, or the integers with a straight-through gradient.

    Attributes:
        integers_in_training: which of the two.
        peak: the largest state of each channel that was seen, which sets the units of the states.
    """

    peak: Tensor

    def __init__(
        self, channels: int, states: int, *, exp_bits: int = MOST_EXP_BITS, state_bits: int = MOST_STATE_BITS
    ) -> None:
        super().__init__(channels, states)
        self.exp_bits, self.state_bits = exp_bits, state_bits
        self.observing, self.integers_in_training = True, False
        self.register_buffer("peak", torch.zeros(channels))

    def forward(
        self, x: Tensor | IntQuantTensor, dt: Tensor | IntQuantTensor, b: Tensor | IntQuantTensor,
        c: Tensor | IntQuantTensor,
    ) -> Tensor:  # fmt: skip
        if self.observing:
            xv, dtv, bv, cv = (each.value if isinstance(each, IntQuantTensor) else each for each in (x, dt, b, c))
            return self._real(xv, dtv, bv, cv, torch.exp(self.a_log))
        operands = [_checked(name, each) for name, each in (("x", x), ("dt", dt), ("b", b), ("c", c))]
        values = [each.value for each in operands]
        scales = [float(each.scale.detach()) for each in operands]
        constants = self.constants(*scales).to(values[0].device)
        if torch.onnx.is_in_onnx_export():
            return exported_scan(values, scales, constants)
        integers = [torch.round(value.detach() / each.scale) for value, each in zip(values, operands, strict=True)]
        if not (self.training and torch.is_grad_enabled()):
            return integer_scan(*integers, constants).to(torch.float32) * constants.sum_step[:, None]
        xv, dtv, bv, cv = values
        a = self._rounded_a(constants)
        if not self.integers_in_training:
            return self._real(xv, dtv, bv, cv, a)
        with torch.no_grad():
            self._remember(scan(xv, self.step_size(dtv), a, bv, cv)[1])
        reals = (xv, self.step_size(dtv), a, bv, cv, self.skip)
        return straight_through_scan(reals, tuple(integers), constants)  # type: ignore[arg-type]

    def _real(self, x: Tensor, dt: Tensor, b: Tensor, c: Tensor, a: Tensor) -> Tensor:
        sums, peak = scan(x, self.step_size(dt), a, b, c)
        self._remember(peak)
        return sums + self.skip[:, None] * x

    @torch.no_grad()
    def _remember(self, peak: Tensor) -> None:
        kept = self.peak if self.observing else self.peak * _KEPT
        self.peak.copy_(torch.maximum(kept, peak))

    def _rounded_a(self, constants: ScanConstants) -> Tensor:
        """a on its grid, the gradient passed straight through."""
        a = torch.exp(self.a_log)
        grid = constants.a.to(a.dtype) * torch.exp2(-self.a_exponent().to(a))[:, None]
        return a + (grid - a).detach()

    def a_exponent(self) -> Tensor:
        """e of each channel: a is an integer times 2^-e."""
        return torch.from_numpy(_exponents(_LARGEST_A, np.exp(_numbers(self.a_log)).max(1)).clip(0, MOST_SHIFT))

    def constants(self, x: float, dt: float, b: float, c: float) -> ScanConstants:
        """The constants of the operator for operands of these scales (docs/arithmetic.md, "What it means")."""
        half = 1 << (self.state_bits - 1)
        real_a, exponent = np.exp(_numbers(self.a_log)), self.a_exponent().numpy()
        levels = np.arange(-128, 128) * dt + _numbers(self.dt_bias)[:, None]
        steps = np.logaddexp(0, levels)
        # The exponent is in units of 2^-exp_bits after a shift of at least 1.
        least = self.exp_bits + 1 - exponent
        step_exponent = np.clip(_exponents(_LARGEST_STEP, steps.max(1)), least, least + MOST_SHIFT - 1)
        product_step = np.ldexp(x * b, -step_exponent)
        room = ((1 << 30) - 128 * half * real_a.shape[1]) // 256  # sums stay in 32 bits
        skip = _numbers(self.skip) * x / c
        # The state holds its peak, and the skipped input fits beside the states.
        wanted = np.maximum(_numbers(self.peak) * _MARGIN / (half - 1), np.abs(skip) / (room - 1))
        shift = np.clip(-_exponents(1.0, np.maximum(wanted, 1e-30) / product_step), 1, MOST_SHIFT)
        state_step = np.ldexp(product_step, shift)
        return ScanConstants(
            steps=_int32(np.clip(np.rint(np.ldexp(steps, step_exponent[:, None])), 0, _LARGEST_STEP)),
            a=_int32(np.clip(np.rint(np.ldexp(real_a, exponent[:, None])), 0, _LARGEST_A)),
            skip=_int32(np.rint(skip / state_step)),
            decay_shift=_int32(step_exponent + exponent - self.exp_bits),
            input_shift=_int32(shift),
            state_step=torch.from_numpy(state_step),
            sum_step=torch.from_numpy((state_step * c).astype(np.float32)),
            exp_bits=self.exp_bits,
            state_bits=self.state_bits,
        )


def _numbers(tensor: Tensor) -> NDArray[np.float64]:
    """Parameters as numbers: constants of an export, not part of its graph."""
    return tensor.detach().cpu().double().numpy()


def _exponents(largest: float, values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The largest e for each value with value·2^e <= largest."""
    return np.floor(np.log2(largest / values)).astype(np.int64)


def _int32(values: NDArray[np.generic]) -> Tensor:
    return torch.from_numpy(values.astype(np.int32))


def _checked(name: str, operand: Tensor | IntQuantTensor) -> IntQuantTensor:
    problem = None
    if not isinstance(operand, IntQuantTensor):
        problem = "a value that no quantizer covers"
    elif float(operand.bit_width) > 8 or not operand.signed:
        problem = f"{'signed' if operand.signed else 'unsigned'} integers of {int(operand.bit_width)} bits"
    if problem is not None:
        raise QuantizationError(
            f"selective scan: {name} is {problem}",
            expected="signed integers of at most 8 bits",
            advice="put layers.requantize(signed=True) before it, and give it at most 8 bits in the policy",
        )
    return operand

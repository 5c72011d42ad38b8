"""The selective scan in torch: its gradient, its integers against the reference, its accuracy, its export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brevitas")

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeconv import reference
from edgeconv.errors import QuantizationError
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.ir import Constant, Program, TensorType, dtype
from edgeconv.ir import operators as ops
from edgeconv.quantize import LayerRule, QuantPolicy, export_float, export_qcdq, export_qonnx
from edgeconv.quantize.convert import make_twin, observe
from edgeconv.quantize.grid import integers
from edgeconv.quantize.layers import FloatLayers, Layers
from edgeconv.quantize.scan import ScanConstants, integer_scan, scan
from edgeconv.quantize.scan_layer import FloatScan
from edgeconv.quantize.scan_twin import QuantScan
from tests.importer.models import run_onnxruntime

pytestmark = pytest.mark.needs_torch
NAMES = {"input_name": "x", "output_name": "y"}


def _operands(samples: int, channels: int, states: int, length: int, kind: torch.dtype) -> list[Tensor]:
    """x, delta, a, b and c that keep a memory of some steps."""
    torch.manual_seed(0)
    x, b, c = (torch.randn(samples, rows, length, dtype=kind) for rows in (channels, states, states))
    delta = torch.rand(samples, channels, length, dtype=kind) / 4
    a = 3 * torch.rand(channels, states, dtype=kind)
    return [tensor.requires_grad_() for tensor in (x, delta, a, b, c)]


def _step_by_step(x: Tensor, delta: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    state, sums = torch.zeros(x.shape[0], *a.shape, dtype=x.dtype), []
    for t in range(x.shape[2]):
        driven = (delta * x)[:, :, t, None] * b[:, None, :, t]
        state = torch.exp(-delta[:, :, t, None] * a) * state + driven
        sums.append((state * c[:, None, :, t]).sum(2))
    return torch.stack(sums, 2)


def test_value_and_gradient_are_those_of_the_recurrence() -> None:
    operands = _operands(2, 3, 4, 7, torch.float64)
    expected, (found, peak) = _step_by_step(*operands), scan(*operands)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(expected)
    for mine, other in zip(
        torch.autograd.grad(found, operands, weights), torch.autograd.grad(expected, operands, weights), strict=True
    ):
        torch.testing.assert_close(mine, other, rtol=1e-10, atol=1e-10)
    assert peak.shape == (3,)
    assert not peak.requires_grad


def _layer(channels: int, states: int) -> QuantScan:
    torch.manual_seed(1)
    layer = QuantScan(channels, states)
    layer.observing = False
    return layer


def _quantized(rng: np.random.Generator, samples: int, channels: int, states: int, length: int) -> list[Tensor]:
    """x, dt, b, c as whole numbers of int8."""
    arrays = (
        np.clip(np.rint(rng.normal(0, 40, (samples, rows, length))), -128, 127)
        for rows in (channels, channels, states, states)
    )
    return [torch.tensor(array, dtype=torch.float32) for array in arrays]


SCALES = (0.03, 1 / 32, 0.021, 1 / 64)


def _observed(layer: QuantScan, operands: list[Tensor]) -> Tensor:
    """The real scan of these operands, after which the layer knows how far its states go."""
    layer.observing = True
    with torch.no_grad():
        real = layer(*(operand * scale for operand, scale in zip(operands, SCALES, strict=True)))
    layer.observing = False
    return real


def _program(constants: ScanConstants, channels: int, states: int, length: int) -> Program:
    rows = {"x": channels, "dt": channels, "b": states, "c": states}
    inputs = {name: TensorType((1, count, length), dtype("i8")) for name, count in rows.items()}
    arrays = {"a": ("u8", constants.a), "skip": ("i24", constants.skip), "steps": ("u16", constants.steps)}
    table = ops.Table("delta", "dt", "steps")
    operator = ops.SelectiveScan(
        "y", "x", "delta", "a", "b", "c", "skip", tuple(constants.decay_shift.tolist()),
        tuple(constants.input_shift.tolist()), constants.exp_bits, constants.state_bits,
    )  # fmt: skip
    fixed = {name: Constant(dtype(kind), tensor.numpy()) for name, (kind, tensor) in arrays.items()}
    return Program(inputs, ("y",), (table, operator), fixed)


@pytest.mark.parametrize(("exp_bits", "state_bits"), [(15, 16), (12, 13)])
def test_the_integers_are_those_of_the_operator(exp_bits: int, state_bits: int) -> None:
    channels, states, length = 5, 4, 30
    layer = _layer(channels, states)
    layer.exp_bits, layer.state_bits = exp_bits, state_bits
    operands = _quantized(np.random.default_rng(3), 4, channels, states, length)
    _observed(layer, operands)
    layer.peak.mul_(0.3)  # so that some states meet their ends
    constants = layer.constants(*SCALES)
    found = integer_scan(*operands, constants)
    arrays = {
        name: each.numpy().astype(np.int8)[:, None] for name, each in zip(("x", "dt", "b", "c"), operands, strict=True)
    }
    expected = reference.run(_program(constants, channels, states, length), arrays)["y"][:, 0]
    assert np.array_equal(found.numpy(), expected)


def _decibels(exact: Tensor, found: Tensor) -> float:
    return float(10 * torch.log10(exact.square().mean() / (exact - found).square().mean()))


@pytest.mark.parametrize("slow_waves", [False, True], ids=["noise", "slow waves"])
def test_integers_are_within_55_decibels_of_the_real_scan(slow_waves: bool) -> None:
    channels, states, length = 64, 16, 1024
    rng = np.random.default_rng(5)
    operands = _quantized(rng, 1, channels, states, length)
    if slow_waves:
        phase = torch.arange(length) * 0.03
        waves = [70 * torch.sin(phase * (1 + 0.1 * row)) for row in range(channels)]
        operands = [
            torch.round(torch.stack(waves[: each.shape[1]])[None] + each / 4).clamp(-128, 127) for each in operands
        ]
    layer = _layer(channels, states)
    constants = layer.constants(*SCALES)
    with torch.no_grad():  # a is a constant operand, on its grid in both
        layer.a_log.copy_(torch.log(constants.a * torch.exp2(-layer.a_exponent().double())[:, None]))
    real = _observed(layer, operands)
    constants = layer.constants(*SCALES)
    found = integer_scan(*operands, constants) * constants.sum_step[:, None].double()
    skipped = operands[0] * SCALES[0]
    assert _decibels(real, found) >= 55
    assert _decibels(real - skipped, found - skipped) >= 55  # the states' part alone


def test_training_on_integers_has_the_gradient_of_the_real_scan() -> None:
    channels, states, length = 6, 4, 40
    layer = _layer(channels, states)
    operands = _quantized(np.random.default_rng(7), 3, channels, states, length)
    _observed(layer, operands)
    values = [(each * scale).requires_grad_() for each, scale in zip(operands, SCALES, strict=True)]
    carried = [
        integers(value, torch.tensor(scale), bits=8, training=True) for value, scale in zip(values, SCALES, strict=True)
    ]
    layer.train()
    weights, gradients, outputs = torch.randn(3, channels, length), [], []
    for exact in (True, False):
        layer.integers_in_training = exact
        y = layer(*carried)
        wanted = [*values, *layer.parameters()]
        gradients.append(torch.autograd.grad(y, wanted, weights))
        outputs.append(y.detach())
    layer.eval()
    with torch.no_grad():
        evaluated = layer(*carried)
    layer.train()
    constants = layer.constants(*(float(torch.tensor(scale)) for scale in SCALES))
    assert torch.equal(evaluated, integer_scan(*operands, constants).float() * constants.sum_step[:, None])
    assert _decibels(outputs[1], outputs[0]) > 45
    for mine, other in zip(*gradients, strict=True):
        assert _decibels(other, mine) > 30


def test_a_batch_of_a_thousand_steps_is_differentiated_in_seconds() -> None:
    import time

    operands = _operands(4, 64, 16, 1000, torch.float32)
    start = time.process_time()
    scan(*operands)[0].sum().backward()
    assert time.process_time() - start < 5


class Block(nn.Module):
    """A scan between convolutions, flipped, behind causal padding."""

    shape = (3, 24)

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.input, self.pad, self.flip = layers.input_quantizer(signed=True), layers.pad1d(2, 0), layers.flip(2)
        self.conv, self.silu = layers.conv1d(3, 8, 3), layers.silu()
        self.dt, self.round_dt = layers.conv1d(8, 8, 1, normalized=False), layers.requantize()
        self.b, self.round_b = layers.conv1d(8, 4, 1, normalized=False), layers.requantize()
        self.c, self.round_c = layers.conv1d(8, 4, 1, normalized=False), layers.requantize()
        self.scan, self.round = layers.selective_scan(8, 4), layers.requantize()
        self.head = layers.conv1d(8, 2, 1, normalized=False)

    def forward(self, x: Tensor) -> Tensor:
        u = self.silu(self.conv(self.pad(self.flip(self.input(x)))))
        dt, b, c = self.round_dt(self.dt(u)), self.round_b(self.b(u)), self.round_c(self.c(u))
        y: Tensor = self.head(self.flip(self.round(self.scan(u, dt, b, c))))
        return y


def _block() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(2)
    return Block(FloatLayers()).eval(), torch.randn(6, *Block.shape)


def test_without_rounding_the_twin_is_the_float_network() -> None:
    network, x = _block()
    twin = make_twin(Block, network, QuantPolicy(), [x])
    observe(twin, True)
    with torch.no_grad():
        torch.testing.assert_close(twin(x), network(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dialect", [export_qcdq, export_qonnx], ids=["qcdq", "qonnx"])
def test_torch_onnxruntime_and_the_program_agree_in_every_bit(dialect: object, tmp_path: Path) -> None:
    network, x = _block()
    twin = make_twin(Block, network, QuantPolicy(scales="power-of-two"), [x])
    path = dialect(twin, x[:1], tmp_path / "block.onnx", **NAMES)  # type: ignore[operator]
    program = lower(read_onnx(path))
    assert sum(operator.keyword == "selective_scan" for operator in program.operators) == 1
    expected = reference.run(program, {"x": x.numpy()[:, None]})["y"][:, 0]
    with torch.no_grad():
        assert np.array_equal(twin(x).numpy(), expected)
    if dialect is export_qcdq:
        import onnx

        assert np.array_equal(run_onnxruntime(onnx.load(path), {"x": x.numpy()})[0], expected)


def test_the_float_network_exports_to_a_function_that_onnxruntime_runs(tmp_path: Path) -> None:
    import onnx

    network, x = _block()
    path = export_float(network, x[:1], tmp_path / "block.onnx", **NAMES)
    with torch.no_grad():
        expected = network(x).numpy()
    (found,) = run_onnxruntime(onnx.load(path), {"x": x.numpy()})
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_wide_operands_and_real_ones_are_refused() -> None:
    network, x = _block()
    policy = QuantPolicy(rules=(LayerRule("round_b", activation_bits=16),))
    with pytest.raises(QuantizationError, match="selective scan: b is signed integers of 16 bits"):
        make_twin(Block, network, policy, [x])(x)
    layer = _layer(2, 2)
    with pytest.raises(QuantizationError, match="selective scan: x is a value that no quantizer covers"):
        layer(*(torch.zeros(1, 2, 3),) * 4)


def test_a_layer_starts_with_the_steps_of_a_mamba_block() -> None:
    torch.manual_seed(0)
    layer = FloatScan(500, 3)
    steps = F.softplus(layer.dt_bias.detach())
    assert 1e-3 < float(steps.min()) < 1.2e-3
    assert 0.09 < float(steps.max()) < 0.1
    assert torch.exp(layer.a_log)[7].tolist() == pytest.approx([1, 2, 3])

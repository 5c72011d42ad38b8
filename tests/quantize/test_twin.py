"""A twin is its float network where nothing rounds, the same program in both dialects, and learns its scales."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("brevitas")

import torch
from torch import Tensor, nn

from edgeconv.errors import QuantizationError, UsageError
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.quantize import IntegerInput, LayerRule, QuantPolicy, export_qcdq, export_qonnx
from edgeconv.quantize.convert import least_error_top, make_twin, observe
from edgeconv.quantize.layers import FloatLayers, Layers
from edgeconv.quantize.twin import QuantLayers, configure, quantized_modules
from edgeconv.reference import run

pytestmark = pytest.mark.needs_torch
NAMES = {"input_name": "x", "output_name": "y"}


class Plane(nn.Module):
    """Every 2-D block once."""

    shape = (3, 8, 8)

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.input = layers.input_quantizer(signed=True)
        self.stem, self.stem_relu = layers.conv2d(3, 8, 3, padding=1), layers.relu()
        self.pool = layers.max_pool2d(2)
        self.depthwise = layers.conv2d(8, 8, (3, 1), padding=(1, 0), groups=8, normalized=False)
        self.round, self.pointwise, self.sum = layers.requantize(), layers.conv2d(8, 8, 1), layers.add_relu()
        self.up, self.grow = layers.upsample2d(), layers.conv_transpose2d(8, 8, 2, stride=2)
        self.silu, self.concat = layers.silu(), layers.concat()
        self.gate, self.sigmoid, self.product = layers.conv2d(16, 8, 1), layers.sigmoid(), layers.multiply()
        self.larger, self.smooth = layers.interpolate2d(), layers.requantize()
        self.average, self.mean = layers.avg_pool2d(2, signed=True), layers.mean(2, 3, signed=True)
        self.head = layers.linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.stem_relu(self.stem(self.input(x))))
        x = self.sum(self.pointwise(self.round(self.depthwise(x))), x)
        big, grown = self.up(x), self.silu(self.grow(x))
        gate = self.sigmoid(self.gate(self.concat(big, grown)))
        y: Tensor = self.head(self.mean(self.smooth(self.larger(self.average(self.product(gate, big))))).flatten(1))
        return y


class Line(nn.Module):
    """Every 1-D block once, behind integers of scale 1/16."""

    shape = (2, 16)

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.input = layers.input_quantizer(IntegerInput(np.dtype(np.int16), 0.0625, 0))
        self.conv, self.relu = layers.conv1d(2, 6, 5, padding=4, dilation=2), layers.relu()
        self.pool = layers.max_pool1d(2)
        self.grow, self.grow_relu = layers.conv_transpose1d(6, 4, 4, stride=2, padding=1), layers.relu()
        self.up, self.add, self.mix = layers.upsample1d(), layers.add(), layers.conv1d(4, 4, 3, padding=1)
        self.head = layers.conv1d(4, 1, 3, padding=1, normalized=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.grow_relu(self.grow(self.pool(self.relu(self.conv(self.input(x))))))
        y: Tensor = self.head(self.up(self.add(self.mix(x), x)))
        return y


def inputs(kind: type[nn.Module], count: int = 32) -> Tensor:
    torch.manual_seed(1)
    x = torch.randn(count, *kind.shape)
    return (x * 16).round() / 16 if kind is Line else x


def trained(kind: type[nn.Module]) -> nn.Module:
    """A network whose normalizations are far from the identity."""
    torch.manual_seed(0)
    network = kind(FloatLayers()).train()
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    for _ in range(3):
        network(inputs(kind))
    return network.eval()


@pytest.mark.parametrize("kind", [Plane, Line])
def test_without_rounding_the_twin_is_the_float_network(kind: type[nn.Module]) -> None:
    network, x = trained(kind), inputs(kind)
    twin = make_twin(kind, network, QuantPolicy(), [x])
    observe(twin, True)
    with torch.no_grad():
        torch.testing.assert_close(twin(x), network(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", [Plane, Line])
def test_more_bits_come_closer_to_the_float_network(kind: type[nn.Module]) -> None:
    network, x = trained(kind), inputs(kind)
    errors = []
    for weights, activations in ((3, 3), (5, 5), (8, 8), (8, 16)):
        twin = make_twin(kind, network, QuantPolicy(weights, activations, calibration="minmax"), [x])
        with torch.no_grad():
            errors.append(float((twin(x) - network(x)).std() / network(x).std()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.02 < 0.1 < errors[0]


@pytest.mark.parametrize("kind", [Plane, Line])
@pytest.mark.parametrize("dialect", [export_qcdq, export_qonnx], ids=["qcdq", "qonnx"])
@pytest.mark.parametrize(
    "policy",
    [
        QuantPolicy(scales="power-of-two"),
        QuantPolicy(4, 5, per_channel=False, calibration="mse", rules=(LayerRule("head", weight_bits=8),)),
    ],
    ids=["power-of-two", "4-5-bits"],
)
def test_the_reference_computes_what_the_twin_computes(
    kind: type[nn.Module], dialect: Any, policy: QuantPolicy, tmp_path: Path
) -> None:
    x = inputs(kind)
    twin = make_twin(kind, trained(kind), policy, [x])
    meaning = IntegerInput(np.dtype(np.int16), 0.0625, 0) if kind is Line else None
    path = dialect(twin, torch.zeros(1, *kind.shape), tmp_path / "t.onnx", integers=meaning, **NAMES)
    fed = x.numpy() if meaning is None else (x * 16).numpy().astype(np.int16)
    found = run(lower(read_onnx(path)), {"x": fed[:, None]})["y"][:, 0]
    with torch.no_grad():
        expected = twin(x).numpy()
    # Float sums of the last layer; one step of a hidden activation would show as far more.
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    if policy.power_of_two and kind is Line:
        assert (found == expected).all()


def test_every_weight_and_every_scale_gets_a_gradient() -> None:
    twin, x = make_twin(Plane, trained(Plane), QuantPolicy(4, 4), [inputs(Plane)]), inputs(Plane)
    twin.train()(x).square().sum().backward()
    names = [name for name, parameter in twin.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    assert not names
    fixed = make_twin(Plane, trained(Plane), QuantPolicy(learn_scales=False), [x])
    assert not [name for name, p in fixed.named_parameters() if "log2_scale" in name and p.requires_grad]


def test_the_gradient_of_a_scale_is_that_of_its_loss() -> None:
    """A scale that is far too large or too small is driven back: compared with finite differences of the loss."""
    twin = make_twin(Line, trained(Line), QuantPolicy(8, 4), [inputs(Line)])
    scale = twin.relu.scale_quantizer.log2_scale
    target = torch.relu(torch.randn(2000) * 3)

    def loss() -> Tensor:
        return (twin.relu(target).value - target).square().mean()

    for shift in (-2.0, 2.0):
        with torch.no_grad():
            scale += shift
            before = loss()
            scale += 0.05 * -np.sign(shift)
            assert loss() < before
            scale -= 0.05 * -np.sign(shift)
        scale.grad = None
        loss().backward()
        assert np.sign(float(scale.grad)) == np.sign(shift)
        with torch.no_grad():
            scale -= shift


def test_relu_is_the_same_in_training_and_evaluation() -> None:
    twin = make_twin(Line, trained(Line), QuantPolicy(), [inputs(Line)])
    x = torch.randn(100)
    assert (twin.train().relu(x).value == twin.eval().relu(x).value).all()


def test_powers_of_two_are_powers_of_two() -> None:
    twin = make_twin(Plane, trained(Plane), QuantPolicy(scales="power-of-two"), [inputs(Plane)])
    for _, module in quantized_modules(twin):
        quantizer = getattr(module, "weight_quantizer", None) or module.scale_quantizer
        mantissa, _ = np.frexp(quantizer.scale.detach().numpy())
        assert (mantissa == 0.5).all()


def test_calibration_of_least_error_beats_the_largest_value_at_few_bits() -> None:
    torch.manual_seed(0)
    quantizer = make_twin(Line, trained(Line), QuantPolicy(3), [inputs(Line)]).conv.weight_quantizer
    rows = torch.randn(4, 300)
    largest = rows.abs().amax(1)

    def error(top: Tensor) -> Tensor:
        scale = top[:, None] / quantizer.high
        return ((rows / scale).round().clamp(quantizer.low, quantizer.high) * scale - rows).square().sum(1)

    assert (error(least_error_top(rows, largest, quantizer)) < 0.8 * error(largest)).all()


def test_sixteen_bits_leave_by_both_dialects_and_mean_the_same(tmp_path: Path) -> None:
    """Beside 8 bits, which stay what they are; the one of both that can be negative is signed."""
    twin = make_twin(Line, trained(Line), QuantPolicy(rules=(LayerRule("[ra]*", activation_bits=16),)), [inputs(Line)])
    meaning = IntegerInput(np.dtype(np.int16), 0.0625, 0)
    states = np.random.default_rng(0).integers(-40, 40, (8, 1, *Line.shape)).astype(np.int16)
    answers = []
    for export in (export_qcdq, export_qonnx):
        path = export(twin, torch.zeros(1, *Line.shape), tmp_path / "t.onnx", integers=meaning, **NAMES)
        program = lower(read_onnx(path))
        assert {"u16", "i16", "u8"} <= {str(tensor.dtype) for tensor in program.types.values()}
        answers.append(run(program, {"x": states})["y"])
    assert (answers[0] == answers[1]).all()
    assert answers[0].std() > 0


def test_mistakes_in_a_network_are_named() -> None:
    class Bare(nn.Module):
        def __init__(self, layers: Layers) -> None:
            super().__init__()
            self.one, self.two = layers.conv1d(2, 2, 1, normalized=False), layers.conv1d(2, 2, 1, normalized=False)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.two(self.one(x))
            return y

    with pytest.raises(QuantizationError, match="bilinear upsampling reads a value that no quantizer covers"):
        grow = QuantLayers().interpolate2d()
        observe(grow, False)
        grow(torch.zeros(1, 1, 2, 2))
    x = torch.randn(4, 2, 8)
    twin = make_twin(Bare, Bare(FloatLayers()), QuantPolicy(), [x])
    with pytest.raises(QuantizationError, match=r"'one' reads a value that no quantizer covers\n.*\n.*requantize\(\)"):
        twin(x)
    with pytest.raises(UsageError, match="calibration: no value came to"):
        make_twin(Line, trained(Line), QuantPolicy(), [])
    with pytest.raises(UsageError, match="layer 'conv' of the twin"):
        make_twin(Line, Bare(FloatLayers()), QuantPolicy(), [x])
    with pytest.raises(UsageError, match="the rule 'steem' matches no layer"):
        configure(Plane(QuantLayers()), QuantPolicy(rules=(LayerRule("steem", 4),)))

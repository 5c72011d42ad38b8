"""Whole ways: torch module → ONNX → onnxruntime.quantization or brevitas → artifact → verification."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeconv.api import compile_model, load
from edgeconv.verify import verify

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = [pytest.mark.slow, pytest.mark.needs_gcc, pytest.mark.needs_torch]


class Residual1d(nn.Module):
    """Strided residual blocks, global average pool, linear head: the shape of an ECG classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(3, 20, 9, 2, 4)
        self.c1, self.c2 = nn.Conv1d(20, 20, 7, 1, 3), nn.Conv1d(20, 20, 7, 1, 3)
        self.down, self.short = nn.Conv1d(20, 33, 5, 2, 2), nn.Conv1d(20, 33, 1, 2)
        self.head = nn.Linear(33, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(self.c2(torch.relu(self.c1(x))) + x)
        x = torch.relu(self.down(x) + self.short(x))
        return self.head(x.mean(2))


class Separable2d(nn.Module):
    """Depthwise separable encoder, nearest upsampling, skip connection, sigmoid: the shape of a depth network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 12, 3, 2, 1)
        self.depthwise, self.pointwise = nn.Conv2d(12, 12, 3, 2, 1, groups=12), nn.Conv2d(12, 12, 1)
        self.head = nn.Conv2d(12, 1, 3, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = torch.relu(self.stem(x))
        b = torch.relu(self.pointwise(torch.relu(self.depthwise(a))))
        up = nn.functional.interpolate(b, scale_factor=2.0, mode="nearest")
        return torch.sigmoid(self.head(up + a))


class Pooled2d(nn.Module):
    """Max and average pools, concatenation, LeakyReLU, dilation and unequal kernels."""

    def __init__(self) -> None:
        super().__init__()
        self.wide, self.tall = nn.Conv2d(2, 8, (1, 5), padding=(0, 2)), nn.Conv2d(2, 9, (5, 1), padding=(2, 0))
        self.mix = nn.Conv2d(17, 16, 3, dilation=2, padding=2)
        self.head = nn.Linear(16 * 3 * 3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([torch.relu(self.wide(x)), torch.relu(self.tall(x))], 1)
        x = nn.functional.max_pool2d(x, 2)
        x = nn.functional.leaky_relu(self.mix(x), 0.1)
        return self.head(nn.functional.avg_pool2d(x, 3, 2, 1).flatten(1))


class Attention(nn.Module):
    """A transformer block on embedded tokens: layer norms, self-attention of two heads, GELU, mean over the tokens."""

    def __init__(self, width: int = 16, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads
        self.embed, self.head = nn.Linear(9, width), nn.Linear(width, 4)
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(*x.shape[:2], self.heads, -1).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.embed(x)
        h = self.first(x)
        q, k, v = (self.split(linear(h)) for linear in (self.q, self.k, self.v))
        weights = torch.softmax(q @ k.transpose(2, 3) / q.shape[-1] ** 0.5, -1)
        x = x + self.out((weights @ v).transpose(1, 2).reshape(x.shape))
        x = x + self.down(nn.functional.gelu(self.up(self.second(x))))
        return self.head(x.mean(1))


MODELS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "residual": (Residual1d, (1, 3, 120)),
    "separable": (Separable2d, (1, 3, 16, 20)),
    "pooled": (Pooled2d, (1, 2, 12, 12)),
    "attention": (Attention, (1, 6, 9)),
}


def export(name: str, folder: Path) -> tuple[Path, np.ndarray]:
    """The float ONNX file of a model with random weights, and inputs for it."""
    make, shape = MODELS[name]
    torch.manual_seed(7)
    path = folder / f"{name}.onnx"
    module = make().eval()
    torch.onnx.export(
        module, (torch.zeros(shape),), path, input_names=["x"], output_names=["y"], opset_version=17, dynamo=False
    )
    return path, np.random.default_rng(3).standard_normal((48, *shape)).astype(np.float32)


def quantize(path: Path, data: np.ndarray, style: str) -> Path:
    """Static quantization by onnxruntime."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.samples = iter(data[:24])

        def get_next(self) -> dict[str, np.ndarray] | None:
            sample = next(self.samples, None)
            return None if sample is None else {"x": sample}

    prepared, quantized = path.with_suffix(".pre.onnx"), path.with_suffix(f".{style}.onnx")
    quant_pre_process(str(path), str(prepared))
    signed = style == "s8s8"
    quantize_static(
        str(prepared),
        str(quantized),
        Reader(),
        quant_format=QuantFormat.QOperator if style == "qoperator" else QuantFormat.QDQ,
        per_channel=style != "qoperator",
        activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        extra_options={"ActivationSymmetric": signed, "WeightSymmetric": True},
    )
    return quantized


@pytest.mark.parametrize(
    ("name", "style"),
    [
        (name, style)
        for name in MODELS
        for style in ("u8s8", "s8s8", "qoperator")
        if (name, style) != ("attention", "s8s8")
    ],
)
def test_onnxruntime_quantized_models_verify(name: str, style: str, tmp_path: Path) -> None:
    float_model, data = export(name, tmp_path)
    model = quantize(float_model, data, style)
    artifact = compile_model(model, target="x86-64", output=tmp_path / "m.edge").path
    report = verify(artifact, model=model, float_model=float_model, inputs={"x": data})
    assert report.ok, report.problems
    signal = next(metric.value for metric in report.metrics if "SQNR" in metric.name)
    assert signal > 15, "a float model and its 8-bit version answer alike"
    # onnxruntime computes quantized layers in float32: what differs must have a cause that follows from that.
    # A table is exact where onnxruntime evaluates the function in float32; softmax and normalize have integer forms.
    layers = [layer for layer in report.layers if not layer.operator.startswith(("table", "softmax", "normalize"))]
    unexplained = {c for layer in layers for c in layer.causes} - {"tie", "near-tie", "inherited", "saturation"}
    assert not unexplained, report.layers
    random = verify(artifact, samples=64, seed=5)
    assert random.ok, random.comparisons


@pytest.mark.parametrize("dialect", ["qcdq", "qonnx"])
def test_brevitas_network_verifies_and_batches(dialect: str, tmp_path: Path) -> None:
    pytest.importorskip("brevitas")
    from edgeconv.models.pulse import benchmark_network, export_benchmark

    network = benchmark_network(seed=1)
    model = export_benchmark(network, tmp_path / "pulse.onnx", dialect=dialect)
    artifact = compile_model(model, target="x86-64", output=tmp_path / "pulse.edge").path
    data = np.random.default_rng(0).uniform(-0.1, 1.1, (200, 1, 1, 128)).astype(np.float32)

    def by_torch(inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        with torch.no_grad():
            return {"time_energy": network(torch.from_numpy(inputs["samples"][:, 0])).numpy()}

    report = verify(artifact, model=model, inputs={"samples": data}, peers={"torch": by_torch})
    assert report.ok, report.problems
    runner = load(artifact)
    batched = runner(data[:, 0])
    assert np.array_equal(batched, np.concatenate([runner(x) for x in data]))
    # Activations are on a grid of powers of two, weights are not: torch's float32 sums may round, and no more.
    by_name = {comparison.peer: comparison for comparison in report.comparisons}
    assert by_name["torch"].values == 400
    assert by_name["torch"].largest < 2e-3

"""One-way filters equal the dense kernel they stand for, and pass through the compiler."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra train")

from torch.nn import functional as F  # noqa: E402

from edgeconv.api import compile_model  # noqa: E402
from edgeconv.errors import UsageError  # noqa: E402
from edgeconv.models.oneway_wave.layers import OneWayConv1d, OneWayConv2d, OneWayConv3d  # noqa: E402
from edgeconv.verify import verify  # noqa: E402

pytestmark = pytest.mark.needs_torch


@pytest.mark.parametrize(("size", "rank"), [(1, 1), (3, 4), (5, 2)])
def test_a_1way_layer_is_the_dense_convolution_of_its_kernel(size: int, rank: int) -> None:
    torch.manual_seed(0)
    layer = OneWayConv1d(3, 4, size, rank).double()
    layer.along_x.bias.data.normal_()
    x = torch.randn(2, 3, 17, dtype=torch.float64)
    dense = F.conv1d(x, layer.dense_weight(), layer.along_x.bias, padding=size // 2)
    torch.testing.assert_close(layer(x), dense, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("size", "rank"), [(1, 1), (3, 1), (3, 4), (5, 2)])
def test_a_2way_layer_is_the_dense_convolution_of_its_kernel(size: int, rank: int) -> None:
    torch.manual_seed(0)
    layer = OneWayConv2d(3, 4, size, rank).double()
    layer.along_x.bias.data.normal_()
    x = torch.randn(2, 3, 9, 11, dtype=torch.float64)
    dense = F.conv2d(x, layer.dense_weight(), layer.along_x.bias, padding=size // 2)
    torch.testing.assert_close(layer(x), dense, rtol=1e-12, atol=1e-12)
    weights = sum(p.numel() for name, p in layer.named_parameters() if not name.endswith("bias"))
    assert weights == rank * 4 * (3 + 2 * size)


@pytest.mark.parametrize(("size", "rank"), [(3, 1), (3, 3), (5, 2)])
def test_a_3way_layer_is_the_dense_convolution_of_its_kernel(size: int, rank: int) -> None:
    torch.manual_seed(0)
    layer = OneWayConv3d(2, 4, size, rank).double()
    layer.bias.data.normal_()
    x = torch.randn(2, 2, 6, 7, 8, dtype=torch.float64)
    dense = F.conv3d(x, layer.dense_weight(), layer.bias, padding=(0, size // 2, size // 2))
    assert dense.shape == (2, 4, 7 - size, 7, 8)
    torch.testing.assert_close(layer(x), dense, rtol=1e-12, atol=1e-12)
    weights = sum(p.numel() for name, p in layer.named_parameters() if not name.endswith("bias"))
    assert weights == rank * 4 * (2 + 3 * size)


def test_fresh_layers_keep_the_size_of_a_signal() -> None:
    torch.manual_seed(0)
    for rank in (1, 4):
        y = OneWayConv2d(32, 64, 3, rank)(torch.randn(4, 32, 32, 32))
        assert 1 < float(y.detach().var()) < 4, "about 2, of which ReLU leaves a second moment of 1"


def test_ranks_and_sizes_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError, match="rank 0"):
        OneWayConv2d(1, 1, 3, 0)
    with pytest.raises(UsageError, match="an odd size"):
        OneWayConv3d(1, 1, 4, 1)


@pytest.mark.slow
def test_a_quantized_network_of_rank_2_compiles_and_is_exact_on_x86(tmp_path: Path) -> None:
    from onnxruntime import quantization

    torch.manual_seed(0)
    network = torch.nn.Sequential(OneWayConv2d(3, 6, 3, 2), torch.nn.ReLU(), OneWayConv2d(6, 1, 3, 2)).eval()
    path, quantized = tmp_path / "float.onnx", tmp_path / "int8.onnx"
    example = torch.zeros(1, 3, 12, 10)
    torch.onnx.export(network, (example,), path, input_names=["x"], opset_version=17, dynamo=False)
    data = np.random.default_rng(0).uniform(-1, 1, (16, *example.shape)).astype(np.float32)

    class Samples(quantization.CalibrationDataReader):  # type: ignore[misc]
        samples = iter([{"x": x} for x in data])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.samples, None)

    quantization.quantize_static(
        str(path),
        str(quantized),
        Samples(),
        quant_format=quantization.QuantFormat.QDQ,
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
        extra_options={"WeightSymmetric": True},
    )
    artifact = compile_model(quantized, target="x86-64", output=tmp_path / "wave.edge").path
    report = verify(artifact, model=quantized, float_model=path, inputs={"x": data})
    assert report.ok, report.problems
    signal = next(metric.value for metric in report.metrics if "SQNR" in metric.name)
    assert signal > 20, "a float network and its 8-bit version answer alike"

"""Exported files carry the interface that was asked for and nothing that runtimes refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brevitas")

import brevitas.nn as brevitas_layers
import onnx
import onnxruntime as ort
import torch
from brevitas.quant import Int8WeightPerChannelFloat
from torch import nn

from edgeconv.errors import UnsupportedModelError, UsageError
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.quantize import IntegerInput, export_float, export_qcdq, export_qonnx
from edgeconv.quantize.grid import GridLayers, integers
from edgeconv.reference import run

pytestmark = pytest.mark.needs_torch


class Tiny(nn.Module):
    """One convolution on integers with scale 1/16."""

    def __init__(self) -> None:
        super().__init__()
        policy = GridLayers()
        self.layer, self.relu = policy.conv1d(2, 3, 3, padding=1), policy.relu()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.layer(integers(x, torch.tensor(0.0625), bits=16, training=self.training))).value


NAMES = {"input_name": "x", "output_name": "y"}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int16])
def test_integers_mean_scale_times_distance_from_the_zero_point(tmp_path: Path, dtype: type) -> None:
    torch.manual_seed(0)
    network = Tiny().eval()
    meaning = IntegerInput(np.dtype(dtype), 0.0625, 7)
    path = export_qcdq(network, torch.zeros(1, 2, 10), tmp_path / "t.onnx", integers=meaning, **NAMES)
    x = np.random.default_rng(0).integers(0, 30, (9, 2, 10)).astype(dtype)
    (y,) = ort.InferenceSession(path).run(None, {"x": x})
    with torch.no_grad():
        expected = network(torch.from_numpy((x.astype(np.float32) - 7) / 16)).numpy()
    # Both lie on the grid of 1/256: at most a near-tie may round to the neighbour.
    assert (np.abs(y - expected) <= 1 / 256).all()
    assert (y == expected).mean() > 0.99


@pytest.mark.parametrize("export", [export_qcdq, export_qonnx], ids=["qcdq", "qonnx"])
def test_files_are_readable_by_the_runtimes_of_today(tmp_path: Path, export: object) -> None:
    path = export(Tiny().eval(), torch.zeros(1, 2, 10), tmp_path / "t.onnx", **NAMES)
    model = onnx.load(path)
    assert model.ir_version == 10
    assert {entry.domain: entry.version for entry in model.opset_import}[""] == 21
    assert [entry.name for entry in model.graph.input] == ["x"]
    assert [path.name] == [entry.name for entry in tmp_path.iterdir()]


class Growing(nn.Module):
    """A transposed convolution, then bilinear upsampling, on integers with scale 1/16."""

    def __init__(self) -> None:
        super().__init__()
        policy = GridLayers()
        self.layer = brevitas_layers.QuantConvTranspose2d(
            3, 5, 4, stride=2, padding=1, weight_quant=Int8WeightPerChannelFloat
        )
        self.relu, self.end = policy.relu(), policy.relu()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        whole = integers(x, torch.tensor(0.0625), bits=16, training=self.training)
        grown = self.relu(self.layer(whole)).value
        return self.end(nn.functional.interpolate(grown, scale_factor=2, mode="bilinear")).value


@pytest.mark.parametrize("export", [export_qcdq, export_qonnx], ids=["qcdq", "qonnx"])
def test_transposed_convolution_and_upsampling_become_one_program(tmp_path: Path, export: object) -> None:
    torch.manual_seed(2)
    network = Growing()
    for _ in range(5):
        network(torch.randint(0, 99, (4, 3, 4, 5)) / 16)
    network.eval()
    meaning = IntegerInput(np.dtype(np.uint8), 0.0625, 0)
    path = export(network, torch.zeros(1, 3, 4, 5), tmp_path / "t.onnx", integers=meaning, **NAMES)
    program = lower(read_onnx(path))
    assert {"conv_transpose", "resize_linear"} <= {operator.keyword for operator in program.operators}
    x = torch.randint(0, 99, (9, 3, 4, 5))
    found = run(program, {"x": x.numpy().astype(np.uint8)[:, None]})["y"][:, 0]
    with torch.no_grad():
        expected = network(x / 16).numpy()
    # Torch sums in float32: a near-tie or a tie may round to the neighbour.
    assert (np.abs(found - expected) <= 1.01 * float(np.unique(expected)[1])).all()
    assert (found == expected).mean() > 0.9


def test_an_export_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network, x = Tiny().eval(), torch.randint(0, 9, (4, 2, 10)) / 16
    before = network(x)
    for _ in range(2):
        export_qcdq(network, torch.zeros(1, 2, 10), tmp_path / "t.onnx", **NAMES)
        export_qonnx(network, torch.zeros(1, 2, 10), tmp_path / "t.onnx", **NAMES)
    assert (network(x) == before).all()
    network.train()(x).sum().backward()
    assert network.layer.weight.grad is not None


def test_operators_of_unchecked_history_are_refused(tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.erf(x)

    with pytest.raises(UnsupportedModelError, match="the network exports to Erf"):
        export_float(Odd(), torch.zeros(1, 2), tmp_path / "odd.onnx", **NAMES)
    assert not list(tmp_path.iterdir())


def test_an_impossible_integer_input_is_refused() -> None:
    with pytest.raises(UsageError, match="graph input of type int32"):
        IntegerInput(np.dtype(np.int32), 1.0, 0)
    with pytest.raises(UsageError, match="zero point 300"):
        IntegerInput(np.dtype(np.uint8), 1.0, 300)


def test_layers_that_only_training_runs_are_left_out(tmp_path: Path) -> None:
    class Heads(Tiny):
        def __init__(self) -> None:
            super().__init__()
            self.coarse = nn.ModuleList([GridLayers().conv1d(2, 1, 1)])

    path = export_qcdq(Heads().eval(), torch.zeros(1, 2, 10), tmp_path / "t.onnx", **NAMES)
    assert sum(node.op_type == "Conv" for node in onnx.load(path).graph.node) == 1


def test_an_export_prints_nothing(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    export_qcdq(Tiny().eval(), torch.zeros(1, 2, 10), tmp_path / "t.onnx", **NAMES)
    assert capfd.readouterr() == ("", "")

"""Model families on the accelerator: the parts that it runs, and the networks that it refuses with the limit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("brevitas", reason="needs the extra train")

import torch
from torch import Tensor, nn

from edgeconv.api import compile_model
from edgeconv.errors import UnsupportedModelError
from edgeconv.hw.compiler import CompiledNetwork
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.models.ecg_mamba import SignalConfig
from edgeconv.models.ecg_mamba.config import NetworkConfig
from edgeconv.models.ecg_mamba.leads import LEADS
from edgeconv.models.ecg_mamba.network import EcgNet, integer_input
from edgeconv.models.oneway_wave.layers import OneWayConv1d
from edgeconv.models.oneway_wave.network import FIELDS
from edgeconv.quantize import QuantPolicy, export_qcdq
from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.export import IntegerInput
from edgeconv.quantize.layers import FloatLayers, Layers
from edgeconv.verify.inputs import random_inputs
from tests.hw.running import check

pytestmark = [pytest.mark.needs_torch, pytest.mark.needs_verilator]
MODELS = Path(__file__).parents[2] / "models"
SIGNAL = SignalConfig(samples=512, hop=512)
LINE_CYCLES, STEM_CYCLES = 3639, 12_258
"""Of a sample (docs/families.md)."""


class OneWayLine(nn.Module):
    """Three fields on a line to one: two layers of one-way filters of rank 2."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        self.input, self.relu = layers.input_quantizer(FIELDS), layers.relu()
        self.first, self.last = (OneWayConv1d(a, b, 5, 2, layers=layers) for a, b in ((3, 16), (16, 1)))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.last(self.relu(self.first(self.input(x))))
        return y


class EcgStem(nn.Module):
    """The ECG network without its blocks: the mean over time of the stem, and the head."""

    def __init__(self, layers: Layers) -> None:
        super().__init__()
        whole = EcgNet(layers, NetworkConfig(), SIGNAL)
        self.input, self.stem, self.mean, self.head = whole.input, whole.stem, whole.mean, whole.head

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.head(self.mean(self.stem(self.input(x))).flatten(1))
        return y


def run_on_array(
    build: Callable[[Layers], nn.Module], integers: IntegerInput, shape: tuple[int, ...], path: Path
) -> CompiledNetwork:
    """Every bit and cycle of a network with random weights, exported to ONNX and read again."""
    torch.manual_seed(0)
    network = build(FloatLayers()).eval()
    batch = torch.randint(-(1 << 12), 1 << 12, (16, *shape)) * integers.scale
    twin = make_twin(build, network, QuantPolicy(scales="power-of-two"), [batch])
    export_qcdq(twin, batch[:1], path, input_name="x", output_name="y", integers=integers)
    program = lower(read_onnx(path))
    return check(program, random_inputs(program, 8))


def test_a_one_way_network_on_a_line_is_exact(tmp_path: Path) -> None:
    compiled = run_on_array(OneWayLine, FIELDS, (3, 128), tmp_path / "line.onnx")
    assert compiled.image.cycles == LINE_CYCLES


def test_the_stem_of_the_ecg_network_is_exact(tmp_path: Path) -> None:
    shape = (len(LEADS), SIGNAL.samples)
    compiled = run_on_array(EcgStem, integer_input(SIGNAL), shape, tmp_path / "stem.onnx")
    assert compiled.image.cycles == STEM_CYCLES


def test_mininet_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="the accelerator has no such operator: threshold"):
        compile_model(MODELS / "mininet/mininet.onnx", "ulx3s-85f", tmp_path / "refused.edge")
    assert not list(tmp_path.iterdir())

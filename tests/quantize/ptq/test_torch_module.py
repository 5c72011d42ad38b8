"""A torch module is exported and quantized in one call, whatever its samples come in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeconv
from edgeconv.errors import UnsupportedModelError, UsageError

torch = pytest.importorskip("torch")
nn = torch.nn
pytestmark = pytest.mark.needs_torch


class Gated(nn.Module):
    """Two inputs, two outputs, dropout that must be off."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.drop = nn.Conv1d(2, 8, 3, padding=1), nn.Conv1d(3, 8, 3, padding=1), nn.Dropout(0.5)
        self.one, self.two = nn.Linear(8, 2), nn.Linear(8, 3)

    def forward(self, wave: torch.Tensor, gate: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        y = self.drop(torch.relu(self.a(wave)) * torch.sigmoid(self.b(gate))).mean(2)
        return self.one(y), self.two(y)


WAVE, GATE = (
    torch.linspace(-1, 1, 40 * 2 * 16).reshape(40, 2, 16).sin(),
    torch.linspace(-2, 2, 40 * 3 * 16).reshape(40, 3, 16),
)


def module() -> Gated:
    torch.manual_seed(3)
    return Gated().train()


def test_arrays_tensors_and_batches_give_the_same_model(tmp_path: Path) -> None:
    batches = [(WAVE[i : i + 8], GATE[i : i + 8], torch.zeros(8)) for i in range(0, 40, 8)]
    given = {
        "tensors": {"wave": WAVE, "gate": GATE},
        "arrays": {"wave": WAVE.numpy(), "gate": GATE.numpy()},
        "batches": batches,
    }
    files = []
    for name, calibration in given.items():
        (tmp_path / name).mkdir()
        path = tmp_path / name / "net.q.onnx"
        network = module()
        report = edgeconv.quantize(network, (WAVE[:1], GATE[:1]), path, calibration=calibration)
        assert network.training, "the user's module is left alone"
        assert set(report.outputs) == {"output0", "output1"}
        assert min(report.outputs.values()) > 28
        files.append(path.read_bytes())
    assert files[0] == files[1] == files[2]


def test_the_float_model_stands_beside_with_a_symbolic_batch(tmp_path: Path) -> None:
    report = edgeconv.quantize(module(), (WAVE[:1], GATE[:1]), tmp_path / "net.q.onnx")
    assert report.drawn
    graph = onnx.load(str(tmp_path / "net.float.onnx")).graph
    assert [value.name for value in graph.input] == ["wave", "gate"]
    assert {value.type.tensor_type.shape.dim[0].dim_param for value in graph.input} == {"n"}


def test_targets_are_the_entry_behind_the_inputs(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(32, 3)).eval()
    labels = network(WAVE).argmax(1)
    data = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(WAVE, labels), batch_size=16)
    report = edgeconv.quantize(network, WAVE[:2], tmp_path / "n.q.onnx", calibration=data, evaluation=data)
    ((before, after),) = report.metrics
    assert before.value == 100
    assert after.value > 90


def test_what_cannot_be_exported_is_told(tmp_path: Path) -> None:
    class Sorts(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.linalg.eigvalsh(x @ x.transpose(1, 2))

    with pytest.raises(UnsupportedModelError, match="torch cannot export Sorts"):
        edgeconv.quantize(Sorts(), WAVE[:1], tmp_path / "n.q.onnx")
    with pytest.raises(UsageError, match="holds no tensors"):
        edgeconv.quantize(module(), [np.zeros(3)], tmp_path / "n.q.onnx")
    with pytest.raises(UsageError, match="hold no batch"):
        edgeconv.quantize(nn.Linear(16, 2), WAVE[:1], tmp_path / "n.q.onnx", calibration=[])

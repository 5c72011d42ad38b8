"""Relax modules on the simulated accelerator: every bit is the reference's, by way of the ONNX importer."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from tvm import relax, runtime

from edgeconv import reference
from edgeconv.codegen.tir import tvm
from edgeconv.errors import DeviceError
from edgeconv.hw.compiler import NetworkImage
from edgeconv.hw.relax import explain_partition, partition_for_edgeconv, recording, using
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from tests.hw.relax.models import PULSE, Array, Network, built, expected, import_to_relax, random_network, run
from tests.importer.models import model as model_of
from tests.importer.models import save

pytestmark = pytest.mark.needs_verilator

SAMPLES = 3


@pytest.mark.parametrize("two_dimensional", [False, True], ids=["1-D", "2-D"])
@pytest.mark.parametrize("seed", range(5))
def test_random_networks_equal_the_reference(seed: int, two_dimensional: bool, tmp_path: Path) -> None:
    network = random_network(100 + seed, two_dimensional)
    model, x = network.model(), network.values(SAMPLES)
    partition = explain_partition(import_to_relax(model))
    assert {each.operator for each in partition.with_tvm} <= {"relax.quantize", "relax.dequantize"}, partition.text()
    with recording() as calls:
        found = run(built(partition.module), x)
    want = expected(model, x, tmp_path)
    np.testing.assert_array_equal(found.view(np.int32), want.reshape(found.shape).view(np.int32))
    assert [call.symbol for call in calls] == [each.symbol for each in partition.on_array]
    for call, each in zip(calls, partition.on_array, strict=True):
        assert call.cycles.tolist() == [each.cycles] * SAMPLES


def test_the_pulse_network_with_a_float_operator_behind_it(tmp_path: Path) -> None:
    core = onnx.load(PULSE)
    whole = onnx.ModelProto()
    whole.CopyFrom(core)
    (output,) = core.graph.output
    whole.graph.initializer.append(onnx.numpy_helper.from_array(np.float32([0.1, 2.5]), "units"))
    whole.graph.node.append(onnx.helper.make_node("Mul", [output.name, "units"], ["physical"]))
    whole.graph.output[0].name = "physical"
    x = np.random.default_rng(1).integers(0, 4096, (20, 1, 128)).astype(np.uint16)
    partition = explain_partition(import_to_relax(whole))
    assert [each.composites for each in partition.on_array] == [
        ("conv1d", "conv1d", "conv1d", "conv1d", "sum"),
        ("sum_real",),
    ]
    # Two wide sums before one quantizer: the array makes them, and has no proved form for rounding both.
    assert "no form reproduces the exact sum" in partition.on_array[0].hosted
    assert partition.on_array[0].hosted in partition.text()
    assert [each.operator for each in partition.with_tvm] == ["relax.multiply"]
    with recording() as calls:
        found = run(built(partition.module), x)
    want = expected(core, x, tmp_path).reshape(found.shape) * np.float32([0.1, 2.5])
    np.testing.assert_array_equal(found.view(np.int32), want.view(np.int32))
    assert [(call.symbol, call.cycles.tolist()) for call in calls] == [
        (each.symbol, [each.cycles] * 20) for each in partition.on_array
    ]


def test_a_rounding_that_the_array_has_no_form_for_is_the_hosts_and_ends_a_call(tmp_path: Path) -> None:
    network = Network(20)
    for _ in range(2):
        w, b, _ = network.weights((6, network.shape[0], 3))
        sums = network.line(f"Conv<pads=[1, 1]>({network.value}, {w}, {b})")
        network.value, network.shape = (
            network.quantized(network.line(f"Sigmoid({sums})"), 0.005),
            (6, *network.shape[1:]),
        )
    network.line(f"Identity({network.value})", "y")
    model, x = network.model(), network.values(SAMPLES)
    partition = explain_partition(import_to_relax(model))
    assert len(partition.on_array) == 2
    assert all("threshold" in each.hosted for each in partition.on_array)
    found = run(built(partition.module), x)
    np.testing.assert_array_equal(found, expected(model, x, tmp_path).reshape(found.shape))


@pytest.mark.parametrize("batch", [1, 4])
def test_a_static_number_of_samples(batch: int, tmp_path: Path) -> None:
    network = random_network(7, False, batch)
    x = network.values(batch)
    symbolic = random_network(7, False)
    partition = explain_partition(import_to_relax(network.model()))
    assert partition.on_array, partition.text()
    with recording() as calls:
        found = run(built(partition.module), x)
    np.testing.assert_array_equal(found, expected(symbolic.model(), x, tmp_path).reshape(found.shape))
    assert [len(call.cycles) for call in calls] == [batch]


def test_a_value_that_is_read_inside_and_outside(tmp_path: Path) -> None:
    network = Network(21)
    network.conv()
    middle = network.value
    network.conv()
    network.line(f"Identity({middle})", "z")
    network.line(f"Identity({network.value})", "y")
    model = model_of("\n".join(network.lines), network.inputs, network.constants, opset=21, outputs=("y", "z"))
    x = network.values(SAMPLES)
    partition = explain_partition(import_to_relax(model))
    assert [len(each.composites) for each in partition.on_array] == [2]
    results = relax.VirtualMachine(built(partition.module), tvm.cpu())["main"](runtime.tensor(x))
    program = lower(read_onnx(save(model, tmp_path)))
    wanted = reference.run(program, {"x": x.reshape(-1, *program.inputs["x"].shape)})
    for found, want in zip(results, wanted.values(), strict=True):
        np.testing.assert_array_equal(found.numpy(), want.reshape(found.shape))


def test_no_sample_at_all() -> None:
    network = random_network(7, False)
    found = run(built(partition_for_edgeconv(import_to_relax(network.model()))), network.values(0))
    assert len(found) == 0


def test_an_exported_library_runs_in_another_process(tmp_path: Path) -> None:
    network = random_network(3, False)
    executable = built(partition_for_edgeconv(import_to_relax(network.model())))
    x = network.values(SAMPLES)
    executable.export_library(str(tmp_path / "network.so"))
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys; sys.modules['torch'] = None\n"  # TVM imports it where it is there, which takes long
        "import numpy as np, tvm, edgeconv.hw.relax.runtime; from tvm import relax\n"
        "m = relax.VirtualMachine(tvm.runtime.load_module('network.so'), tvm.cpu())\n"
        "np.save('y.npy', m['main'](tvm.runtime.tensor(np.load('x.npy'))).numpy())"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), run(executable, x))


def test_an_error_of_the_array_comes_through_as_itself() -> None:
    class Broken:
        def __init__(self, image: NetworkImage) -> None:
            self.image = image

        def run(self, inputs: Mapping[str, Array]) -> Any:
            raise DeviceError("the line is cut", advice="mend it")

    network = random_network(3, False)
    machine = relax.VirtualMachine(built(partition_for_edgeconv(import_to_relax(network.model()))), tvm.cpu())
    with using(Broken), pytest.raises(DeviceError, match="the line is cut"):
        machine["main"](runtime.tensor(network.values(1)))


def test_layers_that_do_not_fit_together_run_one_after_the_other(tmp_path: Path) -> None:
    network = Network(5)
    network.shape = (1, 400)
    network.inputs = {"x": ("batch", 1, 400)}
    for outputs in (512, 400):
        w, b, gain = network.weights((outputs, int(np.prod(network.shape))), reach=128)
        flat = network.line(f"Flatten({network.value})")
        y = network.line(f"Gemm<transB=1>({flat}, {w}, {b})")
        network.value, network.shape = network.quantized(y, network.scale * gain), (outputs,)
    network.line(f"Identity({network.value})", "y")
    model, x = network.model(), network.values(2)
    partition = explain_partition(import_to_relax(model))
    assert [each.composites for each in partition.on_array] == [("matmul",), ("matmul",)]
    found = run(built(partition.module), x)
    np.testing.assert_array_equal(found, expected(model, x, tmp_path).reshape(found.shape))

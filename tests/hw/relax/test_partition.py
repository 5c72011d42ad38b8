"""What becomes a composite and what stays with TVM, each with its reason, and right in both places."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from tvm import relax

from edgeconv.codegen.tir import tvm
from edgeconv.errors import ArtifactError, UsageError
from edgeconv.hw.relax import explain_partition, partition_for_edgeconv
from edgeconv.hw.relax.compile import compile_region
from edgeconv.hw.relax.package import Package, package_from_text
from edgeconv.hw.relax.region import region_of_function
from edgeconv.hw.spec import ArrayConfig
from edgeconv.ir import operators as ops
from tests.hw.relax.models import Network, built, import_to_relax, random_network, run
from tests.importer.models import run_onnxruntime

CODEGEN = "edgeconv_fpga"


def composite(module: Any) -> Any:
    """The first function for the array."""
    return module[f"{CODEGEN}_0"]


def test_functions_carry_what_run_codegen_looks_for() -> None:
    module = partition_for_edgeconv(import_to_relax(random_network(3, False).model()))
    function = composite(module)
    assert function.attrs["Codegen"] == CODEGEN
    assert function.attrs["global_symbol"] == f"{CODEGEN}_0"
    names = [
        binding.value.attrs["Composite"]
        for block in function.body.blocks
        for binding in block.bindings
        if isinstance(getattr(binding, "value", None), relax.Function)
    ]
    assert names
    assert all(name.startswith(f"{CODEGEN}.") for name in names)


def test_a_convolution_that_is_too_large_stays_with_tvm_and_is_right() -> None:
    network = Network(11, two_dimensional=True)
    network.shape, network.inputs = (3, 120, 130), {"x": ("batch", 3, 120, 130)}
    network.conv()
    network.line(f"Identity({network.value})", "y")
    model, x = network.model(), network.values(1)
    partition = explain_partition(import_to_relax(model))
    assert not partition.on_array
    reasons = {each.operator: each.reason for each in partition.with_tvm}
    assert reasons["relax.nn.conv2d"].startswith(
        "the network needs 46800 bytes of activation memory (expected: at most"
    )
    found = run(built(partition.module), x)
    (peer,) = run_onnxruntime(model, {"x": x})
    # Both sum in float32, in their own order: a quantizer may see the other side of a tie.
    assert np.abs(found - peer).max() <= network.scale * 1.001
    assert (found == peer).mean() > 0.999


def test_operators_that_no_pattern_has_stay_with_tvm() -> None:
    network = Network(12)
    network.conv()
    network.line(f"Softmax<axis=1>({network.value})", "y")
    partition = explain_partition(import_to_relax(network.model()))
    assert [len(each.composites) for each in partition.on_array] == [1]
    assert ("relax.nn.softmax", "no pattern of docs/relax.md covers it") in {
        (each.operator, each.reason) for each in partition.with_tvm
    }


def test_clips_that_the_frontend_writes_as_kernels_belong_to_composites() -> None:
    network = Network(4)
    network.rng = np.random.default_rng(1)
    w, b, _ = network.weights((4, network.shape[0], 3))
    constants = {"low": np.float32(-1), "high": np.float32(6), "scale": np.float32(0.1), "zero": np.uint8(0)}
    network.constants |= constants | {"bottom": np.uint8(0), "top": np.uint8(15)}
    y = network.line(f"Clip({network.line(f'Conv({network.value}, {w}, {b})')}, low, high)")
    q = network.line(f"Clip({network.line(f'QuantizeLinear({y}, scale, zero)')}, bottom, top)")
    network.line(f"DequantizeLinear({q}, scale, zero)", "y")
    partition = explain_partition(import_to_relax(network.model()))
    assert [each.composites for each in partition.on_array] == [("conv1d_clipped",)]
    assert [each.operator for each in partition.with_tvm] == ["relax.quantize", "relax.dequantize"]
    program = compile_region(region_of_function(composite(partition.module))).program
    grids = [operator.grid for operator in program.operators if isinstance(operator, ops.Requant)]
    assert [(grid.lo, grid.hi) for grid in grids] == [(0, 15)]


def test_a_module_of_floats_is_left_as_it_is() -> None:
    x = relax.Var("x", relax.TensorType((1, 4), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        with builder.dataflow():
            y = builder.emit_output(relax.op.nn.softmax(x))
        builder.emit_func_output(y)
    partition = explain_partition(builder.get())
    assert not partition.on_array
    assert partition.text().splitlines()[:2] == ["on the array:", "  nothing"]
    values = np.float32([[0, 1, 2, 3]])
    assert run(built(partition.module), values).sum() == pytest.approx(1)


def quantized_layer(**changes: Any) -> Any:
    """A convolution between quantizers, made by a BlockBuilder, with other attributes or operands."""
    layout = changes.get("layout", "NCW")
    shape = (1, 4, 8) if layout == "NCW" else (1, 8, 4)
    q = relax.Var("q", relax.TensorType(shape, changes.get("type", "uint8")))
    scale = relax.const(0.5, "float32")
    zero = relax.const(changes.get("zero", 3), changes.get("type", "uint8"))
    builder = relax.BlockBuilder()
    with builder.function("main", [q]):
        with builder.dataflow():
            x = builder.emit(relax.op.dequantize(q, scale, zero, axis=1, out_dtype="float32"))
            integers = relax.const(np.arange(-18, 18).reshape(3, 4, 3).astype(np.int8))
            w = builder.emit(relax.op.dequantize(integers, scale, relax.const(0, "int8"), axis=0, out_dtype="float32"))
            y = builder.emit(relax.op.nn.conv1d(x, w, padding=1, data_layout=layout, out_layout=layout))
            y = builder.emit(relax.op.quantize(y, relax.const(2.0, "float32"), relax.const(0, "int8"), axis=1))
            result = builder.emit_output(y)
        builder.emit_func_output(result)
    return builder.get()


def test_a_module_of_a_block_builder() -> None:
    partition = explain_partition(quantized_layer())
    assert [each.composites for each in partition.on_array] == [("conv1d",)]
    assert partition.with_tvm == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layout": "NWC"}, r"has the layouts \('NWC', 'OIW'\) \(expected: \('NCW', 'OIW'\)\)"),
        ({"type": "int32"}, r"int32"),
    ],
)
def test_what_the_translation_does_not_know_is_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    partition = explain_partition(quantized_layer(**changes))
    assert not partition.on_array
    reasons = {each.operator: each.reason for each in partition.with_tvm}
    assert re.search(reason, reasons["relax.nn.conv1d"]), reasons


def test_weights_that_fit_four_bits_are_taken_in_pairs() -> None:
    def weights(reach: int) -> Any:
        network = Network(2)
        network.rng = np.random.default_rng(3)
        network.shape, network.inputs = (8, 16), {"x": ("batch", 8, 16)}
        integers = network.constant(network.rng.integers(-reach, reach, (32, 8, 5)).astype(np.int8))
        w = network.line(f"DequantizeLinear({integers}, {network.constant(np.float32(0.01))})")
        network.line(f"Identity({network.quantized(network.line(f'Conv({network.value}, {w})'), 0.1)})", "y")
        return explain_partition(import_to_relax(network.model())).on_array[0].cycles

    assert weights(8) < 0.8 * weights(128)


def test_another_configuration_of_the_array() -> None:
    network = random_network(3, False)
    few = ArrayConfig(weight_words=2)
    partition = explain_partition(import_to_relax(network.model()), few)
    assert any("weight memory" in each.reason for each in partition.with_tvm)


def test_a_module_is_partitioned_once() -> None:
    module = partition_for_edgeconv(quantized_layer())
    with pytest.raises(UsageError, match="the module has edgeconv_fpga_0, which is for the array already"):
        partition_for_edgeconv(module)


def test_options_of_the_code_generator_are_sizes_of_the_array() -> None:
    module = partition_for_edgeconv(import_to_relax(random_network(3, False).model()))
    with pytest.raises(UsageError, match=r"edgeconv_fpga has no option 'lanes'\n  expected: one of: elements, "):
        relax.transform.RunCodegen({CODEGEN: {"lanes": 4}})(module)
    assert relax.transform.RunCodegen({CODEGEN: {"descriptors": 300}})(module)


def test_packages_keep_what_they_hold_and_damage_is_noticed() -> None:
    module = partition_for_edgeconv(import_to_relax(random_network(3, False).model()))
    package = Package.of("f", compile_region(region_of_function(composite(module))))
    text = package.to_text()
    again = package_from_text(text)
    assert again.to_text() == text
    assert (again.symbol, again.inputs, again.outputs, again.ends) == (
        "f",
        package.inputs,
        package.outputs,
        package.ends,
    )
    assert again.image.to_bytes() == package.image.to_bytes()
    with pytest.raises(ArtifactError, match="damaged"):
        package_from_text(text[:-40])


def test_quantizers_that_tvm_keeps_round_as_the_reference_does() -> None:
    """Ties, both ends, and a scale whose reciprocal is no float32: a product with it would differ in many places."""
    scale = np.float32(0.1)
    rng = np.random.default_rng(4)
    ties = (rng.integers(-140, 140, 20_000) + 0.5).astype(np.float32) * scale
    x = np.concatenate([ties, np.float32([1e30, -1e30, np.inf, -np.inf, 0, -0.0])])
    var = relax.Var("x", relax.TensorType(x.shape, "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [var]):
        with builder.dataflow():
            y = relax.op.quantize(var, relax.const(scale), relax.const(3, "int8"), axis=0, out_dtype="int8")
            result = builder.emit_output(y)
        builder.emit_func_output(result)
    found = run(tvm.compile(builder.get(), target="llvm"), x)
    with np.errstate(over="ignore"):
        want = np.clip(np.rint((x / scale).astype(np.float64)) + 3, -128, 127).astype(np.int8)
    np.testing.assert_array_equal(found, want)

"""Resize becomes the indices and coefficients that onnxruntime reads, for every rule of coordinates."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto

from edgeconv.errors import UnsupportedModelError
from edgeconv.importer import read_onnx
from tests.importer.interpreter import evaluate
from tests.importer.models import model, run_onnxruntime, save

COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def check_indices(
    tmp_path: Path, attributes: str, constants: dict[str, Any], opset: int, extents: tuple[int, ...], rtol: float = 0
) -> None:
    inputs = {"x": (1, 1, *extents)}
    third = "s" if "s" in constants else ""
    fourth = ", z" if "z" in constants else ""
    roi = "r" if "r" in constants else ""
    proto = model(f"y = Resize<{attributes}>(x, {roi}, {third}{fourth})", inputs, constants, opset=opset)
    x = np.arange(np.prod(extents), dtype=np.float32).reshape(inputs["x"])
    (expected,) = run_onnxruntime(proto, {"x": x})
    (found,) = evaluate(read_onnx(save(proto, tmp_path)), {"x": x})
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol, err_msg=attributes)


@pytest.mark.parametrize(("coordinates", "rounding"), list(product(COORDINATES, ROUNDINGS)))
def test_dyadic_scales_and_sizes_read_the_positions_of_onnxruntime(
    tmp_path: Path, coordinates: str, rounding: str
) -> None:
    attributes = f'mode="nearest", coordinate_transformation_mode="{coordinates}", nearest_mode="{rounding}"'
    for scale in (2.0, 4.0, 0.5, 1.5, 2.5):
        check_indices(tmp_path, attributes, {"s": np.float32([1, 1, scale])}, 13, (8,))
    for size in (16, 4, 2, 1):
        check_indices(tmp_path, attributes, {"z": np.array([1, 1, size, 12], np.int64)}, 13, (8, 6))


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_linear_coefficients_are_those_of_onnxruntime(tmp_path: Path, coordinates: str) -> None:
    """Exact where they have few bits, else as near as float32 comes."""
    attributes = f'mode="linear", coordinate_transformation_mode="{coordinates}"'
    for scale in (2.0, 4.0, 0.5, 0.25):
        rtol = 1e-5 if coordinates == "align_corners" else 0
        check_indices(tmp_path, attributes, {"s": np.float32([1, 1, scale])}, 13, (8,), rtol)
    for size, extents in ((16, (8, 6)), (5, (8, 6)), (1, (3, 7)), (29, (9, 4))):
        check_indices(tmp_path, attributes, {"z": np.array([1, 1, size, 11], np.int64)}, 13, extents, 1e-5)


def test_linear_with_newer_rules_and_antialias_while_growing(tmp_path: Path) -> None:
    linear = 'mode="linear", coordinate_transformation_mode='
    check_indices(tmp_path, f'{linear}"half_pixel_symmetric"', {"s": np.float32([1, 1, 2.3])}, 19, (8,), 1e-5)
    check_indices(tmp_path, f'{linear}"asymmetric", antialias=1', {"s": np.float32([1, 1, 2])}, 18, (8,))
    crop = {"z": np.array([1, 1, 6, 7], np.int64), "r": np.float32([0, 0, 0.25, -0.5, 1, 1, 0.75, 1.25])}
    check_indices(tmp_path, f'{linear}"tf_crop_and_resize"', crop, 13, (9, 5), 1e-5)


def test_linear_that_only_picks_values_is_a_movement(tmp_path: Path) -> None:
    attributes = 'mode="linear", coordinate_transformation_mode="asymmetric"'
    proto = model(f"y = Resize<{attributes}>(x, , s)", {"x": (1, 1, 8)}, {"s": np.float32([1, 1, 0.5])})
    (node,) = read_onnx(save(proto, tmp_path)).nodes
    assert (node.op, node.attributes["indices"]) == ("Resize", ((0, 2, 4, 6),))


@pytest.mark.parametrize("mode", ["nearest", "linear"])
@pytest.mark.parametrize(("operator", "opset"), [("Upsample", 9), ("Resize", 10)])
def test_operators_of_old_sets_keep_their_meaning(tmp_path: Path, operator: str, opset: int, mode: str) -> None:
    scales = np.float32([1, 1, 2, 3])
    proto = model(f'y = {operator}<mode="{mode}">(x, s)', {"x": (1, 2, 4, 3)}, {"s": scales}, opset=opset)
    x = np.arange(24, dtype=np.float32).reshape(1, 2, 4, 3)
    (expected,) = run_onnxruntime(proto, {"x": x})
    (found,) = evaluate(read_onnx(save(proto, tmp_path)), {"x": x})
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_newer_coordinate_rules_read_the_positions_of_onnxruntime(tmp_path: Path) -> None:
    symmetric = 'mode="nearest", coordinate_transformation_mode="half_pixel_symmetric"'
    check_indices(tmp_path, symmetric, {"s": np.float32([1, 1, 2.5])}, 19, (8,))
    old = 'mode="nearest", coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor"'
    check_indices(tmp_path, old, {"s": np.float32([1, 1, 2]), "r": np.zeros(0, np.float32)}, 11, (8,))
    crop = 'mode="nearest", coordinate_transformation_mode="tf_crop_and_resize"'
    region = np.float32([0, 0, 0.25, 1, 1, 0.75])
    check_indices(tmp_path, crop, {"z": np.array([1, 1, 6], np.int64), "r": region}, 13, (9,))


def test_axes_and_aspect_ratio_policies(tmp_path: Path) -> None:
    shared = 'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor", axes=[2, 3]'
    check_indices(tmp_path, shared, {"s": np.float32([2, 0.5])}, 18, (4, 6))
    for policy in ("not_larger", "not_smaller"):
        attributes = f'{shared}, keep_aspect_ratio_policy="{policy}"'
        check_indices(tmp_path, attributes, {"z": np.array([8, 24], np.int64)}, 18, (4, 6))


def test_a_scale_that_is_a_rounded_quotient_means_the_quotient(tmp_path: Path) -> None:
    # float32(1/3) is a little more than 1/3: taken literally, output 1 would read position 2 instead of 3.
    attributes = 'mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"'
    proto = model(f"y = Resize<{attributes}>(x, , s)", {"x": (1, 1, 9)}, {"s": np.float32([1, 1, 1 / 3])})
    (node,) = read_onnx(save(proto, tmp_path)).nodes
    assert node.attributes["indices"] == ((0, 3, 6),)


@pytest.mark.parametrize(
    ("attributes", "scales", "message"),
    [
        ('mode="cubic"', [1, 1, 2], "mode 'cubic'"),
        ('mode="linear", antialias=1', [1, 1, 0.5], "antialias while it shrinks"),
        ('mode="nearest"', [1, 2, 2], "resizes (1, 3, 8) to (1, 6, 16)"),
        ('mode="nearest", coordinate_transformation_mode="other"', [1, 1, 2], "coordinate_transformation_mode 'other'"),
        ('mode="nearest"', [1, 1, float("nan")], "scales [1.0, 1.0, nan]"),
    ],
)
def test_other_resizes_are_refused_by_name(tmp_path: Path, attributes: str, scales: list[float], message: str) -> None:
    proto = model(f"y = Resize<{attributes}>(x, , s)", constants={"s": np.float32(scales)}, opset=18)
    with pytest.raises(UnsupportedModelError) as caught:
        read_onnx(save(proto, tmp_path))
    assert "node 'Resize -> y'" in str(caught.value)
    assert message in str(caught.value)


def test_a_region_outside_with_another_value_than_zero_is_refused(tmp_path: Path) -> None:
    attributes = 'mode="linear", coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=1.5'
    constants = {"z": np.array([1, 1, 6], np.int64), "r": np.float32([0, 0, -0.25, 1, 1, 0.75])}
    proto = model(f"y = Resize<{attributes}>(x, r, , z)", {"x": (1, 1, 9)}, constants)
    with pytest.raises(UnsupportedModelError, match=r"extrapolation_value 1\.5"):
        read_onnx(save(proto, tmp_path))


def test_integers_are_not_resampled(tmp_path: Path) -> None:
    """ONNX does not say how a resampled integer is rounded."""
    nodes = 'q = QuantizeLinear(x, s)\ny = Resize<mode="linear">(q, , t)'
    constants = {"s": np.float32(0.5), "t": np.float32([1, 1, 2])}
    proto = model(nodes, {"x": (1, 1, 9)}, constants, output_type=TensorProto.UINT8)
    with pytest.raises(UnsupportedModelError, match="put a DequantizeLinear"):
        read_onnx(save(proto, tmp_path))

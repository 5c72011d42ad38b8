"""Nearest-neighbour Resize becomes the index lists that onnxruntime reads, for every rule of coordinates."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgeconv.errors import UnsupportedModelError
from edgeconv.importer import read_onnx
from tests.importer.interpreter import evaluate
from tests.importer.models import model, run_onnxruntime, save

COORDINATES = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric"]
ROUNDINGS = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


def check_indices(
    tmp_path: Path, attributes: str, constants: dict[str, Any], opset: int, extents: tuple[int, ...]
) -> None:
    inputs = {"x": (1, 1, *extents)}
    third = "s" if "s" in constants else ""
    fourth = ", z" if "z" in constants else ""
    roi = "r" if "r" in constants else ""
    proto = model(f"y = Resize<{attributes}>(x, {roi}, {third}{fourth})", inputs, constants, opset=opset)
    x = np.arange(np.prod(extents), dtype=np.float32).reshape(inputs["x"])
    (expected,) = run_onnxruntime(proto, {"x": x})
    (found,) = evaluate(read_onnx(save(proto, tmp_path)), {"x": x})
    np.testing.assert_array_equal(found, expected, err_msg=attributes)


@pytest.mark.parametrize(("coordinates", "rounding"), list(product(COORDINATES, ROUNDINGS)))
def test_dyadic_scales_and_sizes_read_the_positions_of_onnxruntime(
    tmp_path: Path, coordinates: str, rounding: str
) -> None:
    attributes = f'mode="nearest", coordinate_transformation_mode="{coordinates}", nearest_mode="{rounding}"'
    for scale in (2.0, 4.0, 0.5, 1.5, 2.5):
        check_indices(tmp_path, attributes, {"s": np.float32([1, 1, scale])}, 13, (8,))
    for size in (16, 4, 2, 1):
        check_indices(tmp_path, attributes, {"z": np.array([1, 1, size, 12], np.int64)}, 13, (8, 6))


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
        ('mode="linear"', [1, 1, 2], "mode 'linear'"),
        ('mode="nearest"', [1, 2, 2], "resizes (1, 3, 8) to (1, 6, 16)"),
        ('mode="nearest", coordinate_transformation_mode="other"', [1, 1, 2], "coordinate_transformation_mode 'other'"),
        ('mode="nearest"', [1, 1, float("nan")], "scales [1.0, 1.0, nan]"),
    ],
)
def test_other_resizes_are_refused_by_name(tmp_path: Path, attributes: str, scales: list[float], message: str) -> None:
    proto = model(f"y = Resize<{attributes}>(x, , s)", constants={"s": np.float32(scales)})
    with pytest.raises(UnsupportedModelError) as caught:
        read_onnx(save(proto, tmp_path))
    assert "node 'Resize -> y'" in str(caught.value)
    assert message in str(caught.value)

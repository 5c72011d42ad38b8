"""Layouts: every logical element has its own place, halos surround them, reshapes and transposes move nothing."""

from __future__ import annotations

import numpy as np
import pytest

from edgeconv.codegen.blob import ALIGNMENT, Blob
from edgeconv.codegen.layout import Halo, Layout, Storage, channels_last, row_major, storage_of
from edgeconv.ir import dtype

BYTE = Storage("uint8")


@pytest.mark.parametrize(
    "layout",
    [
        row_major((2, 3, 4), BYTE),
        channels_last((1, 5, 7), BYTE),
        channels_last((1, 3, 7), BYTE, Halo((2, 1), 9)),
        channels_last((2, 3, 4, 5), BYTE, Halo((1, 2, 0, 3), 9)),
    ],
)
def test_every_element_has_its_own_place_inside(layout: Layout) -> None:
    places = layout.offsets()
    assert len(np.unique(places)) == places.size
    assert places.min() == layout.base
    assert places.max() < layout.size


def test_rows_list_the_elements_in_memory_order() -> None:
    layout = channels_last((1, 3, 4, 5), BYTE, Halo((1, 2, 0, 3), 0))
    assert layout.rows is not None
    number, length, stride = layout.rows
    listed = [layout.base + row * stride + at for row in range(number) for at in range(length)]
    assert sorted(listed) == sorted(layout.offsets().reshape(-1))


@pytest.mark.parametrize("shape", [(1, 60), (3, 20), (12, 5), (1, 3, 4, 5), (6, 10)])
def test_reshape_of_channels_last_keeps_the_order_of_elements(shape: tuple[int, ...]) -> None:
    source = channels_last((1, 3, 4, 5), BYTE, Halo((1, 1, 1, 1), 0))
    view = source.reshaped(shape)
    assert view is not None
    assert view.shape == shape
    np.testing.assert_array_equal(view.offsets().reshape(-1), source.offsets().reshape(-1))


def test_reshape_that_would_cut_a_row_is_refused() -> None:
    assert channels_last((1, 3, 5), BYTE).reshaped((5, 3)) is None


def test_permuted_is_a_transpose() -> None:
    source = channels_last((1, 3, 4, 5), BYTE)
    view = source.permuted((0, 2, 3, 1))
    np.testing.assert_array_equal(view.offsets(), source.offsets().transpose(0, 2, 3, 1))


@pytest.mark.parametrize("name", ["u1", "i2", "i8", "u8", "u9", "i16", "u15", "u16", "i17", "u31", "i32", "u32", "i64"])
def test_storage_holds_every_value_of_its_type(name: str) -> None:
    type_ = dtype(name)
    storage = storage_of(type_)
    limits = np.iinfo(storage.element)
    assert limits.min <= type_.lo + storage.bias
    assert type_.hi + storage.bias <= limits.max


def test_blob_stores_equal_arrays_once_and_names_every_section() -> None:
    blob = Blob()
    first = blob.add("a", np.arange(5, dtype=np.int32))
    other = blob.add("b", np.arange(6, dtype=np.int32))
    again = blob.add("c", np.arange(5, dtype=np.int32))
    renamed = blob.add("b", np.arange(7, dtype=np.int32))
    assert first == again
    assert len({first, other, renamed}) == 3
    assert all(offset % ALIGNMENT == 0 for offset, _ in blob.sections.values())
    assert blob.sections == {"a": (first, 20), "b": (other, 24), "c": (first, 20), "b#2": (renamed, 28)}
    data = blob.bytes()
    np.testing.assert_array_equal(np.frombuffer(data, np.int32, 6, other), np.arange(6))

"""Arrays in files: what is read, what is refused, and that writing leaves nothing half-made."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from edgeconv.artifact import TensorInfo
from edgeconv.errors import InputError, UsageError
from edgeconv.runtime.files import load_arrays, read_inputs, refuse_nan, write_outputs

A = np.arange(6, dtype=np.int16).reshape(2, 3)
B = np.ones((2, 1), np.float32)
TENSORS = (TensorInfo("a", "i16", "int16", (3,)), TensorInfo("b", "f32", "float32", (1,)))


def test_npy_and_npz_round_trip(tmp_path: Path) -> None:
    write_outputs(str(tmp_path / "one.npy"), {"a": A})
    write_outputs(str(tmp_path / "two.npz"), {"a": A, "b": B})
    one, two = load_arrays(tmp_path / "one.npy", "single"), load_arrays(tmp_path / "two.npz", "single")
    assert list(one) == ["single"]
    assert one["single"].tobytes() == A.tobytes()
    assert {name: array.tobytes() for name, array in two.items()} == {"a": A.tobytes(), "b": B.tobytes()}
    assert sorted(os.listdir(tmp_path)) == ["one.npy", "two.npz"]


def test_any_name_of_a_tensor_names_an_array_of_a_file(tmp_path: Path) -> None:
    named = {"file": A, "args": B, "net/head:0": A[:1]}
    write_outputs(str(tmp_path / "y.npz"), named)
    assert {name: array.tobytes() for name, array in load_arrays(tmp_path / "y.npz", "x").items()} == {
        name: array.tobytes() for name, array in named.items()
    }


def test_fortran_order_is_taken_over(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.asfortranarray(A))
    assert read_inputs(str(tmp_path / "x.npy"), TENSORS[:1])["a"].flags.c_contiguous


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\x03\x04broken", b"\x93NUMPY\x01\x00\xff"])
def test_what_is_no_array_file_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.npy").write_bytes(data)
    with pytest.raises(InputError, match=r"x\.npy is not an array file"):
        load_arrays(tmp_path / "x.npy", "x")


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="not an array file"):
        load_arrays(tmp_path / "x.npy", "x")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.npy: No such file"):
        load_arrays(tmp_path / "none.npy", "x")


def test_one_array_for_several_inputs_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", A)
    with pytest.raises(InputError, match=r"one array for 2 inputs\n  expected: a \.npz with the names a, b"):
        read_inputs(str(tmp_path / "x.npy"), TENSORS)


def test_nan_is_counted_and_placed() -> None:
    b = B.copy()
    b[1, 0] = np.nan
    with pytest.raises(InputError, match=r"input 'b' holds NaN: 1 of 2 values, the first at \(1, 0\)"):
        refuse_nan({"a": A, "b": b})
    refuse_nan({"a": A, "b": np.array([np.inf], np.float32)})


def test_outputs_need_a_fitting_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 outputs"):
        write_outputs(str(tmp_path / "x.npy"), {"a": A, "b": B})
    with pytest.raises(UsageError, match=r"\.npz or \.npy"):
        write_outputs(str(tmp_path / "x.csv"), {"a": A})
    with pytest.raises(UsageError, match="could not be written: No such file"):
        write_outputs(str(tmp_path / "none" / "x.npy"), {"a": A})

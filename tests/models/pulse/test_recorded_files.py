"""Waveform files written byte by byte are read back exactly, and damaged ones are refused by name and event."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeconv.errors import UsageError
from edgeconv.models.pulse import Digitizer, PulseConfig, read_waveforms, simulate
from tests.models.pulse.wavedump_writer import wavedump_binary, wavedump_text

Codes = NDArray[np.uint16]
DIGITIZER = Digitizer(4.0, 12)


@pytest.fixture(scope="module")
def codes() -> Codes:
    return np.asarray(simulate(PulseConfig(), 5, 11).samples[:, 0], np.uint16)


@pytest.mark.parametrize("separator", [",", ";", "\t", " ", "  ", ", "])
@pytest.mark.parametrize("header", ["", "# a remark\n", "Model,DT5725\nRecord Length,128\n", "a b c\n"])
def test_a_table_finds_its_separator_and_header(tmp_path: Path, codes: Codes, separator: str, header: str) -> None:
    (tmp_path / "w.csv").write_text(header + "\r\n".join(separator.join(map(str, row)) for row in codes.tolist()))
    assert (read_waveforms(tmp_path / "w.csv", DIGITIZER).samples == codes).all()


def test_a_table_of_columns_leaves_out_its_time(tmp_path: Path, codes: Codes) -> None:
    rows = [",".join([str(4.0 * i), *(f"{v}.0" for v in row), ""]) for i, row in enumerate(codes.T.tolist())]
    (tmp_path / "w.txt").write_text("time,a,b,c,d,e\n" + "\n".join(rows))
    found = read_waveforms(tmp_path / "w.txt", DIGITIZER, columns=True, skip=1)
    assert (found.samples == codes).all()
    assert found.events.tolist() == [0, 1, 2, 3, 4]
    assert found.trigger_tags is None


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, ">u2"])
def test_numpy_files_are_read_whatever_type_holds_the_codes(tmp_path: Path, codes: Codes, dtype: str) -> None:
    np.save(tmp_path / "w.npy", codes.astype(dtype)[:, None])  # (N, 1, length) as the networks take it
    np.savez_compressed(tmp_path / "w.npz", waves=codes.astype(dtype), truth=np.zeros(3))
    assert (read_waveforms(tmp_path / "w.npy", DIGITIZER).samples == codes).all()
    assert (read_waveforms(tmp_path / "w.npz", DIGITIZER, dataset="waves").samples == codes).all()
    with pytest.raises(UsageError, match=r"w\.npz: no dataset named\n  expected: dataset= one of waves, truth"):
        read_waveforms(tmp_path / "w.npz", DIGITIZER)


def test_hdf5_takes_the_only_dataset_or_the_named_one(tmp_path: Path, codes: Codes) -> None:
    h5py = pytest.importorskip("h5py", reason="needs the extra data")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.create_dataset("run1/ch0", data=codes, compression="gzip")
    assert (read_waveforms(tmp_path / "w.h5", DIGITIZER).samples == codes).all()
    with h5py.File(tmp_path / "w.h5", "a") as file:
        file["run1/ch1"] = codes[::-1]
    assert (read_waveforms(tmp_path / "w.h5", DIGITIZER, dataset="/run1/ch1").samples == codes[::-1]).all()
    with pytest.raises(UsageError, match="no dataset 'run1'\n  expected: dataset= one of run1/ch0, run1/ch1"):
        read_waveforms(tmp_path / "w.h5", DIGITIZER, dataset="run1")
    data = (tmp_path / "w.h5").read_bytes()
    (tmp_path / "w.h5").write_bytes(data[: len(data) // 2])
    with pytest.raises(UsageError, match=r"w\.h5: not readable"):
        read_waveforms(tmp_path / "w.h5", DIGITIZER, dataset="run1/ch0")


def test_wavedump_binary_keeps_event_numbers_and_trigger_tags(tmp_path: Path, codes: Codes) -> None:
    (tmp_path / "wave2.dat").write_bytes(wavedump_binary(codes))
    found = read_waveforms(tmp_path / "wave2.dat", DIGITIZER)
    assert (found.samples == codes).all()
    assert found.events.tolist() == [100, 101, 102, 103, 104]
    assert found.trigger_tags is not None
    assert found.trigger_tags.tolist() == [0x80000000 + 1000 * i for i in range(5)]


def test_wavedump_binary_of_other_samples_and_without_headers(tmp_path: Path, codes: Codes) -> None:
    path, narrow = tmp_path / "wave0.dat", Digitizer(4.0, 8)
    path.write_bytes(wavedump_binary(codes >> 4, "B"))
    assert (read_waveforms(path, narrow).samples == codes >> 4).all()
    path.write_bytes(wavedump_binary(codes, "f"))
    assert (read_waveforms(path, DIGITIZER, sample_type="float32").samples == codes).all()
    path.write_bytes(wavedump_binary(codes, headers=False))
    assert (read_waveforms(path, DIGITIZER, headers=False, record_length=128).samples == codes).all()
    with pytest.raises(UsageError, match="headers=False with record_length="):
        read_waveforms(path, DIGITIZER)


def test_wavedump_text_with_and_without_headers(tmp_path: Path, codes: Codes) -> None:
    path = tmp_path / "wave2.txt"
    path.write_text(wavedump_text(codes))
    found = read_waveforms(path, DIGITIZER)
    assert (found.samples == codes).all()
    assert found.events.tolist() == [100, 101, 102, 103, 104]
    assert found.trigger_tags is not None
    assert found.trigger_tags.tolist() == [7000, 7001, 7002, 7003, 7004]
    path.write_text("\n".join(map(str, codes.ravel().tolist())))
    assert (read_waveforms(path, DIGITIZER, record_length=128).samples == codes).all()
    with pytest.raises(UsageError, match="event 6: 40 samples\n  expected: record_length = 100"):
        read_waveforms(path, DIGITIZER, record_length=100)


def _event(data: bytes, at: int, word: int, value: int) -> bytes:
    """WaveDump's binary with one header word of one event changed."""
    place = at * (24 + 256) + 4 * word
    return data[:place] + struct.pack("<I", value) + data[place + 4 :]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "empty"),
        (lambda data: data[:10], "event 0 cut off after 10 bytes"),
        (lambda data: data[:-1], "event 4 cut off after 279 bytes\n  expected: 280(.|\n)*first 1120 bytes"),
        (lambda data: data[: 3 * 280 + 5], "event 3 cut off after 5 bytes"),
        (lambda data: _event(data, 0, 0, 0xFFFFFFF8), "event 0 cut off after 1400 bytes\n  expected: 4294967288"),
        (lambda data: _event(data, 0, 0, 24), "event 0 has the size 24"),
        (lambda data: _event(data, 0, 0, 279), "event 0 has the size 279"),
        (lambda data: _event(data, 2, 0, 536), "event 2, byte 560: size 536\n  expected: 280"),
        (lambda data: _event(data, 1, 3, 5), r"channels \[2, 5\]"),
        (
            lambda data: _event(data, 3, 6, 0x1FFF),
            "event 103, sample 0: 8191\n  expected: a whole number from 0 to 4095",
        ),
    ],
)
def test_damaged_wavedump_binary(tmp_path: Path, codes: Codes, damage: Callable[[bytes], bytes], message: str) -> None:
    (tmp_path / "wave2.dat").write_bytes(damage(wavedump_binary(codes)))
    with pytest.raises(UsageError, match=r"wave2\.dat: " + message):
        read_waveforms(tmp_path / "wave2.dat", DIGITIZER)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Event Number: 102\n", "", "event 2: no Event Number in its header"),
        ("Event Number: 102", "Event Number: x", "event 2: Event Number 'x'"),
        ("Trigger Time Stamp: 7003\n", "", "event 3: no Trigger Time Stamp"),
        ("Number: 102", "Number: 102\nRecord Length: 128", "event 102: 0 samples\n  expected: 128"),
        ("Event Number: 102", "Record Length: 64\nEvent Number: 102", "event 2: 0 samples"),
        ("Start Index: 3\n", "Start Index: 3\nspark\n", "event 100, line 9: 'spark'"),
        ("Start Index: 3\n", "Start Index: 3\n5\n", "event 100: 129 samples\n  expected: 128"),
        ("Start Index: 3\n", "Start Index: 3\nnan\n", "event 100: 129 samples"),
    ],
)
def test_damaged_wavedump_text(tmp_path: Path, codes: Codes, old: str, new: str, message: str) -> None:
    text = wavedump_text(codes)
    assert old in text
    (tmp_path / "wave2.txt").write_text(text.replace(old, new, 1))
    with pytest.raises(UsageError, match=message):
        read_waveforms(tmp_path / "wave2.txt", DIGITIZER)


def test_wavedump_text_cut_off_or_of_several_lengths(tmp_path: Path, codes: Codes) -> None:
    path, text = tmp_path / "wave2.txt", wavedump_text(codes)
    path.write_text("\n".join(text.splitlines()[:-3]))
    with pytest.raises(UsageError, match="event 104: 125 samples\n  expected: 128, as its Record Length says"):
        read_waveforms(path, DIGITIZER)
    path.write_text(text + wavedump_text(codes[:1, :100]))
    with pytest.raises(UsageError, match="event 100: Record Length 100\n  expected: 128: one record length a file"):
        read_waveforms(path, DIGITIZER)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no numbers"),
        ("time,volts\n", "header lines alone"),
        ("1,2,3\n4,5\n", "line 2: 2 cells\n  expected: 3"),
        ("1,2,3\n4,five,6\n", "line 2, cell 2: 'five'"),
        ("1,2,3\n4,,6\n", "line 2, cell 2: ''"),
        ("x1,2,3\n4,5,6\n", "line 1, cell 1: 'x1'"),
        ("1,2,3\n4,nan,6\n", "event 1, sample 1: nan"),
        ("1,2,3\n4,inf,6\n", "event 1, sample 1: inf"),
        ("1,2,3\n4,5.5,6\n", "event 1, sample 1: 5.5"),
        ("1,2,3\n4,4096,6\n", "event 1, sample 1: 4096.0\n  expected: a whole number from 0 to 4095"),
        ("1,2,-3\n", "event 0, sample 2: -3.0"),
    ],
)
def test_damaged_tables(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "w.csv").write_text(text)
    with pytest.raises(UsageError, match=r"w\.csv: " + message):
        read_waveforms(tmp_path / "w.csv", DIGITIZER)


def test_damaged_arrays(tmp_path: Path, codes: Codes) -> None:
    path = tmp_path / "w.npy"
    np.save(path, codes)
    path.write_bytes(path.read_bytes()[:-7])
    with pytest.raises(UsageError, match=r"w\.npy: not readable"):
        read_waveforms(path, DIGITIZER)
    for wrong in (codes[0], codes[:0], codes > 5, np.array([["a"]])):
        np.save(path, wrong)
        with pytest.raises(UsageError, match=r"w\.npy: array of shape"):
            read_waveforms(path, DIGITIZER)
    np.savez(tmp_path / "w.npz", codes)
    (tmp_path / "w.npz").write_bytes((tmp_path / "w.npz").read_bytes()[:-40])
    with pytest.raises(UsageError, match=r"w\.npz: not readable"):
        read_waveforms(tmp_path / "w.npz", DIGITIZER)
    (tmp_path / "w.csv").write_bytes(b"1,2\n\xff\xfe")
    with pytest.raises(UsageError, match=r"w\.csv: byte 4 is no text"):
        read_waveforms(tmp_path / "w.csv", DIGITIZER)


@pytest.mark.parametrize("ending", ["dat", "txt", "csv", "npy", "npz", "h5"])
def test_random_damage_is_an_error_or_leaves_codes(tmp_path: Path, codes: Codes, ending: str) -> None:
    path = tmp_path / f"w.{ending}"
    if ending == "npy":
        np.save(path, codes)
    elif ending == "npz":
        np.savez_compressed(path, codes)
    elif ending == "h5":
        h5py = pytest.importorskip("h5py", reason="needs the extra data")
        with h5py.File(path, "w") as file:
            file.create_dataset("a/b", data=codes, compression="gzip")
    else:
        table = "\n".join(",".join(map(str, row)) for row in codes.tolist())
        path.write_bytes(
            {"dat": wavedump_binary(codes), "txt": wavedump_text(codes).encode()}.get(ending, table.encode())
        )
    whole, refused = path.read_bytes(), list[str]()
    for seed in range(40):
        rng = np.random.default_rng(seed)
        # Half of the damage goes into the first bytes, where the headers are.
        at = int(rng.integers(0, min(len(whole), 200) if seed % 2 else len(whole)))
        data = whole[:at] + rng.bytes(int(rng.integers(0, 6))) + whole[at + int(rng.integers(0, 6)) :]
        path.write_bytes(data)
        try:
            found = read_waveforms(path, DIGITIZER)
        except UsageError as error:
            refused.append(str(error))
        else:
            assert found.samples.max() < 4096, f"seed {seed}"
    assert len(refused) > 5
    assert all(f"w.{ending}: " in message for message in refused)


def test_what_cannot_be_asked(tmp_path: Path, codes: Codes) -> None:
    path = tmp_path / "w.xyz"
    with pytest.raises(UsageError, match="no such file"):
        read_waveforms(path, DIGITIZER)
    path.write_bytes(wavedump_binary(codes, headers=False))
    with pytest.raises(UsageError, match=r"ending '\.xyz'"):
        read_waveforms(path, DIGITIZER)
    with pytest.raises(UsageError, match="file_format 'root'"):
        read_waveforms(path, DIGITIZER, file_format="root")
    with pytest.raises(UsageError, match="no headers\n  expected: record_length="):
        read_waveforms(path, DIGITIZER, file_format="wavedump-binary", headers=False)
    with pytest.raises(UsageError, match="sample_type = 'int12'"):
        read_waveforms(path, DIGITIZER, file_format="wavedump-binary", sample_type="int12")
    with pytest.raises(UsageError, match="record_length = 0"):
        read_waveforms(path, DIGITIZER, file_format="wavedump-binary", record_length=0)
    with pytest.raises(UsageError, match="skip = -1"):
        read_waveforms(path, DIGITIZER, skip=-1)

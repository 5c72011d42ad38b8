"""A thousand damaged variants of a record: each is refused with a reason, or read as an independent reader reads it."""

from __future__ import annotations

import importlib.util
import shutil
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edgeconv.models.ecg_mamba import LEADS, Record, Skipped, scan
from edgeconv.models.ecg_mamba.writer import write_record

VARIANTS = 1000
SAMPLES = 300
Damage = Callable[[np.random.Generator, bytes, bytes], tuple[bytes | None, bytes | None]]


def original(folder: Path) -> tuple[bytes, bytes]:
    rng = np.random.default_rng(7)
    adc = np.cumsum(rng.integers(-40, 41, (12, SAMPLES)), axis=1).astype(np.int16)
    write_record(folder, "A0001", adc, 250, gain=500, baseline=12, codes=("426783006", "164889003"), age=61, sex="F")
    return (folder / "A0001.hea").read_bytes(), (folder / "A0001.mat").read_bytes()


def read_strictly(header: bytes, payload: bytes) -> dict[str, tuple[float, int, float, list[int]]]:
    """Lead -> rate, baseline, gain and samples, as plainly as the format can be read; anything odd raises."""
    lines = [line for line in header.decode("ascii", "replace").replace("\r", "\n").split("\n") if line.strip()]
    signals = [line.split() for line in lines if not line.strip().startswith("#")]
    count, rate, samples = int(signals[0][1]), signals[0][2], int(signals[0][3]) if len(signals[0]) > 3 else None
    rows, columns = struct.unpack("<2i", payload[4:12])
    assert rows == count == len(signals) - 1
    assert samples in (columns, 0, None)
    values = struct.unpack(f"<{rows * columns}h", payload[24:])
    leads = {}
    for row, fields in enumerate(signals[1:]):
        gain, _, rest = fields[2].partition("(")
        if rest:
            baseline = int(rest.split(")")[0])
        else:
            gain, baseline = gain.split("/")[0], int(fields[4])
        units = fields[2].split("/")[1] if "/" in fields[2] else "mV"
        factor = {"mv": 1.0, "uv": 1e3, "v": 1e-3, "nv": 1e6}[units.lower()]
        name = " ".join(fields[8:])
        leads[name] = (float(rate.split("/")[0]), baseline, float(gain) * factor, list(values[row::rows]))
    return leads


def flip_header(rng: np.random.Generator, hea: bytes, mat: bytes) -> tuple[bytes, bytes]:
    data = bytearray(hea)
    for at in rng.integers(0, len(data), rng.integers(1, 4)):
        data[at] ^= 1 << rng.integers(8)
    return bytes(data), mat


def print_header(rng: np.random.Generator, hea: bytes, mat: bytes) -> tuple[bytes, bytes]:
    """Other printable characters in the signal lines."""
    data = bytearray(hea)
    end = hea.index(b"#")
    for at in rng.integers(0, end, rng.integers(1, 3)):
        data[at] = rng.choice(list(b"0123456789 ./()+-xeEmV:,#IVFRLavr"))
    return bytes(data), mat


def cut_header(rng: np.random.Generator, hea: bytes, mat: bytes) -> tuple[bytes, bytes]:
    return hea[: rng.integers(0, len(hea))], mat


def swap_fields(rng: np.random.Generator, hea: bytes, mat: bytes) -> tuple[bytes, bytes]:
    lines = hea.split(b"\n")
    row = rng.integers(0, 13)
    fields = lines[row].split(b" ")
    a, b = rng.choice(len(fields), 2, replace=False)
    fields[a], fields[b] = fields[b], fields[a]
    lines[row] = b" ".join(fields)
    return b"\n".join(lines), mat


def move_lines(rng: np.random.Generator, hea: bytes, mat: bytes) -> tuple[bytes, bytes]:
    lines = hea.split(b"\n")
    a, b = rng.integers(0, 16, 2)
    match rng.integers(3):
        case 0:
            lines[a], lines[b] = lines[b], lines[a]
        case 1:
            del lines[a]
        case _:
            lines.insert(a, lines[b])
    return b"\n".join(lines), mat


NASTY = (
    "nan inf -inf -1 0 00 1e400 1e-400 99999999999 2147483648 -32768 1_000 １０００ ٣ 0x10 500.5 1000/mV // () \ufeff"
)


def replace_field(rng: np.random.Generator, hea: bytes, mat: bytes) -> tuple[bytes, bytes]:
    lines = hea.decode().split("\n")
    row = rng.integers(0, 16)
    fields = lines[row].split(" ")
    fields[rng.integers(len(fields))] = str(rng.choice([*NASTY.split(), "", "None"]))
    lines[row] = " ".join(fields)
    return "\n".join(lines).encode(), mat


def lie_about_counts(rng: np.random.Generator, hea: bytes, mat: bytes) -> tuple[bytes, bytes]:
    lines = hea.decode().split("\n")
    fields = lines[0].split(" ")
    place = rng.integers(1, 4)
    fields[place] = str(max(0, int(fields[place]) + int(rng.choice([-200, -12, -2, -1, 1, 2, 12, 200]))))
    lines[0] = " ".join(fields)
    return "\n".join(lines).encode(), mat


def lie_in_matrix(rng: np.random.Generator, hea: bytes, mat: bytes) -> tuple[bytes, bytes]:
    kinds = [0, 10, 20, 30, 31, 40, 50, 1030, -1]
    rows, columns = (int(rng.choice(values)) for values in ([12, 11, 13, 300, -12, 2**30], [300, 12, 299, 301, -1]))
    return hea, struct.pack("<3i", int(rng.choice(kinds)), rows, columns) + mat[12:]


def flip_payload(rng: np.random.Generator, hea: bytes, mat: bytes) -> tuple[bytes, bytes]:
    data = bytearray(mat)
    end = 24 if rng.integers(2) else len(data)
    for at in rng.integers(0, end, rng.integers(1, 4)):
        data[at] ^= 1 << rng.integers(8)
    return hea, bytes(data)


def resize_payload(rng: np.random.Generator, hea: bytes, mat: bytes) -> tuple[bytes, bytes]:
    if rng.integers(2):
        return hea, mat[: rng.integers(0, len(mat))]
    return hea, mat + bytes(rng.integers(0, 256, rng.integers(1, 100), np.uint8))


def other_payload(rng: np.random.Generator, hea: bytes, mat: bytes) -> tuple[bytes | None, bytes | None]:
    samples = np.frombuffer(mat, "<i2", offset=24)
    match rng.integers(7):
        case 0:
            return hea, struct.pack(">5i", 1030, 12, SAMPLES, 0, 4) + b"val\0" + samples.astype(">i2").tobytes()
        case 1:
            return hea, mat[:24] + samples.astype(">i2").tobytes()
        case 2:
            return hea, struct.pack("<5i", 0, 12, SAMPLES, 0, 4) + b"val\0" + samples.astype("<f8").tobytes()
        case 3:
            return hea, b"MATLAB 5.0 MAT-file".ljust(len(mat), b" ")
        case 4:  # rows and columns of the matrix stored in the other order
            return hea, mat[:24] + samples.reshape(SAMPLES, 12).T.tobytes()
        case 5:
            return hea, None
        case _:
            return None, mat


DAMAGES: tuple[Damage, ...] = (
    flip_header,
    print_header,
    cut_header,
    swap_fields,
    move_lines,
    replace_field,
    lie_about_counts,
    lie_in_matrix,
    flip_payload,
    resize_payload,
    other_payload,
)


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path, Record | Skipped]]:
    """What the loader makes of each damaged record: the name of the damage, its folder, the outcome."""
    root = tmp_path_factory.mktemp("damaged")
    hea, mat = original(root)
    outcomes = []
    for seed in range(VARIANTS):
        damage = DAMAGES[seed % len(DAMAGES)]
        header, payload = damage(np.random.default_rng(seed), hea, mat)
        folder = root / f"{seed:04d}"
        folder.mkdir()
        if header is not None:
            (folder / "A0001.hea").write_bytes(header)
        if payload is not None:
            (folder / "A0001.mat").write_bytes(payload)
        found = list(scan(folder, require_labels=False))
        assert len(found) == 1, f"seed {seed}: {damage.__name__} vanished without a report"
        outcomes.append((f"{damage.__name__}, seed {seed}", folder, found[0]))
    return outcomes


def test_every_damage_gives_a_record_or_a_reason(variants: list[tuple[str, Path, Record | Skipped]]) -> None:
    kinds = Counter(type(outcome).__name__ for _, _, outcome in variants)
    assert sum(kinds.values()) == VARIANTS
    assert kinds["Skipped"] > 0.7 * VARIANTS
    assert kinds["Record"] > 50  # damage to comments, names and scales that no check can know
    for _, _, outcome in variants:
        if isinstance(outcome, Skipped):
            assert len(outcome.reason) > 10
    assert len({outcome.reason for _, _, outcome in variants if isinstance(outcome, Skipped)}) > 100


def test_damage_to_samples_or_their_shape_never_loads(variants: list[tuple[str, Path, Record | Skipped]]) -> None:
    undetected = [
        name
        for name, folder, outcome in variants
        if isinstance(outcome, Record) and (folder / "A0001.mat").read_bytes() != (folder / "../A0001.mat").read_bytes()
    ]
    assert undetected == []


def test_what_still_loads_is_what_an_independent_reader_reads(
    variants: list[tuple[str, Path, Record | Skipped]],
) -> None:
    loaded = [one for one in variants if isinstance(one[2], Record)]
    for name, folder, record in loaded:
        assert isinstance(record, Record)
        expected = read_strictly((folder / "A0001.hea").read_bytes(), (folder / "A0001.mat").read_bytes())
        by_lead = {lead.lower(): values for lead, values in expected.items()}
        for place, lead in enumerate(LEADS):
            if not record.present[place]:
                assert lead.lower() not in by_lead, f"{name}: lead {lead} was dropped"
                continue
            rate, baseline, gain, samples = by_lead[lead.lower()]
            found = (record.rate_hz, record.baseline[place], record.gain[place])
            assert found == pytest.approx((rate, baseline, gain), rel=1e-12), name
            assert record.adc[place].tolist() == samples, name
        left_out = [note for note in record.notes if "left out" in note]
        assert len(left_out) == len(expected) - record.present.sum(), f"{name}: {record.notes}"


@pytest.mark.skipif(importlib.util.find_spec("wfdb") is None, reason="wfdb is not installed (extra data)")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_still_loads_is_what_wfdb_reads(variants: list[tuple[str, Path, Record | Skipped]]) -> None:
    import wfdb

    for name, folder, record in variants:
        if not isinstance(record, Record):
            continue
        other = wfdb.rdrecord(str(folder / "A0001"), physical=False)
        assert other.fs == record.rate_hz, name
        names = [(lead or "").lower() for lead in other.sig_name]
        for place in np.flatnonzero(record.present):
            column = names.index(LEADS[place].lower())
            assert other.d_signal[:, column].tolist() == record.adc[place].tolist(), name
            assert other.baseline[column] == record.baseline[place], name


def test_the_undamaged_record_loads_without_a_note(tmp_path: Path) -> None:
    original(tmp_path)
    (record,) = scan(tmp_path)
    assert isinstance(record, Record)
    # Random walks are no ECG: the limb leads contradict one another, which is all there is to say.
    assert [note[:36] for note in record.notes] == ["limb leads contradict one another: I"]
    assert record.codes == ("426783006", "164889003")
    assert (record.age, record.sex, record.rate_hz) == (61, "F", 250)
    assert (record.gain == 500).all()
    assert (record.baseline == 12).all()


def test_a_loader_reports_each_record_of_a_folder(tmp_path: Path) -> None:
    hea, mat = original(tmp_path)
    (tmp_path / "deeper").mkdir()
    (tmp_path / "deeper/A0001.hea").write_bytes(hea)
    shutil.copy(tmp_path / "A0001.mat", tmp_path / "deeper/A0001.mat")
    (tmp_path / "A0002.mat").write_bytes(mat)
    (tmp_path / "A0003.hea").mkdir()
    reasons = {str(one.path.relative_to(tmp_path)): one.reason for one in scan(tmp_path) if isinstance(one, Skipped)}
    assert reasons == {
        "A0002.mat": "it has no header (.hea)",
        "A0003.hea": "'A0003.hea' is no file",
        "deeper/A0001.hea": f"it holds the same samples as '{tmp_path / 'A0001.hea'}'",
    }

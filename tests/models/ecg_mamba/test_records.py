"""Records are read with the leads, scales, diagnoses and gaps they have; real ones, too, where they are at hand."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import InputError, UsageError
from edgeconv.models.ecg_mamba import LEADS, Record, read_folders, read_patients, read_record
from edgeconv.models.ecg_mamba.leads import complete_limb_leads, standard_name
from edgeconv.models.ecg_mamba.samples import INVALID
from edgeconv.models.ecg_mamba.writer import write_record

ROOT = Path(__file__).parents[3]
# Real records are not part of the project; EDGECONV_ECG_DATA names a folder with some.
REAL = [Path(os.environ.get("EDGECONV_ECG_DATA", ".")), ROOT / "shared/data/ecg", ROOT.parent / "shared/data/ecg"]
REAL += [ROOT.parents[1] / "shared/data/ecg"]
real_folder = next((folder for folder in REAL if (folder / "s0010_re.hea").exists()), None)
needs_records = pytest.mark.skipif(real_folder is None, reason="no real records; EDGECONV_ECG_DATA names their folder")


def walk(leads: int = 12, samples: int = 600, seed: int = 1) -> np.ndarray:
    return np.cumsum(np.random.default_rng(seed).integers(-30, 31, (leads, samples)), axis=1).astype(np.int16)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@needs_records
@pytest.mark.parametrize(
    ("name", "rate", "leads", "samples"),
    [("100", 360, 2, 650_000), ("a103l", 250, 1, 82_500), ("s0010_re", 1000, 12, 38_400)],
)
def test_real_records_load(name: str, rate: float, leads: int, samples: int) -> None:
    assert real_folder
    record = read_record(real_folder / f"{name}.hea")
    assert (record.rate_hz, record.present.sum(), record.adc.shape[1]) == (rate, leads, samples)
    assert 0.05 < np.nanstd(record.millivolts()) < 1


@needs_records
@pytest.mark.skipif(importlib.util.find_spec("wfdb") is None, reason="wfdb is not installed (extra data)")
@pytest.mark.parametrize("name", ["100", "a103l", "s0010_re"])
def test_real_records_are_what_wfdb_reads(name: str) -> None:
    import wfdb

    assert real_folder
    record, other = read_record(real_folder / f"{name}.hea"), wfdb.rdrecord(str(real_folder / name))
    for column, description in enumerate(other.sig_name):
        lead = standard_name(description)
        if lead is not None:
            np.testing.assert_allclose(
                record.millivolts()[LEADS.index(lead)], other.p_signal[:, column], rtol=0, atol=1e-12
            )


@needs_records
def test_a_real_folder_without_snomed_codes_is_skipped_with_that_reason() -> None:
    assert real_folder
    loading = read_folders(real_folder)
    assert not loading.records
    assert {one.reason for one in loading.skipped} == {"it has no diagnoses (comment Dx)"}
    everything = read_folders(real_folder, require_labels=False)
    assert everything.text().startswith("3 records of 3 patients read, 0 skipped")
    assert "signal 'PLETH' is no standard lead and was left out" in everything.text()
    ptb = next(record for record in everything.records if record.name == "s0010_re")
    assert (ptb.age, ptb.sex) == (81, "F")


def test_leads_come_in_their_order_whatever_their_order_and_names(tmp_path: Path) -> None:
    adc = walk()
    names = ["v6", "V5", "C4", "V3", "V2", "v1", "AVF", "avl", "aVR", "DIII", "Lead II", "MLI"]
    record = read_record(write_record(tmp_path, "A1", adc, 250, leads=names))
    assert (record.adc == adc[::-1]).all()
    assert record.present.all()


def test_leads_that_are_missing_constant_or_unknown_are_absent_and_noted(tmp_path: Path) -> None:
    adc = walk(5)
    adc[2] = 7
    record = read_record(write_record(tmp_path, "A1", adc, 250, leads=["I", "V2", "V3", "RESP", "V6"]))
    assert [LEADS[i] for i in np.flatnonzero(record.present)] == ["I", "V2", "V6"]
    assert np.isnan(record.millivolts()[~record.present]).all()
    assert record.notes == ("signal 'RESP' is no standard lead and was left out", "lead V3 is constant, left out")


def test_gaps_are_missing_samples_and_many_of_them_a_missing_lead(tmp_path: Path) -> None:
    adc = walk()
    adc[1, 100:110] = INVALID
    adc[5, :200] = INVALID
    record = read_record(write_record(tmp_path, "A1", adc, 250))
    assert np.flatnonzero(np.isnan(record.millivolts()[1])).tolist() == list(range(100, 110))
    assert np.flatnonzero(~record.present).tolist() == [5]
    assert record.notes[:2] == ("lead II: 10 samples are missing", "lead aVF: 200 of 600 samples are missing, left out")


@pytest.mark.parametrize(("units", "per_millivolt"), [("mV", 1000.0), ("uV", 1e6), ("µV", 1e6), ("V", 1.0)])
def test_units_become_millivolts(tmp_path: Path, units: str, per_millivolt: float) -> None:
    adc = walk()
    path = write_record(tmp_path, "A1", adc, 250, gain=1000, baseline=-5)
    edit(path, "/mV", f"/{units}")
    record = read_record(path) if per_millivolt >= 1000 else None
    if record is None:  # one ADC unit per millivolt makes this walk an absurd signal
        with pytest.raises(InputError, match="from its median for half of the time"):
            read_record(path)
        return
    np.testing.assert_allclose(record.millivolts(), (adc + 5) / per_millivolt, rtol=1e-12)


@pytest.mark.parametrize("samples", [600, 601])
def test_plain_files_of_16_and_12_bits_are_read(tmp_path: Path, samples: int) -> None:
    adc = np.clip(walk(3, samples), -2047, 2047).astype(np.int16)
    path = write_record(tmp_path, "A1", adc, 250, leads=("I", "II", "V1"))
    (tmp_path / "A1.dat").write_bytes(adc.T.astype("<i2").tobytes())
    edit(path, "A1.mat 16+24", "A1.dat 16")
    assert (read_record(path).adc[[0, 1, 6]] == adc).all()
    low, high = np.append(adc.T.reshape(-1), [0] * (3 * samples % 2)).reshape(-1, 2).astype(np.int64).T & 0xFFF
    packed = np.stack([low & 0xFF, low >> 8 | high >> 8 << 4, high & 0xFF], 1).astype(np.uint8).tobytes()
    (tmp_path / "A1.dat").write_bytes(packed[: (3 * samples * 3 + 1) // 2])
    edit(path, "A1.dat 16", "A1.dat 212")
    assert (read_record(path).adc[[0, 1, 6]] == adc).all()


def test_signals_may_stand_in_several_files(tmp_path: Path) -> None:
    adc = walk(4)
    path = write_record(tmp_path, "A1", adc, 250, leads=("I", "II", "V1", "V2"))
    for file, rows in (("a.dat", slice(0, 2)), ("b.dat", slice(2, 4))):
        (tmp_path / file).write_bytes(adc[rows].T.astype("<i2").tobytes())
    lines = path.read_text().split("\n")
    for i in range(4):
        lines[1 + i] = lines[1 + i].replace("A1.mat 16+24", f"{'a' if i < 2 else 'b'}.dat 16")
    path.write_text("\n".join(lines))
    assert (read_record(path).adc[[0, 1, 6, 7]] == adc).all()
    (tmp_path / "b.dat").write_bytes((tmp_path / "b.dat").read_bytes()[:-4])
    with pytest.raises(InputError, match=r"'b\.dat' holds 2396 bytes\n  expected: 2400 for 2 x 600 samples"):
        read_record(path)


def test_a_header_may_leave_the_length_open(tmp_path: Path) -> None:
    adc = walk()
    path = write_record(tmp_path, "A1", adc, 250)
    edit(path, "A1 12 250 600", "A1 12 250")
    assert (read_record(path).adc == adc).all()


REFUSED = [
    ("A1 12 250 600", "A2 12 250 600", "the header of 'A1' names the record 'A2'"),
    ("A1 12 250 600", "A1/3 12 250 600", "a record of several segments"),
    ("A1 12 250 600", "A1 12 nan 600", "line 1: sampling rate 'nan'"),
    ("A1 12 250 600", "A1 12 25 600", "line 1: sampling rate '25'\n  expected: 50 to 10000 Hz"),
    ("A1 12 250 600", "A1 11 250 600", "announces 11 signals and describes 12"),
    ("1000(0)/mV", "0(0)/mV", "line 2: gain '0'\n  expected: a positive number"),
    ("1000(0)/mV", "nan(0)/mV", "line 2: gain 'nan'"),
    ("1000(0)/mV", "1O00(0)/mV", "line 2: gain '1O00'"),
    ("1000(0)/mV", "1e9(0)/mV", r"expected: 1 to 1e\+06 ADC units per mV"),
    ("1000(0)/mV", "1000(0)/mmHg", "lead I is in 'mmHg'\n  expected: a voltage"),
    ("0 V2", "0 V1", "lead V1 occurs twice"),
    ("16+24", "16x4+24", "one sample a frame and no skew"),
    ("16+24", "16", r"stores 'A1\.mat' as 16\+0\n  expected: 16\+24"),
    ("A1.mat", "../A1.mat", "expected: the name of a file beside the header"),
    ("#Dx: 426783006", "#Dx: atrial fibrillation", "diagnosis 'atrial fibrillation' in the comment Dx"),
    ("#Dx: 426783006", "#Dx: 426783006\n#Dx: 164889003", "the header gives 'Dx' twice"),
]


@pytest.mark.parametrize(("old", "new", "message"), REFUSED, ids=lambda text: text[:24])
def test_a_header_that_is_wrong_is_refused_with_the_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write_record(tmp_path, "A1", walk(), 250, codes=("426783006",))
    edit(path, old, new)
    with pytest.raises(InputError, match=message):
        read_record(path)


def test_a_header_as_the_challenges_write_it_is_read(tmp_path: Path) -> None:
    adc = walk()
    path = write_record(tmp_path, "A1", adc, 250, codes=("59118001", "426783006"))
    edit(path, "A1 12 250 600", "A1 12 250 600 05-Feb-2020 11:39:16")
    edit(path, "(0)/mV", "/mV")
    path.write_text(path.read_text().replace("\n", "\r\n"), newline="")
    record = read_record(path)
    assert (record.adc == adc).all()
    assert (record.gain == 1000).all()
    assert record.codes == ("59118001", "426783006")


def test_checksums_that_are_known_to_be_wrong_become_notes(tmp_path: Path) -> None:
    adc = walk()
    path = write_record(tmp_path, "A1", adc, 250)
    total = path.read_text().split("\n")[1].split()[6]
    edit(path, f" {total} 0 I\n", " 17 0 I\n")
    with pytest.raises(InputError, match="'I' has the checksum"):
        read_record(path)
    record = read_record(path, trust_checksums=False)
    assert (record.adc == adc).all()
    assert record.notes[0] == f"'I' has the checksum {total}, 17 by the header"


@pytest.mark.timeout(20)
def test_what_is_no_regular_file_is_reported_and_not_waited_for(tmp_path: Path) -> None:
    path = write_record(tmp_path, "A1", walk(), 250)
    path.with_suffix(".mat").unlink()
    os.mkfifo(path.with_suffix(".mat"))
    os.mkfifo(tmp_path / "A2.hea")
    (tmp_path / "A3.hea").symlink_to(tmp_path / "nowhere")
    reasons = {one.path.name: one.reason for one in read_folders(tmp_path).skipped}
    assert reasons == {
        "A1.hea": "'A1.mat' is no file",
        "A2.hea": "'A2.hea' is no file",
        "A3.hea": "'A3.hea' does not exist",
    }


def test_a_file_too_long_to_be_a_record_is_not_read(tmp_path: Path) -> None:
    path = write_record(tmp_path, "A1", walk(), 250)
    with path.with_suffix(".mat").open("r+b") as file:
        file.truncate(2**40)  # a hole: no disk is used
    with pytest.raises(InputError, match=r"'A1\.mat' has 1099511627776 bytes\n  expected: at most 1073741824"):
        read_record(path)


def test_two_leads_with_the_same_samples_are_refused(tmp_path: Path) -> None:
    adc = walk()
    adc[9] = adc[6]
    with pytest.raises(InputError, match="leads V1 and V4 hold the same samples"):
        read_record(write_record(tmp_path, "A1", adc, 250))


def test_limb_leads_that_contradict_one_another_are_noted(tmp_path: Path) -> None:
    adc = walk()
    adc[2] = adc[1] - adc[0]
    assert read_record(write_record(tmp_path, "A1", adc, 250)).notes == ()
    swapped = read_record(write_record(tmp_path, "A2", adc, 250, leads=("I", "III", "II", *LEADS[3:])))
    assert "limb leads contradict one another" in swapped.notes[0]


def test_limb_leads_follow_from_any_two() -> None:
    rng = np.random.default_rng(0)
    one, two = rng.standard_normal((2, 50))
    whole = np.zeros((12, 50))
    whole[:6] = one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2
    for kept in ([0, 1], [1, 2], [3, 4], [2, 5], [0, 3, 5]):
        present = np.isin(np.arange(12), kept)
        signal, known = complete_limb_leads(np.where(present[:, None], whole, 0), present)
        np.testing.assert_allclose(signal, whole, atol=1e-12)
        assert known[:6].all()
        assert not known[6:].any()


@pytest.mark.parametrize(
    ("age", "sex", "expected"),
    [
        ("55", "Female", (55, "F", 0)),
        ("NaN", "Unknown", (None, None, 0)),
        ("3.5", "m", (3.5, "M", 0)),
        ("300", "x", (None, None, 2)),
    ],
)
def test_age_and_sex_are_known_or_not(
    tmp_path: Path, age: str, sex: str, expected: tuple[float | None, str | None, int]
) -> None:
    adc = walk()
    adc[2] = adc[1] - adc[0]
    path = write_record(tmp_path, "A1", adc, 250)
    edit(path, "#Age: NaN", f"#Age: {age}")
    edit(path, "#Sex: Unknown", f"#Sex: {sex}")
    record = read_record(path)
    assert (record.age, record.sex, len(record.notes)) == expected


def test_patients_come_from_a_table_a_comment_or_a_folder(tmp_path: Path) -> None:
    (tmp_path / "patient007").mkdir()
    paths = [
        write_record(folder, name, walk(seed=seed), 250, codes=("426783006",))
        for seed, (folder, name) in enumerate(
            [(tmp_path, "A1"), (tmp_path, "A2"), (tmp_path, "A3"), (tmp_path / "patient007", "s1")]
        )
    ]
    with paths[1].open("a") as file:
        file.write("#Patient: Q5\n")
    (tmp_path / "patients.csv").write_text("record,patient\nA1,P1\n")
    records: tuple[Record, ...] = read_folders(tmp_path).records
    assert {one.name: one.patient for one in records} == {"A1": "P1", "A2": "Q5", "A3": "A3", "s1": "patient007"}
    (tmp_path / "patients.csv").write_text("record,patient\nA1,P1\nA1,P2\n")
    with pytest.raises(InputError, match="line 3: 'A1' has two patients"):
        read_patients(tmp_path / "patients.csv")


def test_a_folder_that_does_not_exist_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no folder"):
        read_folders(tmp_path / "nowhere")

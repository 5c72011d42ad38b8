"""Records become integers of known physical size: resampling, gaps, offsets, windows, saturation, parts of a split."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import InputError, UsageError
from edgeconv.models.ecg_mamba import (
    SCORED,
    EcgDataset,
    Record,
    SignalConfig,
    Skipped,
    assign_parts,
    positive_weights,
    prepare,
    resample,
)
from edgeconv.models.ecg_mamba.samples import INVALID

RATES = [(500, 250), (257, 250), (360, 250), (250, 500), (1000, 250), (500, 500), (333.5, 250)]


def record(
    millivolts: np.ndarray, rate_hz: float = 250, gain: float = 1000, baseline: int = 0, **fields: object
) -> Record:
    adc = np.rint(millivolts * gain + baseline).astype(np.int16)
    values: dict[str, object] = {"codes": (), "age": None, "sex": None, "patient": "P", "name": "A"}
    known = {"present": np.ones(12, bool), "gain": np.full(12, float(gain)), "baseline": np.full(12, baseline)}
    return Record(rate_hz=rate_hz, adc=adc, **(known | values | fields))  # type: ignore[arg-type]


@pytest.mark.parametrize(("rate", "new_rate"), RATES)
def test_a_slow_wave_is_the_same_wave_at_another_rate(rate: float, new_rate: float) -> None:
    def wave(at_rate: float, samples: int) -> np.ndarray:
        t = np.arange(samples) / at_rate
        return np.stack([np.sin(2 * np.pi * 7 * t), np.cos(2 * np.pi * 31 * t)])

    found = resample(wave(rate, round(4 * rate)), rate, new_rate)
    expected = wave(new_rate, found.shape[1])
    assert found.shape[1] == np.ceil(round(4 * rate) * new_rate / rate)
    inside = slice(round(0.2 * new_rate), -round(0.2 * new_rate))
    np.testing.assert_allclose(found[:, inside], expected[:, inside], atol=2e-3)


def test_what_the_new_rate_cannot_hold_is_removed() -> None:
    t = np.arange(4000) / 1000
    found = resample(np.sin(2 * np.pi * 200 * t)[None], 1000, 250)
    assert abs(found[:, 100:-100]).max() < 2e-3
    np.testing.assert_allclose(resample(np.full((1, 100), 3.25), 500, 257), 3.25, atol=1e-3)


@pytest.mark.skipif(importlib.util.find_spec("scipy") is None, reason="scipy is not installed")
@pytest.mark.parametrize(("rate", "new_rate"), [pair for pair in RATES if pair[0] != 333.5])
def test_resampling_is_that_of_scipy(rate: int, new_rate: int) -> None:
    from scipy.signal import resample_poly

    x = np.random.default_rng(3).standard_normal((12, 777))
    divisor = np.gcd(rate, new_rate)
    expected = resample_poly(x, new_rate // divisor, rate // divisor, axis=1, padtype="edge")
    np.testing.assert_allclose(resample(x, rate, new_rate), expected, atol=1e-12)


def test_rates_without_a_simple_ratio_are_refused() -> None:
    with pytest.raises(InputError, match="resampling from"):
        resample(np.zeros((1, 100)), 499.9999, 250.123)


def test_inputs_are_steps_of_the_stated_size_whatever_gain_and_baseline() -> None:
    rng = np.random.default_rng(0)
    signal = np.rint(rng.uniform(-1, 1, (12, 2560)) * 200) / 200
    config = SignalConfig()
    expected = np.rint((signal - np.median(signal, axis=1, keepdims=True)) * 1024)
    for gain, baseline in ((1000, 0), (200, 1000), (4000, -17)):
        windows = prepare(record(signal, gain=gain, baseline=baseline), config)
        assert windows.inputs.dtype == np.int16
        assert windows.inputs.shape == (1, 12, 2560)
        assert (windows.inputs[0] == expected).all()
        assert windows.clipped == 0


def test_eight_bits_saturate_and_say_how_much() -> None:
    signal = np.zeros((12, 2560))
    signal[:, ::10] = 5.0
    windows = prepare(record(signal), SignalConfig(bits=8, lsb_mv=2**-5))
    assert windows.inputs.dtype == np.int8
    assert windows.inputs.max() == 127
    assert windows.clipped == pytest.approx(0.1)


def test_gaps_are_bridged_and_missing_leads_derived_or_zero() -> None:
    rng = np.random.default_rng(1)
    one, two = np.rint(rng.uniform(-1, 1, (2, 2560)) * 100) / 100
    signal = np.zeros((12, 2560))
    signal[0], signal[1], signal[7] = one, two, np.linspace(-1, 1, 2560)
    present = np.isin(np.arange(12), [0, 1, 7])
    whole = record(signal, present=present)
    whole.adc[7, 1000:1100] = INVALID
    inputs = prepare(whole, SignalConfig()).inputs[0]
    derived = two - one
    assert abs(inputs[2] - np.rint((derived - np.median(derived)) * 1024)).max() <= 1
    assert (inputs[[6, 8, 9, 10, 11]] == 0).all()
    assert abs(inputs[7] - np.linspace(-1024, 1024, 2560)).max() <= 2


@pytest.mark.parametrize(
    ("samples", "starts"),
    [(2000, [0]), (2560, [0]), (2700, [70]), (5120, [0, 1280, 2560]), (4000, [0, 720, 1440]), (2900, [0, 340])],
)
def test_windows_cover_a_record(samples: int, starts: list[int]) -> None:
    signal = np.random.default_rng(2).uniform(-1, 1, (12, samples))
    windows = prepare(record(signal), SignalConfig())
    assert windows.starts.tolist() == starts
    assert windows.inputs.shape == (len(starts), 12, 2560)
    if samples < 2560:
        assert (windows.inputs[:, :, samples:] == 0).all()


def test_a_high_pass_removes_wander_and_keeps_beats() -> None:
    t = np.arange(5000) / 250
    beats = np.exp(-0.5 * ((t % 1 - 0.5) / 0.02) ** 2)
    signal = np.tile(beats + np.cos(2 * np.pi * 0.15 * t), (12, 1))
    config = SignalConfig(samples=5000, hop=5000, highpass_hz=0.5)
    found = prepare(record(signal), config).inputs[0, 0] / 1024
    assert abs(found - (beats - beats.mean())).max() < 0.03


def test_impossible_inputs_are_refused_by_name() -> None:
    with pytest.raises(UsageError, match=r"SignalConfig\.bits = 12\n  expected: 8 or 16"):
        SignalConfig(bits=12)
    with pytest.raises(UsageError, match=r"SignalConfig\.hop = 3000"):
        SignalConfig(hop=3000)


def dataset(records: int = 60, patients: int = 25) -> EcgDataset:
    rng = np.random.default_rng(4)
    found: list[Record | Skipped] = [Skipped(Path("x.hea"), "because")]
    for i in range(records):
        signal = rng.uniform(-1, 1, (12, 2560 if i % 5 else 6000))
        codes = ("164889003",) if i % 3 == 0 else ("426783006", "63593006")
        found.append(record(signal, name=f"A{i}", patient=f"P{i % patients}", codes=codes))
    return EcgDataset.build(found, SignalConfig(rate_hz=50, samples=512, hop=256))


def test_no_patient_is_in_two_parts_and_the_seed_decides_which() -> None:
    data = dataset()
    parts = data.split({"train": 0.6, "test": 0.4}, seed=3)
    assert sum(len(part.names) for part in parts.values()) == 60
    assert set(parts["train"].patients).isdisjoint(parts["test"].patients)
    assert parts["train"].names == data.split({"train": 0.6, "test": 0.4}, seed=3)["train"].names
    assert parts["train"].names != data.split({"train": 0.6, "test": 0.4}, seed=4)["train"].names


def test_a_patient_keeps_its_part_when_others_are_added() -> None:
    many = [f"patient {i}" for i in range(20_000)]
    parts = assign_parts(many, seed=1)
    assert assign_parts(many[:50], seed=1) == parts[:50]
    shares = [parts.count(name) / len(many) for name in ("train", "validation", "test")]
    np.testing.assert_allclose(shares, [0.7, 0.15, 0.15], atol=0.01)
    with pytest.raises(UsageError, match="sum to 1"):
        assign_parts(many, {"train": 0.9, "test": 0.2})


def test_a_subset_keeps_windows_labels_and_records_together() -> None:
    data = dataset()
    assert len(data) > 60
    chosen = np.arange(60) % 7 == 0
    part = data.subset(chosen)
    for i, name in enumerate(part.names):
        whole = data.names.index(name)
        assert (part.labels[i] == data.labels[whole]).all()
        assert (part.inputs[part.record == i] == data.inputs[data.record == whole]).all()
        assert (part.window_labels[part.record == i] == data.labels[whole]).all()
    scores = np.random.default_rng(0).uniform(size=(len(part), 26))
    np.testing.assert_allclose(part.by_record(scores)[2], scores[part.record == 2].mean(axis=0))


def test_a_data_set_survives_the_disk(tmp_path: Path) -> None:
    data = dataset(8)
    data.save(tmp_path / "data.npz")
    again = EcgDataset.load(tmp_path / "data.npz")
    assert (again.inputs == data.inputs).all()
    assert again.inputs.dtype == data.inputs.dtype
    assert (again.labels == data.labels).all()
    assert (again.record == data.record).all()
    assert (again.names, again.patients, again.lsb_mv) == (data.names, data.patients, data.lsb_mv)


def test_class_weights_are_negatives_per_positive() -> None:
    labels = np.zeros((100, 26), bool)
    labels[:20, 0], labels[:2, 1], labels[:, 2] = True, True, True
    weights = positive_weights(labels, limit=30)
    assert weights[:4].tolist() == [4, 30, 1, 1]
    data = dataset(10)
    assert data.labels[:, SCORED.index("PAC")].sum() == 6


def test_no_records_is_an_error_with_the_number_that_was_skipped() -> None:
    with pytest.raises(InputError, match="no record to prepare, 1 were skipped"):
        EcgDataset.build([Skipped(Path("x.hea"), "because")])

"""Recorded pulses become upright windows on the expected baseline, and their absolute times are kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from edgeconv.errors import InputError, UsageError
from edgeconv.models.pulse import CrRc, Digitizer, PulseConfig, Pulses, Recording, read_waveforms, simulate
from tests.models.pulse.wavedump_writer import wavedump_binary

CONFIG = PulseConfig(jitter_ns=2.0)
DIGITIZER = Digitizer(CONFIG.period_ns, CONFIG.adc_bits, baseline=CONFIG.baseline_counts)
LENGTH = 200


def recording(samples: NDArray[Any], digitizer: Digitizer = DIGITIZER) -> Recording:
    return Recording(digitizer, samples.astype(np.uint16), np.arange(len(samples)))


def embedded(pulses: Pulses, seed: int) -> tuple[NDArray[np.uint16], NDArray[np.int64]]:
    """Windows in longer records, at known places, with noise on the baseline around them."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(pulses.config.baseline_counts, pulses.config.noise_counts, (len(pulses), LENGTH))
    records = np.rint(noise).astype(np.uint16)
    places = rng.integers(0, LENGTH - pulses.config.samples + 1, len(pulses))
    np.put_along_axis(records, places[:, None] + np.arange(pulses.config.samples), pulses.samples[:, 0], 1)
    return records, places


@pytest.mark.parametrize("polarity", ["positive", "negative"])
@pytest.mark.parametrize("level", [{"fraction": 0.5}, {"fraction": 0.3}, {"threshold": 250.0}], ids=str)
def test_pulses_through_wavedump_and_alignment_are_the_simulated_ones(
    tmp_path: Path, polarity: str, level: dict[str, float]
) -> None:
    pulses = simulate(CONFIG, 500, 21)
    records, places = embedded(pulses, 22)
    digitizer = DIGITIZER
    if polarity == "negative":
        records = 4095 - records
        digitizer = replace(DIGITIZER, polarity="negative", baseline=4095 - CONFIG.baseline_counts)
    (tmp_path / "wave0.dat").write_bytes(wavedump_binary(records))
    aligned = read_waveforms(tmp_path / "wave0.dat", digitizer).align(CONFIG, **level)
    assert (aligned.shift == places).all()
    assert aligned.samples.dtype == np.uint16
    assert (aligned.samples == pulses.samples).all()
    assert aligned.left_out == {}
    assert (aligned.recorded_time_ns(pulses.time_ns) == pulses.time_ns + 4.0 * places).all()


def test_alignment_brings_any_arrival_within_a_sample_of_the_expected_one() -> None:
    config = PulseConfig(samples=LENGTH, arrival_ns=250.0, jitter_ns=200.0)
    pulses = simulate(config, 500, 23)
    expected = PulseConfig()
    aligned = recording(pulses.samples[:, 0]).align(expected)
    inside = pulses.time_ns - aligned.shift * 4.0
    assert abs(inside - expected.arrival_ns).max() < expected.jitter_ns / 2
    np.testing.assert_allclose(aligned.recorded_time_ns(inside), pulses.time_ns, rtol=1e-15)


def test_a_given_arrival_moves_all_windows_alike() -> None:
    pulses = simulate(CONFIG, 50, 24)
    records = np.concatenate([np.full((50, 17), 205), pulses.samples[:, 0], np.full((50, 9), 205)], axis=1)
    aligned = recording(records).align(CONFIG, arrival_sample=17 + 24)
    assert (aligned.shift == 17).all()
    assert (aligned.samples == pulses.samples).all()


@pytest.mark.parametrize("polarity", ["positive", "negative"])
def test_baselines_are_measured_and_moved_to_the_expected_one(polarity: str) -> None:
    pulses = simulate(replace(CONFIG, snr_db=60.0), 300, 25)
    moves = np.arange(300) % 41 - 20
    records = pulses.samples[:, 0].astype(np.int64) + moves[:, None]
    records = 4095 - records if polarity == "negative" else records
    each = recording(records, Digitizer(4.0, 12, polarity, "each", 20))
    level = 205 + moves
    # The median of 20 samples, each with the noise of 3.77 counts, has a deviation of about 1.25·3.77/√20 = 1.06.
    off = each.baseline_counts - (4095 - level if polarity == "negative" else level)
    assert 0.7 < off.std() < 1.4
    moved = each.align(CONFIG, arrival_sample=24).samples.astype(int) - pulses.samples
    assert (moved == moved[:, :, :1]).all()
    assert abs(moved).max() <= 5
    common = recording(records, Digitizer(4.0, 12, polarity, "all", 20)).baseline_counts
    assert len(np.unique(common)) == 1


def test_saturation_is_flagged_and_nothing_wraps_around() -> None:
    pulses = simulate(CONFIG, 4, 26)
    records = pulses.samples[:, 0].astype(np.int64)
    records[1] = np.minimum(records[1] * 9, 4095)
    found = recording(records, replace(DIGITIZER, baseline=0))
    assert found.saturated.tolist() == [False, True, False, False]
    # Moving the baseline up to half of the range makes high pulses leave it.
    moved = found.align(replace(CONFIG, baseline=0.5, headroom=0.0), arrival_sample=24)
    assert (moved.samples.astype(int) == np.minimum(records + 2048, 4095)[:, None]).all()
    assert (moved.saturated == (records + 2048 > 4095).any(1)).all()
    assert recording(records).align(CONFIG, arrival_sample=24).saturated.tolist() == [False, True, False, False]


def test_waveforms_that_cannot_be_cut_are_left_out_with_their_reason() -> None:
    pulses = simulate(CONFIG, 3, 27)
    records = np.concatenate([pulses.samples[:, 0], np.full((3, 30), 205)], axis=1)
    records[1] = 205
    records[2] = np.roll(records[2], 60)
    aligned = recording(records).align(CONFIG)
    assert aligned.index.tolist() == [0]
    assert aligned.left_out == {
        1: "no leading edge",
        2: "its window would start at sample 60 and leave the record",
    }
    with pytest.raises(InputError, match="none of 1 waveforms can be cut; the first: no leading edge"):
        recording(records[1:2]).align(CONFIG)
    with pytest.raises(InputError, match="none of 1 waveforms can be cut"):
        recording(records[1:2]).align(CONFIG, threshold=100)


def test_a_channel_that_the_network_was_not_trained_for_is_refused() -> None:
    found = recording(simulate(CONFIG, 3, 28).samples[:, 0])
    with pytest.raises(InputError, match=r"every 4.0 ns\n(.|\n)*PulseConfig\(period_ns=4.0\); resampling"):
        found.align(PulseConfig(period_ns=2.0, arrival_ns=48.0))
    with pytest.raises(InputError, match="codes of 12 bits\n  expected: 14 bits"):
        found.align(PulseConfig(adc_bits=14))
    with pytest.raises(InputError, match="128 samples a waveform\n  expected: at least 256"):
        found.align(PulseConfig(samples=256))
    with pytest.raises(InputError, match="baseline_samples = 200"):
        recording(found.samples, Digitizer(4.0, 12, baseline_samples=200)).align(CONFIG)
    for wrong, message in (
        ({"fraction": 1.0}, "fraction = 1.0"),
        ({"threshold": -1.0}, "threshold = -1.0"),
        ({"arrival_sample": 128}, "arrival_sample = 128"),
    ):
        with pytest.raises(UsageError, match=message):
            found.align(CONFIG, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wrong",
    [
        {"period_ns": 0.0},
        {"period_ns": float("nan")},
        {"adc_bits": 17},
        {"polarity": "up"},
        {"baseline": "none"},
        {"baseline": 4096},
        {"baseline_samples": 0},
    ],
    ids=str,
)
def test_impossible_digitizers(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"Digitizer\.{next(iter(wrong))}"):
        Digitizer(**({"period_ns": 4.0, "adc_bits": 12} | wrong))


def test_samples_that_are_no_codes_of_the_digitizer() -> None:
    with pytest.raises(UsageError, match=r"shape \(3,\) and type uint16"):
        Recording(DIGITIZER, np.zeros(3, np.uint16), np.arange(3))
    with pytest.raises(UsageError, match="code 4096\n  expected: 12 bits"):
        Recording(DIGITIZER, np.full((1, 9), 4096, np.uint16), np.arange(1))


def test_other_shapes_align_too() -> None:
    config = PulseConfig(CrRc(4, 5.0), jitter_ns=2.0)
    pulses = simulate(config, 200, 29)
    records, places = embedded(pulses, 30)
    assert (recording(records).align(config).shift == places).all()

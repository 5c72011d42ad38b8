"""Generated records show what their diagnoses say, in the leads where it shows, and are read back as written."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

from edgeconv.errors import UsageError
from edgeconv.models.ecg_mamba import EXTENDED, LEADS, GeneratorConfig, Simulated, read_folders, simulate_records
from edgeconv.models.ecg_mamba.dipole import LEAD_VECTORS, Waves, render
from edgeconv.models.ecg_mamba.generate import example_of_each_class, main, settings_for, write_folder
from edgeconv.models.ecg_mamba.noise import LEADS_FROM_ELECTRODES, electrode_noise
from edgeconv.models.ecg_mamba.rhythm import Tachogram
from edgeconv.models.ecg_mamba.simulation import Device

TEN_SECONDS = (Device(500, 1000, 0, (10, 10)),)


@lru_cache
def clean(diagnosis: str, records: int = 12) -> list[Simulated]:
    """Records of one diagnosis without noise."""
    found = simulate_records(records, 3, settings_for(diagnosis, noise=0.0, devices=TEN_SECONDS))
    return [one for one in found if diagnosis in one.classes]


def lead(one: Simulated, name: str) -> np.ndarray:
    return one.record.millivolts()[LEADS.index(name)]


def beats(one: Simulated) -> np.ndarray:
    """Onsets of conducted beats that lie whole inside the record and have no premature beat near."""
    other = np.array(one.rhythm.ventricular or [-99.0])
    times = [t for t in sorted(one.rhythm.qrs) if 0.5 < t < 9.2 and abs(other - t).min() > 0.7]
    return np.array(times)


def mean_beat(one: Simulated, name: str, begin: float, end: float) -> np.ndarray:
    """Median over beats of what lies between two times after the onset of QRS, mV against the level before QRS."""
    signal = lead(one, name)
    rows = []
    for onset in beats(one):
        at = round(onset * 500)
        rows.append(signal[at + round(begin * 500) : at + round(end * 500)] - signal[at - 8])
    return np.median(rows, axis=0)


def extremes(one: Simulated, name: str) -> tuple[float, float]:
    """Highest and lowest value inside QRS."""
    part = mean_beat(one, name, 0.0, one.heart.qrs_s)
    return float(part.max()), float(part.min())


def test_a_sinus_beat_has_the_shape_of_the_textbook() -> None:
    for one in clean("NSR"):
        assert extremes(one, "aVR")[1] < -0.25
        assert extremes(one, "II")[0] > 0.3
        r = [extremes(one, name)[0] for name in ("V1", "V2", "V3", "V4")]
        assert r[0] < r[3]  # R grows over the chest
        s = [-extremes(one, name)[1] for name in ("V2", "V6")]
        assert s[0] > s[1]  # and S becomes smaller
        p = mean_beat(one, "II", -one.pr_s, -0.03)
        assert 0.05 < p.max() - p[0] < 0.35
        assert mean_beat(one, "aVR", -one.pr_s, -0.03).min() < -0.03


@pytest.mark.parametrize(("diagnosis", "low", "high"), [("SB", 35, 60), ("NSR", 60, 100), ("STach", 100, 155)])
def test_rates_are_those_of_the_diagnosis(diagnosis: str, low: float, high: float) -> None:
    for one in clean(diagnosis):
        assert low <= 60 / np.diff(beats(one)).mean() <= high


def test_sinus_arrhythmia_changes_with_breathing_and_a_sinus_rhythm_little() -> None:
    assert all(np.ptp(one.rhythm.intervals(10)) > 0.16 for one in clean("SA"))
    assert all(np.ptp(one.rhythm.intervals(10)) < 0.16 for one in clean("NSR"))


def test_fibrillation_has_no_p_waves_irregular_intervals_and_waves_in_v1() -> None:
    for one in clean("AF"):
        assert not one.rhythm.p
        intervals = one.rhythm.intervals(10)
        assert intervals.std() / intervals.mean() > 0.1
        signal = lead(one, "V1")
        between = [signal[round((t - 0.16) * 500) : round((t - 0.02) * 500)] for t in beats(one)]
        assert np.median([np.ptp(part) for part in between]) > 0.02


def test_flutter_waves_have_their_cycle_and_conduct_regularly_or_in_groups() -> None:
    for one in clean("AFL"):
        cycle = one.rhythm.flutter_s
        assert cycle is not None
        assert 240 <= 60 / cycle <= 340
        multiples = one.rhythm.intervals(10) / cycle
        assert abs(multiples - np.rint(multiples)).max() < 0.12
        assert set(np.rint(multiples)) <= {2, 3, 4}
        # The spectrum of lead II has a peak at the rate of the flutter.
        spectrum = np.abs(np.fft.rfft(lead(one, "II") - lead(one, "II").mean()))
        at = round(10 / cycle)
        assert spectrum[at - 1 : at + 2].max() > 4 * np.median(spectrum[at - 15 : at + 16])


@pytest.mark.parametrize("diagnosis", ["PVC", "VBig", "VTrig"])
def test_premature_ventricular_beats_are_early_wide_and_without_p(diagnosis: str) -> None:
    for one in clean(diagnosis):
        normal = np.array(one.rhythm.qrs)
        assert one.heart.premature_s > 0.13 > 0.11 > one.heart.qrs_s
        for time in one.rhythm.ventricular:
            before = normal[normal < time].max()
            after = normal[normal > time].min() if (normal > time).any() else np.inf
            assert 0.34 < time - before
            if 0 < time < 9 and after < 10:
                assert after - time > 0.33
                assert not any(time - 0.1 < p + 0.05 < time for p in one.rhythm.p)


def test_bigeminy_and_trigeminy_alternate_as_they_are_named() -> None:
    for diagnosis, sinus_beats in (("VBig", 1), ("VTrig", 2)):
        for one in clean(diagnosis):
            kinds = sorted([(t, 0) for t in one.rhythm.qrs] + [(t, 1) for t in one.rhythm.ventricular])
            text = "".join("NV"[kind] for t, kind in kinds if 0 <= t < 10)
            assert ("N" * sinus_beats + "V") * 2 in text
            assert "VV" not in text
            assert "N" * (sinus_beats + 1) not in text


def test_pauses_are_compensatory_after_ventricular_and_shorter_after_atrial_beats() -> None:
    compensated = 0
    for one in clean("PVC", 30):
        normal, mean = np.array(one.rhythm.qrs), float(np.median(np.diff(one.rhythm.p)))
        for time in one.rhythm.ventricular:
            around = normal[normal > time].min(initial=99) - normal[normal < time].max()
            compensated += abs(around - 2 * mean) < 0.15 * mean
    assert compensated > 15
    for one in clean("PAC"):
        rr = float(np.median(one.rhythm.intervals(10)))
        for time in one.rhythm.ectopic_p:
            previous = max(p for p in one.rhythm.p if p < time)
            following = min((p for p in one.rhythm.p if p > time), default=99.0)
            assert 0.3 * rr < time - previous < 0.97 * rr
            if following < 10:
                assert following - previous < 1.97 * rr


def test_blocks_have_the_morphology_that_defines_them() -> None:
    for one in clean("LBBB"):
        assert one.heart.qrs_s >= 0.12
        for name in ("I", "V6"):
            high, low = extremes(one, name)
            assert high > 0.2
            assert low > -0.1 * high  # no q
            assert mean_beat(one, name, one.heart.qrs_s + 0.12, 0.42).min() < -0.02  # T is discordant
        assert extremes(one, "V1")[1] < -0.4
        assert extremes(one, "V1")[0] < 0.25
    for diagnosis, shortest, longest, least in (("RBBB", 0.12, 0.16, 0.25), ("IRBBB", 0.1, 0.12, 0.08)):
        for one in clean(diagnosis):
            assert shortest <= one.heart.qrs_s < longest
            late = mean_beat(one, "V1", 0.55 * one.heart.qrs_s, one.heart.qrs_s)
            assert late.max() > least  # R' in V1
            assert mean_beat(one, "V6", 0.55 * one.heart.qrs_s, one.heart.qrs_s).min() < -0.05  # wide S
            assert mean_beat(one, "I", 0.55 * one.heart.qrs_s, one.heart.qrs_s).min() < -0.03


def test_pr_is_long_in_first_degree_block_and_grows_until_a_beat_drops_in_wenckebach() -> None:
    for one in clean("IAVB"):
        assert one.pr_s > 0.2
        assert all(min(abs(q - p - one.pr_s) for q in one.rhythm.qrs) < 1e-9 for p in one.rhythm.p)
    for one in clean("MoI"):
        qrs = np.array(one.rhythm.qrs)
        pr = [float((qrs - p)[(qrs - p > 0) & (qrs - p < 0.6)].min(initial=np.inf)) for p in one.rhythm.p]
        assert np.isinf(pr).sum() >= 2  # dropped beats
        for previous, this, following in zip(pr, pr[1:], pr[2:], strict=False):
            if np.isinf(this):
                assert following < previous
            elif np.isfinite(following):
                assert following > this


def test_st_segments_rise_in_one_territory_and_fall_opposite() -> None:
    def level(one: Simulated, name: str) -> float:
        return float(mean_beat(one, name, one.heart.qrs_s + 0.04, one.heart.qrs_s + 0.08).mean())

    for one in clean("STE"):
        raised = [name for name in LEADS if level(one, name) > 0.1]
        assert len(raised) >= 2
        groups = [{"II", "III", "aVF"}, {"V1", "V2", "V3", "V4"}, {"I", "aVL", "V4", "V5", "V6"}]
        assert any(len(group & set(raised)) >= 2 for group in groups)
    for one in clean("STD"):
        assert sum(level(one, name) < -0.05 for name in ("I", "II", "V4", "V5", "V6")) >= 3
        assert level(one, "aVR") > 0.03
    for one in clean("NSR"):
        assert max(abs(level(one, name)) for name in LEADS) < 0.1


def t_wave(one: Simulated, name: str) -> float:
    """Height of T where its peak is expected."""
    rr = float(np.median(one.rhythm.intervals(10)))
    peak = one.qtc_s * np.cbrt(rr) * 0.83
    return float(mean_beat(one, name, peak - 0.02, peak + 0.02).mean())


def test_t_is_inverted_or_upright() -> None:
    for one in clean("TInv"):
        anterior = [t_wave(one, name) for name in ("V2", "V3")]
        lateral = [t_wave(one, name) for name in ("I", "V5", "V6")]
        assert max(anterior) < -0.03 or max(lateral) < -0.03
    for one in clean("NSR"):
        assert min(t_wave(one, name) for name in ("II", "V4", "V5")) > 0.03


def test_a_long_qt_ends_late() -> None:
    def end(one: Simulated) -> float:
        """Corrected time after QRS onset at which T in its largest lead has fallen to a tenth."""
        rr = float(np.median(one.rhythm.intervals(10)))
        # From here on P of the next beat would be in the way.
        part = max((mean_beat(one, name, 0.18, rr - one.pr_s) for name in ("II", "V2", "V3", "V4")), key=np.max)
        top = int(part.argmax())
        return float((0.18 + (top + np.argmax(part[top:] < 0.1 * part[top])) / 500) / np.cbrt(rr))

    assert np.mean([end(one) for one in clean("LQT")]) > 0.46
    assert np.mean([end(one) for one in clean("NSR")]) < 0.44


def test_voltage_and_axis_are_low_and_left() -> None:
    for one in clean("LQRSV"):
        assert max(np.subtract(*extremes(one, name)) for name in LEADS[:6]) < 0.55
        assert max(np.subtract(*extremes(one, name)) for name in LEADS[6:]) < 1.3
    for one in clean("NSR"):
        assert max(np.subtract(*extremes(one, name)) for name in LEADS[:6]) > 0.5
    for one in clean("LAD"):
        net = {name: sum(extremes(one, name)) for name in ("I", "II", "aVF", "aVL")}
        assert net["I"] > 0 > net["aVF"]
        assert net["II"] < 0
        assert extremes(one, "III")[0] > 0.02  # rS, not QS


def test_a_paroxysm_begins_or_ends_inside_the_record() -> None:
    for one in clean("PAF"):
        ((begin, end),) = one.rhythm.fibrillation
        assert 0 < begin < 10 or 0 < end < 10
        inside = [p for p in one.rhythm.p if begin + 0.3 < p < end]
        assert not inside
        assert sum(0 <= p < 10 for p in one.rhythm.p) >= 2
        assert {"AF", "PAF"} <= set(one.classes)


def test_no_ventricle_beats_again_before_it_can() -> None:
    shortest = {
        name: min(np.diff(np.sort(one.rhythm.qrs + one.rhythm.ventricular)).min() for one in clean(name))
        for name in ("AF", "AFL", "PAF", "PAC", "PVC", "VBig", "VTrig", "MoI", "STach", "SA")
    }
    assert min(shortest.values()) > 0.28, shortest


def test_every_diagnosis_has_a_code_and_all_are_generated() -> None:
    shown = dict(example_of_each_class(1, devices=TEN_SECONDS))
    assert len(shown) == 22
    drawn = {
        name for one in simulate_records(900, 5, GeneratorConfig(noise=0, devices=TEN_SECONDS)) for name in one.classes
    }
    assert set(shown) == drawn
    for one in shown.values():
        labels = EXTENDED.encode(one.record.codes or ())
        assert {EXTENDED.short_names[i] for i in np.flatnonzero(labels)} == set(one.classes)


def test_one_seed_gives_one_set_and_more_records_only_add() -> None:
    few, more, other = list(simulate_records(6, 1)), list(simulate_records(15, 1)), list(simulate_records(6, 2))
    for first, second in zip(few, more, strict=False):
        assert (first.record.adc == second.record.adc).all()
        assert first.record.codes == second.record.codes
    assert any(not np.array_equal(a.record.adc, b.record.adc) for a, b in zip(few, other, strict=True))
    assert len({one.record.patient for one in more}) < 15


def test_noise_comes_from_electrodes_and_keeps_einthovens_law() -> None:
    noise = LEADS_FROM_ELECTRODES @ electrode_noise(np.random.default_rng(0), 5000, 500, 1.0, 0.25)
    np.testing.assert_allclose(noise[0] + noise[2], noise[1], atol=1e-5)
    np.testing.assert_allclose(noise[3] + noise[4] + noise[5], 0, atol=1e-5)
    assert 0.005 < np.diff(noise, axis=1).std() < 0.05
    assert abs(LEAD_VECTORS[0] + LEAD_VECTORS[2] - LEAD_VECTORS[1]).max() < 1e-12


def test_a_wave_is_drawn_where_it_lies_also_across_the_ends() -> None:
    waves = Waves(np.array([0.5, -0.01, 2.0]), np.array([0.02, 0.02, 0.1]), np.array([0.04, 0.02, 0.1]), np.eye(3))
    t = np.arange(1000) / 500
    width = np.where(t < 0.5, 0.02, 0.04)
    found = render(waves, 1000, 500)
    np.testing.assert_allclose(found[0], np.exp(-0.5 * ((t - 0.5) / width) ** 2), atol=4e-4)
    np.testing.assert_allclose(found[1], np.exp(-0.5 * ((t + 0.01) / 0.02) ** 2), atol=4e-4)
    np.testing.assert_allclose(found[2], np.exp(-0.5 * ((t - 2) / 0.1) ** 2), atol=4e-4)


def test_a_tachogram_has_the_deviation_and_the_two_rhythms_it_was_asked_for() -> None:
    rr = Tachogram(np.random.default_rng(0), 0.8, 0.05, 200, 0.25, 1.0)
    series = np.array([rr(i / 4 - 3) for i in range(800)])
    assert series.std() == pytest.approx(0.05, rel=0.15)
    power, frequency = np.abs(np.fft.rfft(series - series.mean())) ** 2, np.fft.rfftfreq(800, 0.25)
    near = (abs(frequency - 0.1) < 0.04) | (abs(frequency - 0.25) < 0.04)
    assert power[near].sum() > 0.95 * power.sum()


def test_a_folder_is_read_back_as_it_was_generated(tmp_path: Path) -> None:
    written = write_folder(tmp_path / "out", 25, seed=4)
    loading = read_folders(tmp_path / "out")
    assert loading.text() == f"25 records of {written.patients} patients read, 0 skipped"
    for one, read in zip(simulate_records(25, 4), loading.records, strict=True):
        assert (read.adc == one.record.adc).all()
        assert (read.gain == one.record.gain).all()
        assert (read.baseline == one.record.baseline).all()
        for name in ("name", "rate_hz", "codes", "age", "sex", "patient"):
            assert getattr(read, name) == getattr(one.record, name)
    with pytest.raises(UsageError, match="holds records already"):
        write_folder(tmp_path / "out", 5)


def test_the_command_writes_a_folder_and_refuses_with_an_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--records", "3", "--seed", "7"]) == 0
    assert capsys.readouterr().out.startswith("3 records of ")
    assert sorted(path.name for path in tmp_path.iterdir())[-2:] == ["RECORDS", "patients.csv"]
    assert main([str(tmp_path)]) == 2
    assert "holds records already" in capsys.readouterr().err


def test_a_record_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from edgeconv.models.ecg_mamba.plots import plot_record

    one = next(simulate_records(1, 0))
    path = plot_record(one.record, tmp_path / "a.png", title="AF: x")
    assert path.read_bytes()[:4] == b"\x89PNG"
    missing = replace(one.record, present=np.arange(12) < 3)
    assert plot_record(missing, tmp_path / "b.png").stat().st_size > 10_000


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(UsageError, match=r"GeneratorConfig\.rhythm = waltz"):
        GeneratorConfig(rhythm="waltz")
    with pytest.raises(UsageError, match="probability outside 0 to 1"):
        GeneratorConfig(st_elevation=0.6, st_depression=0.6)
    with pytest.raises(UsageError, match=r"GeneratorConfig\.conduction"):
        GeneratorConfig(conduction={"WPW": 0.1})
    with pytest.raises(UsageError, match="0 records"):
        next(simulate_records(0))

"""A short training of the wave family: repeats, leaves as ONNX, and the artifact steps as the reference does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brevitas")
pytest.importorskip("skfem")

import torch

from edgeconv.errors import InputError, UsageError
from edgeconv.importer import read_onnx
from edgeconv.integer import lower
from edgeconv.models.oneway_wave.config import FACTORS, StepConfig, WaveTraining
from edgeconv.models.oneway_wave.dataset import GEOMETRIES, WaveConfig, draw_scene
from edgeconv.models.oneway_wave.domain import build_mesh
from edgeconv.models.oneway_wave.judge import going_on, judge
from edgeconv.models.oneway_wave.network import StepNet
from edgeconv.models.oneway_wave.recipe import train
from edgeconv.models.oneway_wave.trained import TrainedWave
from edgeconv.models.oneway_wave.windows import WaveData, load_data
from edgeconv.quantize import LayerRule, QuantPolicy, Stage
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.convert import make_twin
from edgeconv.quantize.twin import quantized_modules
from edgeconv.reference import run

pytestmark = [pytest.mark.needs_torch, pytest.mark.usefixtures("cache")]
CONFIG = WaveTraining(
    waves=WaveConfig(size=16, frames=60, frame_s=1 / 16, geometries=("square", "channel")),
    network=StepConfig(width=4, depth=3, size=3, rank=2),
    train_records=4,
    test_records=3,
    batch=2,
    unroll=2,
    long_unroll=3,
    float_stage=Stage("float", 30, 5e-3),
    long_stage=Stage("longer roll-outs", 4, 1e-3),
    twin_stage=Stage("quantization-aware", 4, 1e-3),
)


@pytest.fixture(scope="module")
def trained(cache: Path) -> TrainedWave:
    return train(CONFIG)


def test_records_are_simulated_once(cache: Path) -> None:
    first = load_data(CONFIG.waves, 2, 9)
    stored = {path: path.stat().st_mtime_ns for path in cache.glob("*.npz")}
    again = load_data(CONFIG.waves, 2, 9)
    assert {path: path.stat().st_mtime_ns for path in cache.glob("*.npz")} == stored
    assert (first.fields == again.fields).all()
    assert (load_data(CONFIG.waves, 2, 10).fields != first.fields).any()


def test_stretches_begin_when_sources_are_quiet() -> None:
    data = load_data(CONFIG.waves, 4, 0)
    starts = data.starts(10)
    assert starts
    assert all(data.quiet[record] <= start <= 50 for record, start in starts)
    fields, medium = data.windows(starts[:3], 10)
    assert fields.shape == (3, 10, 16, 16)
    assert (fields[:, :, medium[0, 0] == 0] == 0).all() or len({record for record, _ in starts[:3]}) > 1


def test_sides_that_absorb_are_marked() -> None:
    """A channel's ends absorb and its other sides do not; row 0 is the bottom."""
    config = WaveConfig(size=16, frames=60, frame_s=1 / 16, geometries=("channel",))
    speed, absorbing = load_data(config, 1, 0).medium[0]
    assert (absorbing[:, 0] == (speed[:, 0] > 0)).all()
    assert (absorbing[:, -1] == (speed[:, -1] > 0)).all()
    assert absorbing[:, 0].any()
    assert not absorbing[:, 1:-1].any()


def test_training_beats_going_on_and_repeats_bit_for_bit(trained: TrainedWave) -> None:
    again = train(CONFIG)
    state = np.random.default_rng(0).integers(-9000, 9000, (3, 5, 16, 16)).astype(np.int16)
    assert (again.predict_quantized(state) == trained.predict_quantized(state)).all()
    ours, simple = judge(trained.predict_float, CONFIG, steps=6), judge(going_on, CONFIG, steps=6)
    assert len(ours.by_step) == 6
    assert ours.first < simple.first


def test_a_training_that_goes_on_after_its_last_step_gives_the_same_network(
    trained: TrainedWave, tmp_path: Path
) -> None:
    """Rounded weights are made again and held again; scales and biases come from the checkpoint."""
    state = np.random.default_rng(0).integers(-9000, 9000, (3, 5, 16, 16)).astype(np.int16)
    for _ in range(2):
        again = train(CONFIG, checkpoints=Checkpoints(tmp_path, {}, resume=True))
        assert (again.predict_quantized(state) == trained.predict_quantized(state)).all()
        exported = again.export_qcdq(tmp_path / "wave.onnx").read_bytes()
        assert exported == trained.export_qcdq(tmp_path / "first.onnx").read_bytes()


def test_records_too_short_for_a_roll_out_are_refused(trained: TrainedWave) -> None:
    with pytest.raises(UsageError, match="none of 3 records has 73 frames without a source at work"):
        judge(trained.predict_float, CONFIG, steps=70)


def test_a_perfect_estimator_has_no_error() -> None:
    """Waves that stand still: going on as before is then right."""
    data = load_data(CONFIG.waves, 2, 9)
    still = WaveData(np.repeat(data.fields[:, 5:6], 60, 1), data.medium, data.quiet * 0, data.zone, data.pixel_m)
    score = judge(going_on, CONFIG, still, steps=5)
    assert (score.whole, score.zone, score.zone_normal) == (0, 0, 0)


@pytest.mark.parametrize("dialect", ["qcdq", "qonnx"])
def test_the_reference_steps_as_the_twin(trained: TrainedWave, dialect: str, tmp_path: Path) -> None:
    path = getattr(trained, f"export_{dialect}")(tmp_path / "wave.onnx")
    state = np.random.default_rng(0).integers(-16384, 16384, (6, 5, 16, 16)).astype(np.int16)
    found = run(lower(read_onnx(path)), {"state": state[:, None]})["change"][:, 0]
    expected = trained.predict_quantized(state)
    # torch sums in float32, so a near-tie may round to the neighbour and show in a few places.
    assert (np.abs(found - expected) <= 1e-5 * np.abs(expected).max()).mean() > 0.98


def test_fields_of_another_shape_or_type_are_refused(trained: TrainedWave) -> None:
    with pytest.raises(InputError, match=r"expected: \(N, 5, H, W\) of int16"):
        trained.predict_float(np.zeros((1, 5, 16, 16), np.float32))


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_pixels_away_from_what_is_cut_out_are_in_the_mask_on_any_grid(geometry: str) -> None:
    """On 48 pixels, whose edge is no binary fraction, nodes must keep their place to the bit."""
    config = WaveConfig(size=48, geometries=(geometry,))
    for seed in range(4):
        scene = draw_scene(config, seed)
        mask = build_mesh(scene.domain).mask
        scene.zone.check(mask)
        centres = (np.arange(48) + 0.5) / 48
        x, y = np.meshgrid(centres, centres)
        near = [(x + dx, y + dy) for dx in (-1 / 48, 0, 1 / 48) for dy in (-1 / 48, 0, 1 / 48)]
        cut = np.any([shape.contains(*place) for shape in scene.domain.removed for place in near] or [x < 0], axis=0)
        assert mask[~cut].all()


def test_what_goes_from_factor_to_factor_keeps_16_bits() -> None:
    for rank, bits in ((2, {8, 16}), (0, {8})):
        config = WaveTraining(network=StepConfig(width=4, depth=2, size=3, rank=rank))
        state = torch.randint(-(2**14), 2**14, (2, 5, 8, 8)) / 2**14
        twin = make_twin(
            lambda layers, network=config.network: StepNet(network, layers),
            StepNet(config.network).eval(),
            config.network_policy,
            [state],
        )
        found = {name: int(m.scale_quantizer.bits) for name, m in quantized_modules(twin) if hasattr(m, "seen")}
        assert set(found.values()) == bits
        assert all((width == 16) == name.endswith("_round") for name, width in found.items())
    own = LayerRule("relus.*", activation_bits=4)
    dense = WaveTraining(network=StepConfig(rank=0), policy=QuantPolicy(rules=(FACTORS, own)))
    assert dense.network_policy.rules == (own,)

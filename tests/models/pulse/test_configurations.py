"""Configurations by name: their sizes, and that what they train compiles to what the reference says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("brevitas")

import torch

from edgeconv.errors import UsageError
from edgeconv.models import pulse
from edgeconv.models.pulse.config import NetworkConfig, TrainConfig
from edgeconv.models.pulse.configurations import CONFIGURATIONS, PRECISE
from edgeconv.models.pulse.network import (
    PulseNet,
    QuantPulseNet,
    parts_of,
    spread_channels,
    sums_of,
    top_of,
    use_whole_range,
)
from edgeconv.models.pulse.study import train_policies
from edgeconv.models.pulse.trained import to_real
from edgeconv.quantize import QuantPolicy, Stage
from tests.models.compiling import differences

pytestmark = pytest.mark.needs_torch

SMALL = NetworkConfig((4, 8), hidden=16, direct=True)
BASE = {"scales": "power-of-two", "learn_scales": False}


def short(config: TrainConfig, steps: int = 4, **changes: object) -> TrainConfig:
    stages = {"float_stage": Stage("float", steps, 1e-3), "twin_stage": Stage("twin", steps, 1e-3)}
    return replace(config, **({"batch": 32, "rounding_pulses": 512} | stages | changes))


def test_sizes_are_those_that_are_quoted() -> None:
    sizes = {
        name: sum(p.numel() for p in PulseNet(config.network).parameters())
        for name, config in CONFIGURATIONS.items()
        if isinstance(config, TrainConfig)
    }
    assert sizes == {
        "nano": 1922, "small": 7490, "medium": 25_394, "standard": 51_106, "precise": 54_634, "uncertainty": 29_164,
    }  # fmt: skip


@pytest.mark.needs_gcc
@pytest.mark.parametrize(
    ("bits", "network"),
    [(4, NetworkConfig((4, 8), hidden=16)), (14, replace(SMALL, uncertainty=True)), (16, SMALL)],
    ids=["4-bit ADC", "14-bit ADC, direct, uncertainties", "16-bit ADC, direct"],
)
def test_adcs_of_4_to_16_bits_compile_to_what_the_reference_says(
    bits: int, network: NetworkConfig, tmp_path: Path
) -> None:
    config = short(PRECISE, network=network, pulses=pulse.PulseConfig(adc_bits=bits))
    trained = pulse.train(config)
    samples = pulse.heldout(200, 1, config.pulses).inputs["samples"]
    wrong, expected = differences(trained.export_qcdq(tmp_path / "p.onnx"), samples, tmp_path / "p.edge")
    assert wrong == 0
    torch_says = trained.predict_quantized(samples)
    assert np.isclose(expected, torch_says, rtol=1e-4, atol=1e-4).all(1).mean() > 0.9
    assert len(np.unique(expected[:, 0])) > 100  # pulses reach the output


def test_the_whole_range_is_used_and_the_function_kept() -> None:
    torch.manual_seed(0)
    twin = QuantPulseNet(PRECISE.policy, -12, SMALL, real_weights=True).eval()
    x = to_real(pulse.PulseConfig(), pulse.heldout(64, 1).inputs["samples"])
    spread_channels(twin, x, top=0.3)
    real = PulseNet(SMALL)
    real.load_state_dict(twin.state_dict(), strict=False)
    before = real(x)
    use_whole_range(twin, x)
    real.load_state_dict(twin.state_dict(), strict=False)
    torch.testing.assert_close(real(x), before, rtol=1e-4, atol=1e-6)
    y = x
    for which in range(len(twin.activations)):
        y = sums_of(parts_of(twin, which), y, x).clamp(0, top_of(twin.activations[which]))
        peaks = y.transpose(0, 1).flatten(1).amax(1)
        torch.testing.assert_close(peaks[peaks > 0], torch.full_like(peaks[peaks > 0], 0.96 * 255 / 256))


def test_one_training_serves_all_policies_of_weights(tmp_path: Path) -> None:
    config = short(PRECISE, network=SMALL)
    eight, four = QuantPolicy(**BASE), QuantPolicy(weight_bits=4, **BASE)
    found = train_policies(config, {"int8": eight, "4-bit weights": four}, tmp_path)
    again = train_policies(config, {"int8": eight}, tmp_path)
    x = pulse.heldout(100, 1).inputs["samples"]
    assert (found["int8"].predict_quantized(x) == again["int8"].predict_quantized(x)).all()
    assert (found["int8"].predict_float(x) == found["4-bit weights"].predict_float(x)).all()
    for layer in (*found["4-bit weights"].quantized_network.layers, *found["4-bit weights"].quantized_network.direct):
        steps = layer.quant_weight().int().abs().flatten(1)
        assert (steps.amax(1) == 7).all()
    with pytest.raises(UsageError, match="policy 'int4' has its own bits of activations"):
        train_policies(config, {"int4": QuantPolicy(activation_bits=4, **BASE)}, tmp_path)

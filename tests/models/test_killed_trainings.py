"""A training of any recipe that is killed and resumed gives the same networks, byte for byte, as one that was not."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("brevitas")

from tests.models.training_to_kill import RECIPES

pytestmark = [pytest.mark.needs_torch, pytest.mark.slow, pytest.mark.usefixtures("cache")]
TRAINING = Path(__file__).with_name("training_to_kill.py")


def start(recipe: str, *arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-W", "ignore", TRAINING, recipe, *arguments])


@pytest.mark.parametrize("recipe", RECIPES)
def test_killed_and_resumed_gives_the_bytes_of_an_uninterrupted_training(recipe: str, tmp_path: Path) -> None:
    if recipe == "oneway_wave":
        pytest.importorskip("skfem")
    broken = tmp_path / "broken"
    process = start(recipe, broken, tmp_path / "never", "slow")
    while not (broken / "checkpoints/quantization-aware.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(random.uniform(0, 1))
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert start(recipe, broken, tmp_path / "resumed").wait() == 0
    assert start(recipe, tmp_path / "whole", tmp_path / "uninterrupted").wait() == 0
    for name in ("float.onnx", "quantized.onnx"):
        resumed, whole = (tmp_path / folder / name for folder in ("resumed", "uninterrupted"))
        assert resumed.read_bytes() == whole.read_bytes(), name
    assert not (tmp_path / "never").exists()

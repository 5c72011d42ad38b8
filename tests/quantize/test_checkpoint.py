"""A training that is killed and resumed ends with the bits of one that was not."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("brevitas")

from torch import nn  # noqa: E402

from edgeconv.errors import UsageError  # noqa: E402
from edgeconv.quantize import Stage, fit  # noqa: E402
from edgeconv.quantize.batches import Ahead, step_generator  # noqa: E402
from edgeconv.quantize.checkpoint import Checkpoints  # noqa: E402

pytestmark = pytest.mark.needs_torch
TRAINING = Path(__file__).with_name("training_to_kill.py")


def start(*arguments: str | Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-W", "ignore", TRAINING, *arguments])


def steps_in_log(folder: Path) -> list[tuple[str, int]]:
    records = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [(record["stage"], record["step"]) for record in records]


@pytest.mark.slow
def test_killed_and_resumed_is_bit_identical_to_uninterrupted(tmp_path: Path) -> None:
    """SIGKILL in the middle of each stage, twice, at moments nobody chose."""
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert start(whole, tmp_path / "whole.pt").wait() == 0
    for stage in ("float", "quantization-aware"):
        process = start(broken, tmp_path / "broken.pt", "resume", "slow")
        while not (broken / "checkpoints" / f"{stage}.pt").exists():
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(0.25)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "broken.pt").exists()
    assert start(broken, tmp_path / "broken.pt", "resume").wait() == 0
    one, other = torch.load(tmp_path / "whole.pt"), torch.load(tmp_path / "broken.pt")
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    assert steps_in_log(broken) == steps_in_log(whole)
    assert not [path for path in broken.rglob("*") if "partial" in path.name]


def quick(folder: Path, steps: int = 4, **options: object) -> nn.Module:
    torch.manual_seed(0)
    network = nn.Linear(3, 1)
    checkpoints = Checkpoints(folder, {"steps": steps, "policy": {"bits": 8}}, **options)
    fit(network, Stage("s", steps, 0.1), lambda n, _: n(torch.ones(2, 3)).square().mean(), checkpoints=checkpoints)
    return network


def test_a_training_that_has_not_ended_is_not_overwritten(tmp_path: Path) -> None:
    quick(tmp_path)
    with pytest.raises(UsageError, match="holds a training that has not ended\n  try: --resume to go on with it"):
        quick(tmp_path)
    checkpoints = Checkpoints(tmp_path, {"steps": 4, "policy": {"bits": 8}}, resume=True)
    checkpoints.end()
    assert checkpoints.ended
    quick(tmp_path)
    assert not checkpoints.ended


def test_other_settings_do_not_go_on_from_here(tmp_path: Path) -> None:
    quick(tmp_path)
    with pytest.raises(UsageError, match=r"holds a training with policy.bits = 8, not 4\n  try: resume it with"):
        Checkpoints(tmp_path, {"steps": 4, "policy": {"bits": 4}}, resume=True)


def test_a_resumed_stage_that_was_done_takes_no_step(tmp_path: Path) -> None:
    weight = quick(tmp_path).weight

    def refuse(network: nn.Module, step: int) -> torch.Tensor:
        raise AssertionError("a step was taken")

    again = nn.Linear(3, 1)
    checkpoints = Checkpoints(tmp_path, {"steps": 4, "policy": {"bits": 8}}, resume=True)
    fit(again, Stage("s", 4, 0.1), refuse, checkpoints=checkpoints)
    assert torch.equal(again.weight, weight)


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    quick(tmp_path)
    (tmp_path / "checkpoints" / "s.pt").write_bytes(b"PK\x03\x04 half a file")
    with pytest.raises(UsageError, match=r"checkpoint .*s\.pt cannot be read"):
        quick(tmp_path, resume=True)


def test_batches_come_ahead_and_depend_on_their_step_alone() -> None:
    def make(step: int) -> float:
        return float(step_generator(1, 2, step).normal())

    with Ahead(make) as batches:
        forward = [batches(step) for step in range(5)]
    with Ahead(make) as batches:
        assert [batches(step) for step in (3, 4, 0)] == [forward[3], forward[4], forward[0]]
    assert len(set(forward)) == 5


def test_the_callers_random_numbers_are_left_alone() -> None:
    network = nn.Linear(3, 1)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(network, Stage("s", 3, 0.1), lambda n, _: n(torch.rand(2, 3)).square().mean())
    assert torch.equal(torch.rand(3), expected)

"""The demonstration: from nothing to a verified artifact of a network that was trained on the spot."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgeconv.errors import UsageError

if TYPE_CHECKING:
    from edgeconv.bench import BenchReport
    from edgeconv.quantize.family import Comparison, HeldOut, TrainedModel
    from edgeconv.runtime.runner import Runner
    from edgeconv.verify import VerifyReport

__all__ = ["STAGES", "DemoResult", "run_demo"]

STAGES = ("train", "export", "compile", "verify", "judge", "bench", "draw")
HELDOUT_SEED = 1
Progress = Callable[[str, float], None]
"""Called with the name of the stage at work and the share of it that is done."""


@dataclass(frozen=True)
class DemoResult:
    """What the demonstration made and measured.

    Attributes:
        model, qonnx, float_model: exported ONNX files.
        artifact: the compiled folder.
        comparison: quality of float, quantized, artifact and classic methods on held-out data.
        verification: artifact against reference, onnxruntime and torch on the same data.
        timings: latency and throughput beside onnxruntime.
        plots: PNG files.
        seconds: wall time by stage.
    """

    model: Path
    qonnx: Path
    float_model: Path
    artifact: Path
    comparison: Comparison
    verification: VerifyReport
    timings: BenchReport
    plots: tuple[Path, ...]
    seconds: Mapping[str, float]


class _Clock:
    def __init__(self, progress: Progress) -> None:
        self.seconds: dict[str, float] = {}
        self._progress = progress
        self._stage, self._since = "", 0.0

    def enter(self, stage: str) -> None:
        self.leave()
        self._stage, self._since = stage, time.perf_counter()
        self._progress(stage, 0.0)

    def share(self, done: float) -> None:
        self._progress(self._stage, done)

    def leave(self) -> None:
        if self._stage:
            self.seconds[self._stage] = time.perf_counter() - self._since
            self._stage = ""


def run_demo(
    folder: str | Path,
    *,
    family: str = "pulse",
    seed: int = 0,
    samples: int = 10_000,
    progress: Progress = lambda _stage, _done: None,
) -> DemoResult:
    """Simulate, train, export, compile for this machine, verify, judge, measure and draw.

    Args:
        folder: receives models, artifact and plots; made when missing.
        family: name of a family of models (entry point group `edgeconv.models`).
        samples: number of held-out samples on which artifact and reference are compared.
        progress: called as the work goes on.

    Raises:
        UsageError: no such family, or one without a demonstration.
        ToolError: torch, brevitas, matplotlib or the C compiler is missing.
    """
    from edgeconv.api import compile_model
    from edgeconv.bench import bench
    from edgeconv.quantize.family import TrainingProgress
    from edgeconv.runtime.runner import load
    from edgeconv.verify import verify

    chosen = _find_family(family)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    clock = _Clock(progress)

    clock.enter("train")

    def trained_so_far(report: TrainingProgress) -> None:
        clock.share(report.step / max(1, report.steps))

    trained = chosen.train(replace(chosen.config, seed=seed), progress=trained_so_far)
    clock.enter("export")
    model = trained.export_qcdq(folder / f"{family}.onnx")
    qonnx = trained.export_qonnx(folder / f"{family}.qonnx.onnx")
    float_model = trained.export_float(folder / f"{family}.float.onnx")
    clock.enter("compile")
    artifact = compile_model(model, output=folder / f"{family}.edge", seed=seed).path
    clock.enter("verify")
    heldout = chosen.heldout(samples, HELDOUT_SEED)
    runner = load(artifact)
    verification = verify(
        artifact,
        model=model,
        float_model=float_model,
        inputs=_one_axis_more(heldout, runner),
        peers={"torch (quantized, eval mode)": _torch_peer(trained, runner)},
    )
    clock.enter("judge")
    answers = _answers(trained, runner, heldout)
    comparison = chosen.compare(answers, heldout)
    clock.enter("bench")
    timings = bench(artifact, model=model, seed=seed)
    clock.enter("draw")
    estimators = {"float": trained.predict_float, "int8 artifact": lambda x: np.asarray(runner(x))}
    plots = chosen.draw(estimators, folder / "plots")
    clock.leave()
    return DemoResult(
        model, qonnx, float_model, artifact, comparison, verification, timings, tuple(plots), clock.seconds
    )


def _find_family(name: str) -> Any:
    from edgeconv.quantize.family import Demonstrable, find_family

    family = find_family(name)
    if not isinstance(family, Demonstrable):
        raise UsageError(f"the family {name!r} has no demonstration")
    return family


def _one_axis_more(heldout: HeldOut, runner: Runner) -> dict[str, NDArray[Any]]:
    """Arrays of shape (n, *shape of one sample), whose batch axis of 1 the held-out arrays may leave out."""
    shapes = {tensor.name: tensor.shape for tensor in runner.inputs}
    return {name: array.reshape(-1, *shapes[name]) for name, array in heldout.inputs.items()}


def _torch_peer(
    trained: TrainedModel, runner: Runner
) -> Callable[[Mapping[str, NDArray[Any]]], dict[str, NDArray[Any]]]:
    output = runner.outputs[0].name

    def peer(inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        (array,) = inputs.values()
        return {output: trained.predict_quantized(array.reshape(-1, *array.shape[2:]))}

    return peer


def _answers(trained: TrainedModel, runner: Runner, heldout: HeldOut) -> dict[str, NDArray[np.float32]]:
    (samples,) = heldout.inputs.values()
    return {
        "float": trained.predict_float(samples),
        "int8 artifact": np.asarray(runner(samples), np.float32).reshape(len(samples), -1),
    }

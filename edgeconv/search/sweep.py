"""Sweeps: every combination of a grid of quantization settings, on one float model, in a study that can be resumed.

model = "net.onnx"                       # float ONNX; paths are relative to this file
calibration = "samples.npz"              # as for `edgeconv quantize`; or "normal", "uniform"
evaluation = "heldout.npz"               # samples, with targets where there are any
costs = ["model_bytes", "latency"]

[grid]
weight_bits = [4, 6, 8]
activation_bits = [4, 8]
per_channel = [true, false]
scales = ["float", "power-of-two"]
method = ["minmax", "mse", "percentile"] # how ranges are found
layer = "*"                              # the bits are those of one layer at a time, all others have 8
target = ["x86-64", "rpi4"]
seed = [0, 1]
"""

from __future__ import annotations

import glob
import math
import re
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeconv.errors import UsageError
from edgeconv.search.costs import COSTS, costs_of
from edgeconv.search.engines import Engine
from edgeconv.search.loop import evaluate_batch, versions
from edgeconv.search.space import Choice, Space, Values
from edgeconv.search.study import Record, Study

if TYPE_CHECKING:
    from edgeconv.quantize.policy import QuantPolicy

__all__ = ["SETTINGS", "Sweep", "SweepEvaluator", "layers_of", "read_sweep", "run_sweep"]

SETTINGS: Mapping[str, type] = {
    "weight_bits": int, "activation_bits": int, "per_channel": bool, "scales": str, "method": str, "layer": str,
    "target": str, "seed": int,
}  # fmt: skip
"""What a grid may hold, with the type of its values."""
WHOLE = "all"
"""The layer that means every layer."""


@dataclass
class SweepEvaluator:
    """Quantizes a float model after training by the settings of a configuration; an `Evaluator`.

    Attributes:
        model: float ONNX file.
        calibration: file, folder, or name of a distribution.
        evaluation: file of samples, or None.
        costs: names of costs.
        cache: folder for costs.
    """

    model: Path
    calibration: str
    evaluation: Path | None
    costs: tuple[str, ...] = ()
    cache: Path | None = None

    def prepare(self) -> None:
        """As `Evaluator.prepare`."""

    def __call__(self, values: Values, seed: int) -> Mapping[str, float]:
        """As `Evaluator.__call__`: signal to noise on the calibration samples, figures of the evaluation, costs."""
        from edgeconv.quantize.ptq import quantize_onnx

        with tempfile.TemporaryDirectory(prefix="edgeconv-") as folder:
            path = Path(folder) / "quantized.onnx"
            report = quantize_onnx(
                self.model,
                path,
                calibration=self.calibration,
                policy=_policy(values),
                evaluation=self.evaluation,
                seed=int(values.get("seed", seed)),
            )
            found = {f"{_word(name)}_calibration_sqnr_db": float(value) for name, value in report.outputs.items()}
            found |= {_word(f"{metric.name} {metric.unit}"): float(metric.value) for _, metric in report.metrics}
            if self.costs:
                found |= costs_of(path, str(values.get("target", "cpu")), self.costs, self.cache)
        # Equal to the float model: an infinite ratio is no number to draw or average.
        return {name: value for name, value in found.items() if math.isfinite(value)}


def _policy(values: Values) -> QuantPolicy:
    from edgeconv.quantize.policy import LayerRule, QuantPolicy

    weights, activations = (
        int(values[name]) if name in values else None for name in ("weight_bits", "activation_bits")
    )  # fmt: skip
    layer = str(values.get("layer", WHOLE))
    return QuantPolicy(
        weight_bits=weights if weights and layer == WHOLE else 8,
        activation_bits=activations if activations and layer == WHOLE else 8,
        scales=str(values.get("scales", "float")),
        per_channel=bool(values.get("per_channel", True)),
        calibration=str(values.get("method", "mse")),
        rules=() if layer == WHOLE else (LayerRule(glob.escape(layer), weights, activations),),
    )


def _word(text: str) -> str:
    """A name for columns: "y: accuracy %" is y_accuracy_percent."""
    return re.sub(r"\W+", "_", text.replace("%", "percent").lower()).strip("_")


@dataclass(frozen=True)
class Sweep:
    """A sweep that was read.

    Attributes:
        space: its grid.
        evaluator: what evaluates a configuration.
    """

    space: Space
    evaluator: SweepEvaluator


def read_sweep(path: str | Path, cache: Path | None = None) -> Sweep:
    """Read a sweep file.

    Raises:
        UsageError: a file that cannot be read or is no sweep; names the field.
    """
    path = Path(path)
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"sweep file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"sweep file {path} is not TOML: {error}") from error
    known = ("model", "calibration", "evaluation", "costs", "grid")
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise UsageError(f"sweep file {path}: unknown field '{unknown[0]}'", expected=", ".join(known))
    for name in ("model", "grid"):
        if name not in values:
            raise UsageError(f"sweep file {path} has no field '{name}'")
    costs = tuple(values.get("costs", ()))
    if not set(costs) <= set(COSTS):
        raise UsageError(f"sweep file {path}: costs {', '.join(costs)}", expected=f"of {', '.join(COSTS)}")
    folder = path.parent
    model = (folder / values["model"]).absolute()
    calibration = values.get("calibration", "normal")
    if calibration not in ("normal", "uniform"):
        calibration = str((folder / calibration).absolute())
    evaluation = (folder / values["evaluation"]).absolute() if "evaluation" in values else None
    space = Space(path.stem, _choices(path, values["grid"], model))
    return Sweep(space, SweepEvaluator(model, calibration, evaluation, costs, cache))


def _choices(path: Path, grid: Mapping[str, Any], model: Path) -> tuple[Choice, ...]:
    choices = []
    for name, values in grid.items():
        if name not in SETTINGS:
            raise UsageError(f"sweep file {path}: unknown setting 'grid.{name}'", expected=", ".join(SETTINGS))
        if name == "layer" and values == "*":
            values = [WHOLE, *layers_of(model)]
        kind = SETTINGS[name]
        if not isinstance(values, list) or not all(type(value) is kind for value in values):
            raise UsageError(f"sweep file {path}: grid.{name} = {values!r}", expected=f"a list of {kind.__name__}")
        choices.append(Choice(name, tuple(values), bits=name in ("weight_bits", "activation_bits")))
    return tuple(choices)


def layers_of(model: Path) -> list[str]:
    """Names of the layers with weights, as policies know them."""
    from edgeconv.quantize.ptq.layers import weighted_layers
    from edgeconv.quantize.ptq.onnx_graph import OnnxGraph
    from edgeconv.quantize.ptq.prepare import prepare

    return [layer.name for layer in weighted_layers(OnnxGraph(prepare(model)))]


def run_sweep(
    space: Space, engine: Engine, study: Study, *, seed: int = 0, step: Callable[[Record, int], None] = lambda *_: None
) -> list[Record]:
    """Evaluate all of a space; what the study holds already is not evaluated again.

    Args:
        engine: the caller closes it.
        step: told of each record, with the number of configurations.

    Returns:
        records in the order of the grid, those that failed with their reason.
    """
    batch: Sequence[Values] = [space.values(genome) for genome in space.grid()]
    with study.claim():
        study.add_batch(0, batch)
        return evaluate_batch(study, engine, 0, batch, seed, versions(), lambda record, _: step(record, len(batch)))

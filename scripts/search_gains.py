"""How much smaller and faster are networks of a search than uniform 8-bit ones that are at least as good?

    python -m scripts.search_gains OUT ecg_mamba --config full --metric auprc --study ecg_mamba.search --points 3 7 \
        --longer 4
    python -m scripts.search_gains OUT oneway_wave --metric roll_out_error --scales 0.5 0.75 --targets cpu rpi4

Trains by the whole recipe and with every seed: the recipe's own network with 8 bits everywhere, the same with all its
widths scaled ("width x 0.5"), and points of a search's front. A step of a small network takes less time: `--longer`
gives points more of them, and what each training took stands beside it. All are judged on data that neither a training
nor the search has looked at, and compiled for every target; each artifact is verified, bit by bit, on random samples.
Prints, beside the recipe's own network and beside the best of 8 bits, how much smaller and faster each point is.
Trainings and figures are kept in OUT: a run that was stopped goes on where it was when it is started again.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from edgeconv.api import compile_model, verify
from edgeconv.cli.console import format_table
from edgeconv.quantize.family import TrainingProgress
from edgeconv.quantize.files import write_whole
from edgeconv.quantize.run import kept_training
from edgeconv.runtime.emulated import is_native
from edgeconv.search.costs import artifact_costs, costs_of
from edgeconv.search.recipe import RecipeSearch, shortened
from edgeconv.search.session import read_session
from edgeconv.search.space import Choice, Values
from edgeconv.search.task import find_family

__all__ = ["Row", "gains", "main", "measured", "scaled"]

OWN, MODEL = "the recipe's own", "network.onnx"


@dataclass(frozen=True)
class Row:
    """A network, the mean of all seeds.

    Attributes:
        uniform: 8 bits everywhere.
        metric: on held-out data.
        model_bytes: its constants.
        speed: by target, seconds of one sample here, or instructions where that target is emulated.
        training: seconds, by the log.
    """

    name: str
    uniform: bool
    metric: float
    model_bytes: float
    speed: Mapping[str, float]
    training: float


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("family")
    parser.add_argument("--config", default="", help="recipe of the family; its first by default")
    parser.add_argument("--metric", required=True)
    parser.add_argument("--study", type=Path, help="folder of a search of this family")
    parser.add_argument("--points", type=int, nargs="+", default=(), help="of its front")
    parser.add_argument("--longer", type=float, default=1.0, help="points are trained for so many times the steps")
    parser.add_argument("--scales", type=float, nargs="*", default=(0.5, 0.75, 1.5), help="of the grid of widths")
    parser.add_argument("--targets", nargs="+", default=("cpu",))
    parser.add_argument("--seeds", type=int, nargs="+", default=(0, 1, 2))
    options = parser.parse_args(arguments)
    task = find_family(options.family, options.config)
    if not isinstance(task, RecipeSearch) or options.metric not in task.metrics:
        parser.error(f"'{options.family}' is not a family without a supernet that has the metric '{options.metric}'")
    networks: dict[str, Any] = _uniform(task, options.scales)
    if options.study:
        session = read_session(options.study)
        chosen = [session.problem.space.values(session.front[point].genome) for point in options.points]
        suffix = "" if options.longer == 1 else f", {options.longer:g} × the steps"
        networks |= {
            f"point {n}{suffix}": shortened(task.configure(values), options.longer)
            for n, values in zip(options.points, chosen, strict=True)
        }
    rows = [
        measured(task, name, config, options.metric, options.targets, options.seeds, options.out)
        for name, config in networks.items()
    ]
    maximize = task.metrics[options.metric].maximize
    print(gains(rows, options.metric, maximize, options.targets))


def _uniform(task: RecipeSearch, scales: Sequence[float]) -> dict[str, Any]:
    """The recipe, and the recipes of its network with other widths, all of 8 bits; equal ones once."""
    seen, found = [task.own_values()], {OWN: task.config}
    for scale in scales:
        values = scaled(task.space.choices, seen[0], scale)
        if values not in seen:
            seen.append(values)
            found[f"width × {scale:g}"] = task.configure(values)
    return found


def scaled(choices: Sequence[Choice], values: Values, scale: float) -> Values:
    """All widths moved to the nearest of a space to so many times their value; the smaller of two that are as near."""
    wide = {choice.name: choice for choice in choices if choice.name.split(".")[-1] == "width"}
    return {
        name: min(wide[name].values, key=lambda one: (abs(int(one) - scale * int(value)), int(one)))
        if name in wide
        else value
        for name, value in values.items()
    }


def measured(
    task: RecipeSearch, name: str, config: Any, metric: str, targets: Sequence[str], seeds: Sequence[int], out: Path
) -> Row:
    """Train, judge, compile, verify and measure a recipe's network with every seed; what is in OUT already is read."""
    found = []
    for seed in seeds:
        folder = out / f"{name.replace(' ', '-')}-{seed}"
        path = folder / "figures.json"
        if not path.is_file():
            _keep(path, _figures(task, replace(config, seed=seed), metric, targets[0], folder))
        found.append(json.loads(path.read_text(encoding="utf-8")))
        for target in targets:
            if target not in found[-1]["speed"]:
                found[-1]["speed"][target] = _verified_speed(folder / MODEL, target)
                _keep(path, found[-1])
        print(
            f"{name}, seed {seed}: {metric} {found[-1]['metric']:.4f}, {found[-1]['model_bytes']:.0f} bytes", flush=True
        )
    means = {key: fmean(one[key] for one in found) for key in ("metric", "model_bytes", "training")}
    speed = {target: fmean(one["speed"][target] for one in found) for target in targets}
    return Row(name, not name.startswith("point"), means["metric"], means["model_bytes"], speed, means["training"])


def _keep(path: Path, figures: dict[str, Any]) -> None:
    write_whole(path, json.dumps(figures, indent=1).encode())


def _figures(task: RecipeSearch, config: Any, metric: str, target: str, folder: Path) -> dict[str, Any]:
    """All but speeds."""

    def show(at: TrainingProgress) -> None:
        if at.step % 500 == 0 or at.step == at.steps:
            print(f"{folder.name}: {at.stage}, {at.step} of {at.steps}, loss {at.loss:.4f}", flush=True)

    trained = kept_training(task.family, config, folder, progress=show)
    model = trained.export_qonnx(folder / MODEL)
    # Every seed is judged on the same data.
    judged = task.held_out(trained.predict_quantized, replace(config, seed=0))[metric]
    size = costs_of(model, target, ("model_bytes",))["model_bytes"]
    return {"metric": judged, "model_bytes": size, "speed": {}, "training": _seconds(folder / "log.jsonl")}


def _seconds(log: Path) -> float:
    """Of a training that was not stopped: its stages, one after the other."""
    reports = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return sum({report["stage"]: report["seconds"] for report in reports}.values())


def _verified_speed(model: Path, target: str) -> float:
    """Compile, compare with the reference on random samples, and measure: seconds, or instructions under emulation.

    Raises:
        AssertionError: they differ.
    """
    with tempfile.TemporaryDirectory(prefix="edgeconv-") as place:
        artifact = compile_model(model, target, Path(place) / "network.edge").artifact
        report = verify(artifact.path, samples=32)
        assert report.ok, report
        cost = "latency" if is_native(artifact.manifest) else "instructions"
        return artifact_costs(artifact, target, (cost,))[cost]


def gains(rows: Sequence[Row], metric: str, maximize: bool, targets: Sequence[str]) -> str:
    """Every network, and for each point how many times smaller and faster it is than the two references.

    The recipe's own network is one; the other is the best of all of 8 bits.
    """
    sign = 1 if maximize else -1
    own = next(row for row in rows if row.name == OWN)
    best = max((row for row in rows if row.uniform), key=lambda row: sign * row.metric)
    header = ["network", metric, "bytes", *targets, "training"]
    lines = [
        (
            row.name,
            f"{row.metric:.4f}",
            f"{row.model_bytes:.0f}",
            *(f"{row.speed[target]:.4g}" for target in targets),
            f"{row.training:.0f} s",
        )
        for row in rows
    ]
    text = [format_table(lines, header=tuple(header)), ""]
    for row in (row for row in rows if not row.uniform):
        for title, other in ((OWN, own), (f"the best of 8 bits, {best.name}", best)):
            better = "at least as good" if sign * (row.metric - other.metric) >= 0 else "NOT as good"
            faster = ", ".join(
                f"{other.speed[target] / row.speed[target]:.2f}× faster on {target}" for target in targets
            )
            text.append(
                f"{row.name} beside {title}: {better}, {other.model_bytes / row.model_bytes:.2f}× smaller, {faster}"
            )
    return "\n".join(text)


if __name__ == "__main__":
    main()

"""Error against parameters for waves: one-way filters of ranks 1, 2, 4, 8 beside dense twins of several widths.

    python scripts/oneway_wave_curve.py OUT [--steps 1000] [--long-steps 200] [--twin-steps 200] [--seed 0]
        [--only rank-2 dense-6]

Every network is trained in a folder of its own below OUT. A run that is stopped, also by kill -9, goes on where it was
when it is started again; what is done is kept. Writes OUT/curve.json, OUT/curve.md and, with matplotlib, OUT/curve.png.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from edgeconv.errors import EdgeconvError, ToolError
from edgeconv.models.oneway_wave.config import StepConfig, WaveTraining
from edgeconv.models.oneway_wave.judge import STEPS, going_on, judge
from edgeconv.models.oneway_wave.recipe import train
from edgeconv.quantize.checkpoint import Checkpoints
from edgeconv.quantize.family import TrainingProgress
from edgeconv.quantize.figures import new_figure
from edgeconv.quantize.settings import kept_settings

# Pairs of about equal size come together: rank-1 and dense-4, and so on.
NETWORKS: dict[str, StepConfig] = {
    "rank-2": StepConfig(rank=2),
    "dense-6": StepConfig(rank=0, width=6),
    "rank-1": StepConfig(rank=1),
    "dense-4": StepConfig(rank=0, width=4),
    "rank-4": StepConfig(rank=4),
    "dense-8": StepConfig(rank=0, width=8),
    "rank-8": StepConfig(rank=8),
    "dense-12": StepConfig(rank=0, width=12),
    "dense-16": StepConfig(rank=0, width=16),
}


def train_one(name: str, config: WaveTraining, folder: Path) -> dict[str, Any]:
    """Train and judge one network, or read what an earlier run found."""
    result = folder / "result.json"
    checkpoints = Checkpoints(folder, kept_settings("oneway_wave", config), resume=True)
    if checkpoints.ended and result.is_file():
        found: dict[str, Any] = json.loads(result.read_text())
        return found

    def progress(report: TrainingProgress) -> None:
        if report.step % 200 == 0:
            print(
                f"{name}: {report.stage} {report.step}/{report.steps}, {report.loss:.4g}", file=sys.stderr, flush=True
            )

    trained = train(config, progress=progress, checkpoints=checkpoints)
    scores = {"float": judge(trained.predict_float, config), "int8": judge(trained.predict_quantized, config)}
    trained.export_qcdq(folder / f"{name}.onnx")
    row = {"name": name, "parameters": trained.parameters, **{key: asdict(score) for key, score in scores.items()}}
    result.write_text(json.dumps(row, indent=2))
    checkpoints.end()
    return row


def table(rows: list[dict[str, Any]], simple: float) -> Iterator[str]:
    """The rows as Markdown, by parameters."""
    yield f"| network | parameters | step 1 | step {STEPS} | all steps | int8, all steps | zone's border | int8 |"
    yield "|---|---|---|---|---|---|---|---|"
    for row in sorted(rows, key=lambda row: row["parameters"]):
        real, int8 = row["float"], row["int8"]
        values = (real["by_step"][0], real["by_step"][-1], real["whole"], int8["whole"], real["zone"], int8["zone"])
        yield f"| {row['name']} | {row['parameters']} | " + " | ".join(f"{100 * v:.2f} %" for v in values) + " |"
    yield f"\nGoing on as before: {100 * simple:.1f} % over all {STEPS} steps."


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Error of the roll-out against parameters, one-way and dense, float and int8."""
    figure = new_figure(figsize=(6, 4), dpi=120, layout="constrained")
    axes = figure.subplots()
    for kind, label, colour in (("rank", "one-way filters", "C0"), ("dense", "dense", "C1")):
        chosen = sorted((row for row in rows if row["name"].startswith(kind)), key=lambda row: row["parameters"])
        for key, style in (("float", "o-"), ("int8", "x--")):
            points = [(row["parameters"], row[key]["whole"]) for row in chosen]
            if points:
                axes.loglog(*zip(*points, strict=True), style, color=colour, label=f"{label}, {key}")
    axes.set(xlabel="parameters", ylabel=f"relative error of {STEPS} steps")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend()
    figure.savefig(path)


def main(arguments: list[str] | None = None) -> int:
    """Train what is missing and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, help="of the float network; the recipe's when not given")
    parser.add_argument("--long-steps", type=int, help="of the same on longer roll-outs; likewise")
    parser.add_argument("--twin-steps", type=int, help="of the quantized twin; likewise")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=NETWORKS, default=list(NETWORKS), metavar="NETWORK")
    options = parser.parse_args(arguments)
    config = WaveTraining(seed=options.seed)
    config = replace(
        config,
        float_stage=replace(config.float_stage, steps=options.steps or config.float_stage.steps),
        long_stage=replace(config.long_stage, steps=options.long_steps or config.long_stage.steps),
        twin_stage=replace(config.twin_stage, steps=options.twin_steps or config.twin_stage.steps),
    )
    try:
        simple = judge(going_on, config).whole
        rows = []
        for name in options.only:
            rows.append(train_one(name, replace(config, network=NETWORKS[name]), options.out / name))
            (options.out / "curve.json").write_text(json.dumps({"going on": simple, "networks": rows}, indent=2))
            (options.out / "curve.md").write_text("\n".join(table(rows, simple)) + "\n")
    except EdgeconvError as error:
        print(f"oneway_wave_curve: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(table(rows, simple)))
    try:
        draw(rows, options.out / "curve.png")
    except ToolError as error:
        print(f"no plot: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())

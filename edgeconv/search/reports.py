"""What a study found, for other programs, for papers and for browsers: front.json, front.png, report.html, policies."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import numpy as np

from edgeconv.search.page import PAGE
from edgeconv.search.problem import Evaluated, readable
from edgeconv.search.session import Session

__all__ = ["front_document", "write_reports"]


def front_document(session: Session) -> dict[str, Any]:
    """The front as plain values: settings, points with genome, values, metrics and text."""
    problem = session.problem
    front = session.front
    return {
        "family": session.settings.family,
        "target": session.settings.target,
        "objectives": [metric.name for metric in problem.objectives],
        "constraints": [str(constraint) for constraint in problem.constraints],
        "strategy": session.settings.strategy,
        "seed": session.settings.seed,
        "evaluations": len(session.evaluated),
        "failed": sum(e.failed for e in session.evaluated),
        "ended_early": sum(e.ended_early for e in session.evaluated),
        "hypervolume": session.hypervolume,
        "front": [_point(session, number, e) for number, e in enumerate(front)],
    }


def _point(session: Session, number: int, evaluated: Evaluated) -> dict[str, Any]:
    space = session.problem.space
    return {
        "point": number,
        "genome": list(evaluated.genome),
        "values": space.values(evaluated.genome),
        "text": space.text(evaluated.genome),
        "metrics": dict(evaluated.metrics or {}),
    }


def write_reports(session: Session) -> list[Path]:
    """Write everything into the study's folder; returns the paths."""
    document = front_document(session)
    folder = session.folder
    written = [_write(folder / "front.json", json.dumps(document, indent=2) + "\n")]
    written.append(_write(folder / "report.html", _html(session, document)))
    written += _policies(session, document)
    if len(session.problem.objectives) >= 2 and document["front"]:
        written.append(_plot(session, folder / "front.png"))
    return written


def _write(path: Path, text: str) -> Path:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return path


def _policies(session: Session, document: dict[str, Any]) -> list[Path]:
    """A policy file for each point of the front: the bits of its layers, under the names of its network."""
    from edgeconv.search.task import policy_for

    task = session.settings.task()
    folder = session.folder / "policies"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("point*.toml"):
        old.unlink()
    return [
        _write(
            folder / f"point{point['point']}.toml",
            f"# {point['text']}\n" + policy_for(task, point["values"]).to_toml(),
        )
        for point in document["front"]
    ]


def _html(session: Session, document: dict[str, Any]) -> str:
    """One file that needs nothing else: all points, the front, and the genome of the point that is clicked."""
    problem = session.problem
    front = {tuple(point["genome"]) for point in document["front"]}
    points = [
        {
            "text": problem.space.text(e.genome),
            "metrics": dict(e.metrics),
            "shown": {m.name: readable(e.metrics[m.name], m.unit) for m in problem.metrics},
            "front": e.genome in front,
        }
        for e in session.evaluated
        if e.metrics is not None
    ]
    axes = [{"name": m.name, "unit": m.unit, "summary": m.summary} for m in problem.objectives]
    # "</" would end the script that the data stand in.
    data = json.dumps({"points": points, "axes": axes}).replace("</", "<\\/")
    title = f"{session.settings.family}: {len(session.evaluated)} evaluations, {len(front)} on the front"
    note = f"target {session.settings.target}; {session.settings.strategy}, seed {session.settings.seed}"
    if problem.constraints:
        note += "; " + ", ".join(map(str, problem.constraints))
    return PAGE.substitute(title=html.escape(title), note=html.escape(note), data=data)


def _plot(session: Session, path: Path) -> Path:
    from edgeconv.quantize.figures import new_figure

    one, other = session.problem.objectives[:2]
    everyone = [e.metrics for e in session.evaluated if e.metrics is not None]
    best = [e.metrics or {} for e in session.front]
    figure = new_figure(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    for members, style in ((everyone, {"s": 10, "color": "0.75"}), (best, {"s": 26, "color": "C0"})):
        axes.scatter([m[one.name] for m in members], [m[other.name] for m in members], **style)
    for axis, metric, values in (
        (axes.xaxis, one, [m[one.name] for m in everyone]),
        (axes.yaxis, other, [m[other.name] for m in everyone]),
    ):
        if min(values) > 0 and np.ptp(np.log(values)) > 1:
            axis.set_units(None)
            (axes.set_xscale if axis is axes.xaxis else axes.set_yscale)("log")
        axis.set_major_formatter(lambda value, _, unit=metric.unit: readable(value, unit))
        axis.set_label_text(metric.name)
    axes.set_title(f"{session.settings.family}: {len(everyone)} networks, {len(best)} on the front")
    figure.savefig(path, dpi=150)
    return path

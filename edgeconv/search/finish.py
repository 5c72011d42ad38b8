"""Networks of a front made ready for use: trained on, exported, compiled, verified bit by bit, and measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeconv.errors import ArtifactError, EdgeconvError, UsageError
from edgeconv.quantize.family import Progress
from edgeconv.quantize.files import write_whole
from edgeconv.search.available import natural_speed
from edgeconv.search.board import Board
from edgeconv.search.costs import COSTS, compiled_costs
from edgeconv.search.problem import Evaluated
from edgeconv.search.recipe import RecipeSearch, steps_of
from edgeconv.search.session import Session
from edgeconv.search.space import Values
from edgeconv.search.winners import export_network

__all__ = ["ARTIFACT", "MODEL", "OWN", "WINNERS", "Finished", "finish_winners"]

OWN = "own"
"""In the place of a point: the network that the family trains without a search, with 8 bits everywhere."""
WINNERS, MODEL, ARTIFACT = "winners", "network.onnx", "network.edge"
_RECORD, _FINE_TUNING = "winner.json", 500


@dataclass(frozen=True)
class Finished:
    """A network of the front that is ready for use, or the reason why it is not.

    Attributes:
        point: as `search show` numbers them, or `OWN`.
        text: its genome.
        folder: holds the model and the artifact.
        steps: of the training after the search; 0 where it made everything worse and was taken back.
        inherited, metrics: of the family's measure in the search, and after that training with costs of the artifact.
        compared: values that the artifact and the reference computed, all of them equal; 0 where it cannot be run here.
        reason: why there is no artifact, or empty.
    """

    point: str
    text: str
    folder: str
    steps: int
    inherited: Mapping[str, float]
    metrics: Mapping[str, float]
    compared: int
    reason: str = ""


def finish_winners(
    session: Session,
    points: Collection[int] = (),
    *,
    own: bool = False,
    steps: int | None = None,
    samples: int = 64,
    training: Callable[[str], Progress | None] = lambda _: None,
) -> Iterator[Finished]:
    """Train on, export, compile, verify and measure networks of the front, one after the other.

    Each gets a folder of its own under the study's `winners`, named after its genome and training. What is finished
    already is read from there, so a run that was stopped goes on where it was.

    Args:
        points: as `search show` numbers them; all of the front if there are none.
        own: do the same with the family's own network of 8 bits, which networks of a search are to be compared with.
        steps: of fine-tuning, or of the recipe where there is no supernet; 500, or the whole recipe, when None.
        samples: of the comparison with the reference, random ones that are biased to ties and saturation.
        training: gives, for a point, what is told of its training.

    Yields:
        each network as it is ready. One that fails has a reason instead, and is tried again the next time.

    Raises:
        UsageError: the front has no such point.
    """
    front, space = session.front, session.problem.space
    missing = sorted(point for point in points if not 0 <= point < len(front))
    if missing:
        raise UsageError(f"point {missing[0]} of a front of {len(front)}", expected=f"0 to {len(front) - 1}")
    chosen = {str(point): front[point] for point in sorted(set(points)) or range(len(front))}
    if own:
        chosen[OWN] = Evaluated(space.genome(session.settings.task().own_values()), None)
    for point, network in chosen.items():
        planned = _default_steps(session, space.values(network.genome)) if steps is None else steps
        key = json.dumps([network.genome, planned, samples, session.settings.seed])
        folder = session.folder / WINNERS / hashlib.sha256(key.encode()).hexdigest()[:12]
        yield _read(folder, point) or _make(session, point, network, planned, samples, folder, training(point))


def _default_steps(session: Session, values: Values) -> int:
    task = session.settings.task()
    return steps_of(task.configure(values)) if isinstance(task, RecipeSearch) else _FINE_TUNING


def _read(folder: Path, point: str) -> Finished | None:
    """What an earlier run finished; the front may have grown, and numbered its points anew."""
    path = folder / _RECORD
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return Finished(**found | {"point": point, "folder": str(folder)})


def _make(
    session: Session,
    point: str,
    network: Evaluated,
    steps: int,
    samples: int,
    folder: Path,
    progress: Progress | None,
) -> Finished:
    text = session.problem.space.text(network.genome)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        values = session.problem.space.values(network.genome)
        winner = export_network(
            session, values, folder / MODEL, steps=steps, judged=network.metrics, progress=progress
        )  # fmt: skip
        compared, costs = _compiled(session, winner.path, samples, folder / ARTIFACT)
    except EdgeconvError as error:
        return Finished(point, text, str(folder), steps, {}, {}, 0, str(error))
    finished = Finished(point, text, str(folder), winner.steps, winner.inherited, {**winner.metrics, **costs}, compared)
    write_whole(folder / _RECORD, json.dumps(asdict(finished), indent=1).encode())
    return finished


def _compiled(session: Session, model: Path, samples: int, folder: Path) -> tuple[int, dict[str, float]]:
    """How many values were compared with the reference, and what the compiled network costs.

    Raises:
        ArtifactError: some of them differ, or anything else is not as promised.
    """
    from edgeconv.api import compile_model, verify
    from edgeconv.runtime.ways import runnable_isas

    settings = session.settings
    artifact = compile_model(model, settings.target, folder).artifact
    report = verify(artifact.path, model=model, samples=samples, seed=settings.seed)
    if not report.ok:
        wrong = [*map(str, report.problems), *(f"{c.peer}: {c.different} of {c.values} values differ from the reference"
                                               for c in report.comparisons if c.required and c.different)]  # fmt: skip
        raise ArtifactError(
            f"{artifact.path}: {'; '.join(wrong)}", advice=f"edgeconv verify {artifact.path} --model {model}"
        )
    board = Board(settings.board, settings.ssh_options) if settings.board else None
    speed = natural_speed(settings) if board or runnable_isas(artifact.manifest) else set()
    asked = {metric.name for metric in session.problem.metrics if metric.name in COSTS}
    costs = compiled_costs(model, artifact, settings.target, asked | {"model_bytes"} | speed, board)
    return sum(comparison.values for comparison in report.comparisons if comparison.required), costs

"""A search from its settings to its reports: the folder of a study, begun or resumed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from edgeconv.errors import UsageError
from edgeconv.quantize.family import Progress as TrainingProgress
from edgeconv.search.available import with_available_costs
from edgeconv.search.board import Board
from edgeconv.search.engines import Engine, Evaluator, Supervision, open_engine
from edgeconv.search.fronts import front_of
from edgeconv.search.loop import Progress, evaluated_rounds, hypervolume_of, run_search
from edgeconv.search.problem import Evaluated, Problem, find_metrics, parse_constraint
from edgeconv.search.recipe import RecipeEvaluator, RecipeSearch
from edgeconv.search.space import Space
from edgeconv.search.strategies import make_strategy
from edgeconv.search.study import Study
from edgeconv.search.task import FamilyEvaluator, Searchable, find_family, metrics_of

__all__ = ["STUDY", "Session", "Settings", "Workers", "read_session", "run_session"]

STUDY, SUPERNET = "study.sqlite", "supernet.pt"
_SUPERNET_BATCH = 128


@dataclass(frozen=True)
class Settings:
    """What a search is: stored with the study, and the same for as long as it lives.

    Attributes:
        family: name of the entry point.
        target: for costs.
        objectives, constraints: as people write them.
        strategy, options: see `edgeconv.search.strategies`.
        configuration: where there is no supernet, the recipe that networks are trained by; the family's first if empty.
        supernet_steps: of the supernet's training.
        recipe_share: where there is no supernet, what share of its recipe's steps each network is trained for.
        board, ssh_options: see `edgeconv.search.board.Board`; latencies are measured here where it is empty.
    """

    family: str
    target: str = "cpu"
    objectives: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    strategy: str = "predictors"
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    configuration: str = ""
    supernet_steps: int = 8000
    recipe_share: float = 0.1
    board: str = ""
    ssh_options: tuple[str, ...] = ()

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Settings:
        """What `Session.spec` stored."""
        # Studies that were begun before a setting existed had its default.
        values = {name: spec[name] for name in cls.__dataclass_fields__ if name in spec}
        for name in ("objectives", "constraints", "ssh_options"):
            values[name] = tuple(values[name])
        return cls(**values)

    def task(self) -> Searchable | RecipeSearch:
        """As `find_family`."""
        return find_family(self.family, self.configuration)


@dataclass(frozen=True)
class Workers:
    """Where evaluations run; see `open_engine`."""

    count: int = 1
    scheduler: str | None = None
    supervision: Supervision = field(default_factory=Supervision)

    def open(self, evaluator: Evaluator) -> Engine:
        """The engine."""
        return open_engine(
            evaluator, workers=self.count, scheduler=self.scheduler, supervision=self.supervision
        )  # fmt: skip


@dataclass(frozen=True)
class Session:
    """A study as it stands."""

    folder: Path
    settings: Settings
    problem: Problem
    rounds: tuple[tuple[Evaluated, ...], ...]
    seconds: float = 0.0

    @property
    def evaluated(self) -> list[Evaluated]:
        """Everything, in order."""
        return [evaluated for batch in self.rounds for evaluated in batch]

    @property
    def front(self) -> list[Evaluated]:
        """As `front_of`."""
        return front_of(self.problem, self.evaluated)

    @property
    def hypervolume(self) -> float:
        """As `hypervolume_of`."""
        return hypervolume_of(self.problem, self.rounds)


def _problem(settings: Settings, task: Searchable | RecipeSearch) -> Problem:
    known = metrics_of(task)
    constraints = tuple(parse_constraint(text, known) for text in settings.constraints)
    return Problem(task.space, find_metrics(settings.objectives, known), constraints)


def _spec(settings: Settings, space: Space) -> dict[str, Any]:
    choices = [[choice.name, list(choice.values), choice.needs] for choice in space.choices]
    return asdict(settings) | {"space": choices}


def run_session(
    folder: Path,
    settings: Settings | None,
    *,
    evaluations: int,
    workers: Workers,
    supernet: Path | None = None,
    training: TrainingProgress | None = None,
    progress: Progress = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
) -> Session:
    """Begin a study, or continue the one in the folder, until it holds so many evaluations.

    Args:
        settings: None continues with those of the study.
        supernet: weights that were trained before; they are trained, and kept in the folder, when None.
        training: told of the supernet's training.
        say: told in a line what begins.

    Raises:
        UsageError: no study to continue, one that was begun with other settings, or a constraint on a latency that
            cannot be measured (`with_available_costs`).
    """
    begin = perf_counter()
    if settings is None:
        with Study(folder / STUDY) as study:
            settings = Settings.from_spec(study.spec)
    settings = with_available_costs(settings, say)
    task = settings.task()
    problem = _problem(settings, task)
    strategy = make_strategy(settings.strategy, settings.options)
    folder.mkdir(parents=True, exist_ok=True)
    with Study(folder / STUDY, _spec(settings, task.space)) as study:
        wanted = tuple(metric.name for metric in problem.metrics)
        board = Board(settings.board, settings.ssh_options) if settings.board else None
        evaluator: FamilyEvaluator | RecipeEvaluator
        if isinstance(task, RecipeSearch):
            share = settings.recipe_share
            evaluator = RecipeEvaluator(
                task, settings.target, wanted, share, problem.constraints, folder / "costs", board
            )
        else:
            weights = _supernet(folder, settings, task, supernet, training, say)
            evaluator = FamilyEvaluator(settings.family, weights, settings.target, wanted, folder / "costs", board)
        engine = workers.open(evaluator)
        try:
            run_search(
                problem, strategy, engine, study, evaluations=evaluations, seed=settings.seed, progress=progress
            )  # fmt: skip
        finally:
            engine.close()
        rounds = evaluated_rounds(problem, study, settings.seed)
    return Session(folder, settings, problem, tuple(map(tuple, rounds)), perf_counter() - begin)


def read_session(folder: Path) -> Session:
    """The study in a folder, as it stands.

    Raises:
        UsageError: there is none.
    """
    with Study(folder / STUDY) as study:
        settings = Settings.from_spec(study.spec)
        problem = _problem(settings, settings.task())
        return Session(folder, settings, problem, tuple(map(tuple, evaluated_rounds(problem, study, settings.seed))))


def _supernet(
    folder: Path,
    settings: Settings,
    task: Searchable,
    given: Path | None,
    training: TrainingProgress | None,
    say: Callable[[str], None],
) -> Path:
    """The supernet's file in the folder: trained once, or taken over from where it was trained."""
    path = (folder / SUPERNET).absolute()
    if path.is_file():
        return path
    if given is not None:
        if not given.is_file():
            raise UsageError(f"no supernet at {given}")
        partial = path.with_name(f".{path.name}.partial")
        partial.write_bytes(given.read_bytes())
        partial.replace(path)
        return path
    from edgeconv.search.supernet_training import save_supernet, train_supernet

    say(f"training the supernet, {settings.supernet_steps} steps")
    network = train_supernet(
        task.elastic,
        task.space,
        lambda rng: task.batch(rng, _SUPERNET_BATCH),
        steps=settings.supernet_steps,
        seed=settings.seed,
        progress=training,
    )
    save_supernet(network, path)
    return path

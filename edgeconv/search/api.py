"""The public function behind `edgeconv.search`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgeconv.search.engines import Supervision
from edgeconv.search.loop import Progress
from edgeconv.search.session import Session, Settings, Workers, run_session

__all__ = ["search"]


def search(
    family: str,
    output: str | Path | None = None,
    *,
    objectives: Sequence[str],
    constraints: Sequence[str] = (),
    target: str = "cpu",
    evaluations: int = 300,
    strategy: str = "predictors",
    options: Mapping[str, int | float] | None = None,
    configuration: str = "",
    supernet: str | Path | None = None,
    supernet_steps: int = 8000,
    recipe_share: float = 0.1,
    board: str = "",
    ssh_options: Sequence[str] = (),
    workers: int = 1,
    scheduler: str | None = None,
    deadline: float = 600.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Session:
    """Search a family of models for the networks of the best trade-offs (docs/search.md).

    Begins a study, or continues the one in the folder if it was begun with the same settings.

    Args:
        family: its name, as `edgeconv models` lists it.
        output: folder of the study; the family's name with `.search` in the current folder when None.
        objectives: names of metrics.
        constraints: as people write them, such as "latency<5us".
        target: that costs are for.
        evaluations: in all, those that the study holds already included.
        strategy, options: "predictors", "nsga2", "random" or "grid", and what its class has for fields
            (`edgeconv.search.strategies`).
        configuration: the recipe that networks of a family without a supernet are trained by; its first when empty.
        supernet: weights that were trained before; they are trained, and kept in the folder, when None.
        supernet_steps: of that training.
        recipe_share: of families without a supernet, what share of its recipe's steps each network is trained for.
        board: `[user@]host` that latencies are measured on over ssh; this machine where it is empty.
        ssh_options: for ssh, each a word.
        workers: processes on this machine; a script that asks for them guards its main code with `__name__`.
        scheduler: address of a Dask scheduler, in place of processes here.
        deadline: seconds for one evaluation.
        seed: of everything random.
        progress: called after each evaluation.

    Returns:
        the study as it stands: everything evaluated, the front, the hypervolume.

    Raises:
        UsageError: an unknown family, metric, constraint or strategy, or a study of other settings.
        EdgeconvError: no evaluation can run at all.
    """
    settings = Settings(
        family,
        target,
        tuple(objectives),
        tuple(constraints),
        strategy,
        dict(options or {}),
        seed=seed,
        configuration=configuration,
        supernet_steps=supernet_steps,
        recipe_share=recipe_share,
        board=board,
        ssh_options=tuple(ssh_options),
    )
    return run_session(
        Path(output) if output is not None else Path(f"{family}.search"),
        settings,
        evaluations=evaluations,
        workers=Workers(workers, scheduler, Supervision(deadline)),
        supernet=Path(supernet) if supernet is not None else None,
        progress=progress or (lambda _: None),
    )

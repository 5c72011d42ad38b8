"""A search as a process of its own, to be killed: `python -m tests.search.killed_search FILE EVALUATIONS`."""

from __future__ import annotations

import sys
from pathlib import Path

from edgeconv.search.engines import open_engine
from edgeconv.search.loop import run_search
from edgeconv.search.problem import Problem
from edgeconv.search.strategies import PredictorStrategy
from edgeconv.search.study import Study
from tests.search.evaluators import TOY_METRICS, TOY_SPACE, Toy

PROBLEM = Problem(TOY_SPACE, tuple(TOY_METRICS.values()))


def run(path: Path, evaluations: int) -> None:
    strategy = PredictorStrategy(first=20, batch=10, population=30, generations=8)
    engine = open_engine(Toy(seconds=0.02), workers=2)
    with Study(path, {"seed": 1}) as study:
        run_search(PROBLEM, strategy, engine, study, evaluations=evaluations, seed=1)
    engine.close()


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]))

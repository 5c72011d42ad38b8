"""Where evaluations run: in supervised processes of this machine, or on a Dask cluster; one interface."""

from edgeconv.search.engines.engine import Engine, Evaluator, Job, Outcome, Supervision, open_engine

__all__ = ["Engine", "Evaluator", "Job", "Outcome", "Supervision", "open_engine"]

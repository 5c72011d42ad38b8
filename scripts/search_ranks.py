"""Do networks that are taken out of a supernet rank like networks that are trained alone?

    python -m scripts.search_ranks OUT [--networks 20] [--supernet FILE] [--fine-tune 150] [--alone 600 900] [--seed 0]

Draws networks of the pulse family at random and judges each three times by its time resolution: as it is inherited,
after a short fine-tuning of that, and trained from nothing. Prints Kendall's tau of the first two with the last. A run
that is stopped, also by kill -9, goes on where it was when it is started again with the same arguments.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from edgeconv.search.evolution import distinct_samples
from edgeconv.search.predictors import rank_correlation
from edgeconv.search.session import SUPERNET, Settings, Workers, run_session
from edgeconv.search.task import FamilyEvaluator
from edgeconv.search.winners import fine_tune, train_alone

METRIC = "time_resolution"
WAYS = ("inherited", "fine-tuned", "alone")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--supernet", type=Path, help="weights trained before; they are trained in OUT otherwise")
    parser.add_argument("--supernet-steps", type=int, default=3000)
    parser.add_argument("--fine-tune", type=int, default=150, metavar="STEPS")
    parser.add_argument("--alone", type=int, nargs=2, default=(600, 900), metavar=("REAL", "ROUNDED"))
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rows = measure(
        options.out, options.networks, options.supernet, options.supernet_steps, options.fine_tune,
        tuple(options.alone), options.seed,
    )  # fmt: skip
    for way in WAYS[:2]:
        tau = rank_correlation(column(rows, way), column(rows, "alone"))
        print(f"{way}: Kendall's tau with {len(rows)} networks trained alone {tau:.3f}")


def column(rows: Sequence[dict[str, float]], way: str) -> np.ndarray:
    return np.array([row[way] for row in rows])


def measure(
    out: Path, networks: int, supernet: Path | None, supernet_steps: int, steps: int, alone: tuple[int, int], seed: int
) -> list[dict[str, float]]:
    """The metric of every network in each way, in OUT/ranks.jsonl; what is there already is not done again."""
    settings = Settings("pulse", objectives=(METRIC,), strategy="random", seed=seed, supernet_steps=supernet_steps)
    # No evaluation: the supernet is all that is wanted.
    session = run_session(out, settings, evaluations=0, workers=Workers(), supernet=supernet)
    evaluator = FamilyEvaluator("pulse", out / SUPERNET, "cpu", (METRIC,))
    evaluator.prepare()
    space, path = session.problem.space, out / "ranks.jsonl"
    key = {"fine_tune": steps, "alone": list(alone), "seed": seed}
    done = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    known = {row["network"]: row["found"] for row in done if row["key"] == key}
    rows = []
    for genome in distinct_samples(space, networks, np.random.default_rng([seed, 0])):
        text = space.text(genome)
        if text not in known:
            task, network = evaluator.network(space.values(genome))
            found = {"inherited": task.judge(network)[METRIC]}
            fine_tune(network, task, steps, seed)
            found["fine-tuned"] = task.judge(network)[METRIC]
            found["alone"] = task.judge(train_alone(task, space.values(genome), alone, seed))[METRIC]
            known[text] = found
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"network": text, "key": key, "found": found}) + "\n")
            print("  ".join(f"{way} {1e12 * found[way]:.0f} ps" for way in WAYS), text, sep="  ", flush=True)
        rows.append(known[text])
    return rows


if __name__ == "__main__":
    main()

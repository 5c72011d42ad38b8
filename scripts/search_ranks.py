"""Do networks that are taken out of a supernet rank like networks that are trained alone?

    python -m scripts.search_ranks OUT [--networks 20] [--supernet FILE] [--fine-tune 1000] [--alone 1000 1500]

Draws networks of the pulse family at random and judges each by its time resolution: as it is inherited, after a short
fine-tuning of that, and trained from nothing with several seeds, of which the geometric mean counts. Prints Kendall's
tau of the first two with the last, and that of the seeds among themselves, which says how far a single training can be
trusted. A run that is stopped, also by kill -9, goes on where it was when it is started again with the same arguments.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from edgeconv.search.evolution import distinct_samples
from edgeconv.search.predictors import rank_correlation
from edgeconv.search.session import SUPERNET, Settings, Workers, run_session
from edgeconv.search.task import FamilyEvaluator
from edgeconv.search.winners import fine_tune, train_alone

METRIC = "time_resolution"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--supernet", type=Path, help="weights trained before; they are trained in OUT otherwise")
    parser.add_argument("--supernet-steps", type=int, default=8000)
    parser.add_argument("--fine-tune", type=int, default=1000, metavar="STEPS")
    parser.add_argument("--alone", type=int, nargs=2, default=(1000, 1500), metavar=("REAL", "ROUNDED"))
    parser.add_argument("--alone-seeds", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    rows = measure(
        options.out, options.networks, options.supernet, options.supernet_steps, options.fine_tune,
        tuple(options.alone), options.alone_seeds, options.seed,
    )  # fmt: skip
    alone = np.array([row["alone"] for row in rows])
    for way in ("inherited", "fine-tuned"):
        tau = rank_correlation(np.array([row[way] for row in rows]), geometric_mean(alone))
        print(f"{way}: Kendall's tau with {len(rows)} networks trained alone {tau:.3f}")
    for one, other in combinations(range(alone.shape[1]), 2):
        print(f"alone: seeds {one} and {other} with one another {rank_correlation(alone[:, one], alone[:, other]):.3f}")


def geometric_mean(alone: np.ndarray) -> np.ndarray:
    return np.exp(np.log(alone).mean(axis=1))


def measure(
    out: Path,
    networks: int,
    supernet: Path | None,
    supernet_steps: int,
    steps: int,
    alone: tuple[int, int],
    alone_seeds: int,
    seed: int,
) -> list[dict[str, Any]]:
    """The metric of every network in each way, in OUT/ranks.jsonl; what is there already is not done again."""
    settings = Settings("pulse", objectives=(METRIC,), strategy="random", seed=seed, supernet_steps=supernet_steps)
    # No evaluation: the supernet is all that is wanted.
    session = run_session(out, settings, evaluations=0, workers=Workers(), supernet=supernet)
    evaluator = FamilyEvaluator("pulse", out / SUPERNET, "cpu", (METRIC,))
    evaluator.prepare()
    space, path = session.problem.space, out / "ranks.jsonl"
    key = {"fine_tune": steps, "alone": [*alone, alone_seeds], "seed": seed}
    done = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []
    known = {row["network"]: row["found"] for row in done if row["key"] == key}
    rows = []
    for genome in distinct_samples(space, networks, np.random.default_rng([seed, 0])):
        text = space.text(genome)
        if text not in known:
            task, network = evaluator.network(space.values(genome))
            found: dict[str, Any] = {"inherited": task.judge(network)[METRIC]}
            fine_tune(network, task, steps, seed)
            found["fine-tuned"] = task.judge(network)[METRIC]
            trained = (train_alone(task, space.values(genome), alone, seed + n) for n in range(alone_seeds))
            found["alone"] = [task.judge(each)[METRIC] for each in trained]
            known[text] = found
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"network": text, "key": key, "found": found}) + "\n")
            picoseconds = {way: np.round(1e12 * np.array(value)) for way, value in found.items()}
            print("  ".join(f"{way} {value} ps" for way, value in picoseconds.items()), text, sep="  ", flush=True)
        rows.append(known[text])
    return rows


if __name__ == "__main__":
    main()

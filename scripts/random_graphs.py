"""The long run of random graphs: text, proof, code for every instruction set, execution, against the reference.

    python scripts/random_graphs.py --graphs 20000 --state build/random-graphs --processes 2

With `--machine arm` the code is for 64-bit Arm and runs under qemu (Debian: gcc-aarch64-linux-gnu,
libc6-dev-arm64-cross, qemu-user-static).

Seeds are worked off in blocks; a finished block leaves one file in the state folder, so a run that was stopped goes on
where it was. It ends with the coverage table and exit code 1 if any graph differed. Run it from the repository's root.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from pathlib import Path

_BLOCK = 50


def main() -> int:
    """Work off all seeds and print what they showed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--graphs", type=int, default=20000, help="how many seeds (default: 20000)")
    parser.add_argument("--first", type=int, default=1_000_000, help="the first seed (default: 1000000)")
    parser.add_argument(
        "--machine", choices=("host", "arm", "cuda"), default="host", help="what runs the code (default: host)"
    )
    parser.add_argument("--state", type=Path, help="folder of finished blocks (default: build/random-graphs-MACHINE)")
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.nice(10)
    state = options.state or Path("build") / f"random-graphs-{options.machine}"
    state.mkdir(parents=True, exist_ok=True)
    last = options.first + options.graphs
    jobs = [
        (state, start, min(start + _BLOCK, last), options.machine)
        for start in range(options.first, last, _BLOCK)
        if not _file(state, start, min(start + _BLOCK, last)).exists()
    ]
    begun = time.monotonic()
    # Fresh processes now and then: what the compiler keeps adds up over thousands of graphs.
    with multiprocessing.get_context("spawn").Pool(options.processes, maxtasksperchild=8) as pool:
        for done, differing in enumerate(pool.imap_unordered(_work, jobs), 1):
            left = (time.monotonic() - begun) / done * (len(jobs) - done)
            found = f", {differing} graphs differ" if differing else ""
            print(f"{done} of {len(jobs)} blocks{found}, about {left / 60:.0f} min left", file=sys.stderr, flush=True)
    return _report(state, options.first, last, options.machine)


def _file(state: Path, start: int, stop: int) -> Path:
    return state / f"{start}-{stop}.json"


def _work(job: tuple[Path, int, int, str]) -> int:
    state, start, stop, machine = job
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.random_graphs.batch import run_seeds
    from tests.random_graphs.machines import MACHINES

    findings = run_seeds(range(start, stop), MACHINES[machine])
    record = {
        "graphs": findings.graphs,
        "ties": findings.ties,
        "refused": findings.refused,
        "counts": [[*cell, count] for cell, count in sorted(findings.counts.items())],
        "reports": findings.reports,
    }
    partial = _file(state, start, stop).with_suffix(".partial")
    partial.write_text(json.dumps(record), encoding="utf-8")
    partial.replace(_file(state, start, stop))
    return len(findings.reports)


def _report(state: Path, first: int, last: int, machine: str) -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from tests.random_graphs.batch import Findings
    from tests.random_graphs.machines import MACHINES

    total = Findings(isas=MACHINES[machine].isas)
    for start in range(first, last, _BLOCK):
        record = json.loads(_file(state, start, min(start + _BLOCK, last)).read_text(encoding="utf-8"))
        counts = Counter({(name, isa, form): count for name, isa, form, count in record["counts"]})
        total.merge(Findings(record["graphs"], record["ties"], record["refused"], counts, record["reports"]))
    for report in total.reports:
        print(report, end="\n\n")
    print(total.summary())
    return 1 if total.reports else 0


if __name__ == "__main__":
    sys.exit(main())

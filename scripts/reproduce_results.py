"""Families at demo size: trained, measured, and written down in docs/results.md with plots.

    python -m scripts.reproduce_results                       # all that have results
    python -m scripts.reproduce_results pulse --folder build/results

A training in FOLDER that was stopped goes on, and one that has ended is not repeated. A family's section takes the
place of the one before; sections of families that were not asked for stay. Another family joins with a module in
scripts/results that has `section(folder, plots, only)`, and its line in `FAMILIES`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from scripts.results.page import write_sections

FAMILIES = {
    "pulse": "scripts.results.pulse",
    "ecg_mamba": "scripts.results.ecg_mamba",
    "mininet": "scripts.results.mininet",
    "oneway_wave": "scripts.results.oneway_wave",
}
PAGE, PLOTS = Path("docs/results.md"), Path("docs/results")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument("--parts", nargs="+", default=(), help="of the families' sections; all by default")
    parser.add_argument("--folder", type=Path, default=Path("build/results"), help="of trainings")
    parser.add_argument("--page", type=Path, default=PAGE)
    parser.add_argument("--plots", type=Path, default=PLOTS)
    options = parser.parse_args(arguments)
    if unknown := set(options.families) - set(FAMILIES):
        parser.error(f"unknown {', '.join(sorted(unknown))}; known: {', '.join(FAMILIES)}")
    for family in options.families or FAMILIES:
        section = import_module(FAMILIES[family]).section(options.folder, options.plots, options.parts)
        write_sections(options.page, [section])
        print(f"{options.page}: {family}", flush=True)


if __name__ == "__main__":
    main()

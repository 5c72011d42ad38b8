"""Runs every command shown in a Markdown page and puts its real output below it.

    python scripts/refresh_outputs.py README.md [--keep FOLDER]

A block that begins with ```console holds lines `$ command`, each followed by its output. The commands of a page run one
after the other in one empty folder (or in FOLDER, to see what they left); a line `$ … # not run` keeps what is written.
A block behind a line that ends with "as `NAME`:" is saved there under that name.
Output beyond 60 lines is shortened with a line "…". The page is rewritten in place.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

LONGEST = 60
FENCE = "```console"
SAVED = re.compile(r"(?:^|\s)`([\w.-]+)`:$")


def refreshed(page: str, folder: Path) -> Iterator[str]:
    """The lines of a page with the outputs of its commands made anew."""
    lines = iter(page.splitlines())
    before = ""
    for line in lines:
        yield line
        if line.startswith("```"):
            block = []
            for inner in lines:
                if inner.strip() == "```":
                    break
                block.append(inner)
            if line.strip() == FENCE:
                yield from run_block(block, folder)
            else:
                if name := SAVED.search(before):
                    (folder / name[1]).write_text("\n".join(block) + "\n", encoding="utf-8")
                yield from block
            yield "```"
        before = line or before


def run_block(block: list[str], folder: Path) -> Iterator[str]:
    """A block's commands, each with its output."""
    kept: list[str] = []
    for line in block:
        if not line.startswith("$ "):
            if kept:
                yield line
            continue
        yield line
        kept = [line] if line.endswith("# not run") else []
        if not kept:
            yield from run(line[2:], folder)


def run(command: str, folder: Path) -> list[str]:
    """Standard output and error of a shell command, without trailing blanks."""
    print(f"$ {command}", file=sys.stderr, flush=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "COLUMNS": "120"}
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    lines = [line.rstrip().replace(str(folder), ".") for line in done.stdout.rstrip().splitlines()]
    if len(lines) > LONGEST:
        lines = [*lines[: LONGEST - 10], "…", *lines[-9:]]
    if done.returncode and "exit code" not in command:
        lines.append(f"(exit code {done.returncode})")
    return lines


def main() -> None:
    """Refresh the pages named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="+", type=Path)
    parser.add_argument("--keep", type=Path, help="folder to run in; a temporary one by default")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.keep or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        for page in arguments.pages:
            text = "\n".join(refreshed(page.read_text(encoding="utf-8"), folder)) + "\n"
            page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

"""Builds an artifact of target c for a microcontroller and runs its self-test in a simulator.

    python scripts/microcontroller.py pulse.edge                # every board
    python scripts/microcontroller.py ecg.edge --board mps2-an500 -O -O3

Needs arm-none-eabi-gcc with newlib and qemu-system-arm. Prints flash, RAM, and retired instructions of one sample; how
long a board would take is not known from that.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from edgeconv.errors import EdgeconvError, ToolError

PACKAGES = "qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi"
BOARDS_FOLDER = Path(__file__).parent / "boards"


@dataclass(frozen=True)
class Board:
    """A machine of qemu-system-arm.

    Attributes:
        name: qemu's.
        options: of arm-none-eabi-gcc.
        clock_hz: of its tick counter.
    """

    name: str
    core: str
    options: tuple[str, ...]
    clock_hz: int


BOARDS = {
    board.name: board
    for board in (
        Board("mps2-an500", "Cortex-M7", ("-mcpu=cortex-m7", "-mfloat-abi=hard", "-mfpu=fpv5-d16"), 25_000_000),
        Board("mps3-an547", "Cortex-M55", ("-mcpu=cortex-m55", "-mfloat-abi=hard"), 32_000_000),
    )
}


@dataclass(frozen=True)
class Measured:
    """What a run on a board gave, in bytes and retired instructions a sample.

    Attributes:
        code, constants: flash of the model's object.
        scratch: RAM of the model; inputs and outputs come on top.
        stack: deepest stack of the whole self-test, printf included.
        samples, different: golden samples, and outputs that differ from the reference.
    """

    board: str
    core: str
    code: int
    constants: int
    scratch: int
    stack: int
    instructions: int
    samples: int
    different: int


def run_on_board(artifact: Path, board: Board, optimize: str = "-O2", timeout: float = 300.0) -> Measured:
    """Build the artifact's sources with its self-test and run them in the simulator.

    Raises:
        ToolError: a tool is missing or failed, or the program printed something else than a self-test does.
    """
    (source,) = (artifact / "src").glob("*.c")
    strict = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-pedantic", "-Werror")
    target = (*board.options, "-mthumb", optimize)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = folder / "model.o"
        compiler = ("arm-none-eabi-gcc", *target)
        _run(*compiler, *strict, f"-I{artifact / 'include'}", "-c", source, "-o", model)
        self_test = ("-include", BOARDS_FOLDER / "board.h", artifact / "test" / "self_test.c")
        script = (f"-L{BOARDS_FOLDER}", "-T", BOARDS_FOLDER / f"{board.name}.ld", "--specs=rdimon.specs")
        bare = ("-nostartfiles", "-Wl,--gc-sections", "-ffunction-sections")
        program = folder / "self-test.elf"
        startup = BOARDS_FOLDER / "startup.c"
        _run(*compiler, *script, *bare, f"-I{artifact / 'include'}", startup, *self_test, model, "-o", program)
        semihosting = ("-semihosting-config", "enable=on,target=native", "-icount", "shift=0")
        simulator = ("qemu-system-arm", "-M", board.name, "-display", "none", "-monitor", "none", "-serial", "none")
        printed = _run(*simulator, *semihosting, "-kernel", program, timeout=timeout, accept=(0, 1))
        sections = _sections(model)
    found = re.search(r"self-test: (\d+) samples, (\d+) outputs differ\ncalls (\d+), ticks (\d+), stack (\d+)", printed)
    if found is None:
        raise ToolError(f"the program on {board.name} printed {printed!r}")
    samples, different, calls, ticks, stack = map(int, found.groups())
    manifest = json.loads((artifact / "manifest.json").read_text())
    return Measured(
        board=board.name,
        core=board.core,
        code=sum(size for section, size in sections.items() if section.startswith(".text")),
        constants=sum(size for section, size in sections.items() if section.startswith(".rodata")),
        scratch=manifest["scratch_bytes"],
        stack=stack,
        instructions=round(ticks / calls * 1e9 / board.clock_hz),
        samples=samples,
        different=different,
    )


def _run(*command: object, timeout: float = 300.0, accept: tuple[int, ...] = (0,)) -> str:
    words = list(map(str, command))
    if shutil.which(words[0]) is None:
        raise ToolError(f"{words[0]} is not installed", advice=f"apt-get install {PACKAGES}")
    done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False)
    if done.returncode not in accept:
        raise ToolError(f"{words[0]} ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
    return done.stdout


def _sections(path: Path) -> dict[str, int]:
    rows = [line.split() for line in _run("arm-none-eabi-size", "-A", path).splitlines()]
    return {row[0]: int(row[1]) for row in rows if len(row) == 3 and row[1].isdigit()}


def main() -> int:
    """The command line; exit code 1 where an output differs from the reference."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path)
    parser.add_argument("--board", choices=list(BOARDS), action="append", help="all of them when left out")
    parser.add_argument("-O", dest="optimize", default="-O2", help="gcc's optimization (-O2)")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    boards = [BOARDS[name] for name in arguments.board or BOARDS]
    try:
        results = [run_on_board(arguments.artifact, board, arguments.optimize) for board in boards]
    except EdgeconvError as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return error.exit_code
    if arguments.json:
        print(json.dumps([asdict(result) for result in results]))
    else:
        print("board       core        flash: code  constants  RAM: scratch  stack  instructions a sample  self-test")
        for r in results:
            verdict = f"{r.samples} samples, {r.different} outputs differ"
            sizes = f"{r.code:11} {r.constants:10} {r.scratch:13} {r.stack:6} {r.instructions:22,}"
            print(f"{r.board:11} {r.core:11} {sizes}  {verdict}")
    return int(any(result.different for result in results))


if __name__ == "__main__":
    sys.exit(main())

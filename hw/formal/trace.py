"""Values of signals in a waveform (VCD, IEEE 1364-2005, 18.2) as yosys-smtbmc writes it: ten units of time a cycle."""

from __future__ import annotations

import re

from edgeconv.errors import ToolError

__all__ = ["values_at"]

_UNITS = 10


def values_at(text: str, name: str, cycle: int, *, signed: bool) -> int:
    """A signal of the module at the top in a cycle.

    Raises:
        ToolError: the waveform has no such signal.
    """
    declared = re.search(rf"\$var \w+ (\d+) (\S+) {re.escape(name)} \$end", text)
    if declared is None:
        raise ToolError(f"the waveform of a counterexample has no signal {name!r}", expected="a signal of the module")
    width, code = int(declared[1]), declared[2]
    bits, time = "0", 0
    for line in text[text.index("$enddefinitions") :].splitlines():
        if line.startswith("#"):
            time = int(line[1:])
        elif time <= cycle * _UNITS and line.endswith(f" {code}") and line.startswith("b"):
            bits = line[1 : -len(code) - 1]
        elif time <= cycle * _UNITS and line[1:] == code and line[0] in "01":
            bits = line[0]
    value = int(bits, 2)
    return value - (1 << width) if signed and len(bits) == width and bits[0] == "1" and width > 1 else value

"""Printed C made readable: whole lines and whole tokens only, no expression is touched."""

from __future__ import annotations

import re

__all__ = ["tidied"]

_SUBSTITUTIONS = (
    # Arrays of one element, which keep TVM's simplifier out, are variables.
    (re.compile(r"\b_ptr(_\d+)?\[1\];"), r"cell\1;"),
    (re.compile(r"\b_ptr(_\d+)?\[0\]"), r"cell\1"),
    (re.compile(r"\bbool\b"), "_Bool"),
    # The literal alone would not fit a signed type.
    (re.compile(r"-9223372036854775808\b"), "(-9223372036854775807 - 1)"),
)
_DECLARED = re.compile(r" *(\w+) (cell\w*);")
_ASSIGNED = re.compile(r"( *)(cell\w*) = (.*);")
_READ = re.compile(r" *(\w+) (v_\w*) = (cell\w*);")
_VARIABLE = re.compile(r" *\w+ (v_\w*|cell\w*)(?: = .*)?;")
_NAME = re.compile(r"\b(?:v_\w*|cell\w*)\b")
_TVM_INDENT, _INDENT = 2, 4


def tidied(body: str) -> str:
    """Statements in C99 style: no detours through cells that are written and read once, no variable without a reader.

    Right-hand sides have no effects, so a variable that nothing reads may go.
    """
    for pattern, replacement in _SUBSTITUTIONS:
        body = pattern.sub(replacement, body)
    lines = _without_detours(body.splitlines())
    while True:
        kept = _without_unread(lines)
        if len(kept) == len(lines):
            return "".join(f"{_reindented(line)}\n" for line in lines)
        lines = kept


def _counts(lines: list[str]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for line in lines:
        for name in _NAME.findall(line):
            counts[name] = counts.get(name, 0) + 1
    return counts


def _without_detours(lines: list[str]) -> list[str]:
    """`T cell; cell = e; T v = cell;` becomes `T v = e;` where the cell occurs nowhere else."""
    counts = _counts(lines)
    kept: list[str] = []
    dropped: set[str] = set()
    for line in lines:
        read = _READ.fullmatch(line)
        assigned = _ASSIGNED.fullmatch(kept[-1]) if kept else None
        if read and assigned and read[3] == assigned[2] and counts[read[3]] == 3:
            kept[-1] = f"{assigned[1]}{read[1]} {read[2]} = {assigned[3]};"
            dropped.add(read[3])
        else:
            kept.append(line)
    declared = (_DECLARED.fullmatch(line) for line in kept)
    return [line for line, match in zip(kept, declared, strict=True) if match is None or match[2] not in dropped]


def _without_unread(lines: list[str]) -> list[str]:
    counts = _counts(lines)
    variables = (_VARIABLE.fullmatch(line) for line in lines)
    return [line for line, match in zip(lines, variables, strict=True) if match is None or counts[match[1]] > 1]


def _reindented(line: str) -> str:
    text = line.lstrip()
    return " " * ((len(line) - len(text)) // _TVM_INDENT * _INDENT) + text

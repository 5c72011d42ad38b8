"""What was measured, in the user's cache: one readable file for each unit, written whole or not at all.

The key is the content that the answer depends on: the unit's facts, the processor, and what makes the code. Another
version of edgeconv, TVM or gcc, or another processor, finds nothing and measures again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeconv.cache import cache_folder, cached, digest
from edgeconv.codegen.choices import Blocking

__all__ = ["Answer", "answered"]

_KIND = "blockings"
_FILE = "answers.json"


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        step: index of the step inside its unit.
        part, axes: of the question.
        modelled, chosen: the cycle model's blocking, and the one to take.
        seconds: of the unit alone, with the cycle model's blocking and with the best other one.
        noise: share of the time below which a difference meant nothing.
    """

    step: int
    part: str
    axes: tuple[str, ...]
    modelled: Blocking
    chosen: Blocking
    seconds: tuple[float, float]
    noise: float


def answered(facts: Mapping[str, Any], machine: Mapping[str, str], measure: Callable[[], list[Answer]]) -> list[Answer]:
    """The answers for a unit: from the cache, or else measured and kept.

    Args:
        facts: of the unit, plain values.
        machine: what the answers depend on besides: the processor, and the versions of what makes the code.
    """
    content = {"unit": facts, "machine": dict(machine)}
    text = json.dumps(content, sort_keys=True, ensure_ascii=False)
    key = digest([_KIND, text])

    def make(folder: Path) -> None:
        kept = content | {"answers": [asdict(answer) for answer in measure()]}
        (folder / _FILE).write_text(json.dumps(kept, indent=1, ensure_ascii=False), encoding="utf-8")

    place = cached(_KIND, key, make)
    found = _read(place)
    if found is None:  # altered by somebody: it is made again
        shutil.rmtree(place, ignore_errors=True)
        found = _read(cached(_KIND, key, make))
        assert found is not None, f"{cache_folder() / _KIND / key} cannot be read"
    return found


def _read(folder: Path) -> list[Answer] | None:
    """The answers of an entry, or None where it does not hold them."""
    try:
        values = json.loads((folder / _FILE).read_text(encoding="utf-8"))
        return [_answer(value) for value in values["answers"]]
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _answer(value: Mapping[str, Any]) -> Answer:
    before, after = value["seconds"]
    return Answer(
        int(value["step"]),
        str(value["part"]),
        tuple(map(str, value["axes"])),
        tuple(map(int, value["modelled"])),
        tuple(map(int, value["chosen"])),
        (float(before), float(after)),
        float(value["noise"]),
    )

"""docs/results.md: one section for each family, written by itself, the others left as they are."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgeconv.quantize.family import Comparison

__all__ = ["Figure", "Section", "Table", "write_sections"]

_TITLE = """# Results at demo size

What `python -m scripts.reproduce_results` measured: families trained by their recipes on data that are simulated or
generated, float and quantized networks judged on data that no training has seen.
"""


@dataclass(frozen=True)
class Table:
    """A comparison under a sentence that says what it shows."""

    text: str
    comparison: Comparison


@dataclass(frozen=True)
class Figure:
    """A PNG file beside the page."""

    path: Path
    caption: str

    @classmethod
    def kept(cls, drawn: Path, path: Path, caption: str) -> Figure:
        """A copy of a file that was drawn elsewhere."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return cls(Path(shutil.copyfile(drawn, path)), caption)


@dataclass(frozen=True)
class Section:
    """What one family has to show.

    Attributes:
        family: its name.
        commands: that made it, one a line.
        parts: tables, figures and paragraphs, in order.
    """

    family: str
    commands: tuple[str, ...]
    parts: tuple[Table | Figure | str, ...]


def write_sections(page: Path, sections: Iterable[Section]) -> None:
    """Put sections into the page, each in place of the one before; a new page is made, new families come last."""
    text = page.read_text() if page.is_file() else _TITLE
    for section in sections:
        begin, end = f"<!-- results of {section.family} -->", f"<!-- end of {section.family} -->"
        block = f"{begin}\n{_markdown(section, page.parent)}\n{end}"
        if begin in text:
            text = re.sub(
                re.escape(begin) + ".*?" + re.escape(end), lambda _, block=block: block, text, flags=re.DOTALL
            )
        else:
            text = f"{text.rstrip()}\n\n{block}\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text)


def _markdown(section: Section, folder: Path) -> str:
    lines = [f"## {section.family}", "", *(f"    {command}" for command in section.commands)]
    for part in section.parts:
        lines.append("")
        if isinstance(part, Table):
            lines += [part.text, "", *_rows(part.comparison)]
            lines += ["", *(f"{remark}." for remark in part.comparison.remarks)] if part.comparison.remarks else []
        elif isinstance(part, Figure):
            lines.append(f"![{part.caption}]({part.path.relative_to(folder)})")
        else:
            lines.append(part)
    return "\n".join(lines)


def _rows(comparison: Comparison) -> list[str]:
    lines = [comparison.header, ("---",) * len(comparison.header), *comparison.rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]

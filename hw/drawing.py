"""A few shapes of SVG: boxes with text, arrows along corners, frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Box", "Drawing"]

_TITLE, _TEXT, _SMALL = 15, 12, 11  # font sizes, px
_LINE = 15
_FONT = 'font-family="Helvetica, Arial, sans-serif"'
_HEAD = (
    '<marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto-start-reverse">'
    '<path d="M0 0 8 4 0 8z" fill="#333"/></marker>'
)


@dataclass(frozen=True)
class Box:
    """A rectangle, px from the upper left corner of the drawing."""

    x: int
    y: int
    width: int
    height: int

    def left(self, down: float = 0.5) -> tuple[int, int]:
        """The point of the left side that lies `down` of its height from the top."""
        return self.x, self.y + round(self.height * down)

    def right(self, down: float = 0.5) -> tuple[int, int]:
        """The point of the right side."""
        return self.x + self.width, self.y + round(self.height * down)

    def top(self, along: float = 0.5) -> tuple[int, int]:
        """The point of the upper side that lies `along` of its width from the left."""
        return self.x + round(self.width * along), self.y

    def bottom(self, along: float = 0.5) -> tuple[int, int]:
        """The point of the lower side."""
        return self.x + round(self.width * along), self.y + self.height


class Drawing:
    """Collects shapes; `text` is the file."""

    def __init__(self, width: int, height: int, title: str) -> None:
        size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {_FONT}>',
            f"<title>{escape(title)}</title>",
            f"<defs>{_HEAD}</defs>",
            f'<rect width="{width}" height="{height}" fill="#fff"/>',
        ]

    def frame(self, box: Box, label: str) -> None:
        """A dashed frame around other shapes, its label at the upper left."""
        self._rectangle(box, "none", 'stroke="#888" stroke-dasharray="6 4"')
        self.label(box.x + 10, box.y + 18, label, color="#666")

    def box(self, box: Box, title: str, lines: Sequence[str] = (), *, fill: str = "#eef3fa") -> Box:
        """A box with a title and lines of text below it, centred; gives the box back."""
        self._rectangle(box, fill, 'stroke="#333"')
        middle = box.x + box.width // 2
        first = box.y + (box.height - _LINE * len(lines)) // 2 + _TITLE // 3
        self.label(middle, first, title, size=_TITLE, anchor="middle")
        for number, line in enumerate(lines, 1):
            self.label(middle, first + _LINE * number + 2, line, anchor="middle", color="#444")
        return box

    def cell(self, box: Box, text: str = "", *, fill: str = "#fff") -> None:
        """A small box with one short text."""
        self._rectangle(box, fill, 'stroke="#777"')
        self.label(box.x + box.width // 2, box.y + box.height // 2 + 4, text, size=_SMALL, anchor="middle")

    def arrow(self, *points: tuple[int, int], label: str = "", at: tuple[int, int] | None = None) -> None:
        """A line through the points with a tip at the last one; its label starts at `at`."""
        path = " ".join(f"{x},{y}" for x, y in points)
        self._parts.append(
            f'<polyline points="{path}" fill="none" stroke="#333" stroke-width="1.4" marker-end="url(#tip)"/>'
        )
        if label and at:
            self.label(*at, label, size=_SMALL, color="#444")

    def line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        """A thin line."""
        (x1, y1), (x2, y2) = start, end
        self._parts.append(f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="#bbb"/>')

    def label(
        self, x: int, y: int, text: str, *, size: int = _TEXT, anchor: str = "start", color: str = "#111"
    ) -> None:
        """Text on its baseline."""
        place = f'x="{x}" y="{y}" font-size="{size}" text-anchor="{anchor}" fill="{color}"'
        self._parts.append(f"<text {place}>{escape(text)}</text>")

    @property
    def text(self) -> str:
        """The SVG file."""
        return "\n".join([*self._parts, "</svg>", ""])

    def _rectangle(self, box: Box, fill: str, style: str) -> None:
        place = f'x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}"'
        self._parts.append(f'<rect {place} rx="4" fill="{fill}" {style}/>')

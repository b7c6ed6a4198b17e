"""A drawing in SVG: coordinates in pixels, colours by class, which follow the reader's scheme."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.perf.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

STYLE = Path(__file__).parent / "templates" / "plot.css"
#: How wide a character of the 13 px font is, at most and on average: text cannot be measured here.
CHARACTER = 7.0
#: How much room a title has above a drawing that is a file of its own.
_TITLE = 26.0
_COLOURS = 8
_DASHES = 5
#: Marks that differ by shape, for eyes that see few colours and for print.
_SHAPES = ("circle", "square", "triangle", "diamond", "cross")


@dataclass(frozen=True)
class Look:
    """How one contender is drawn in every plot: a colour, a dash, a shape; a twin is hollow."""

    colour: str
    dash: int
    shape: str
    hollow: bool = False

    @property
    def curve(self) -> str:
        """The classes of a curve."""
        return f"curve {self.colour} d{self.dash}"

    @property
    def mark(self) -> str:
        """The classes of a mark."""
        return f"mark {self.colour}{' hollow' if self.hollow else ''}"

    @property
    def whisker(self) -> str:
        """The classes of an interval."""
        return f"whisker {self.colour}"


def look(place: int, *, hollow: bool = False) -> Look:
    """Return the look of the contender at a place; below 0, that of the floor."""
    if place < 0:
        return Look("floor", 1, "cross")
    dash = 4 if hollow else (0, 3, 2, 1)[place % 4] if place >= 4 else (0, 0, 1, 2)[place]  # noqa: PLR2004 - four dashes
    return Look(f"c{place % _COLOURS}", dash, _SHAPES[place % 4], hollow)


@dataclass
class Drawing:
    """An SVG image that is being drawn. ``title`` and ``description`` say what it shows."""

    name: str
    title: str
    description: str
    width: float
    height: float
    _parts: list[str] = field(default_factory=list)

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """Draw a straight line."""
        self._parts.append(
            f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'
        )

    def path(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Draw a line through points."""
        before = ("", "")
        steps = ""
        for x, y in points:
            after = (f"{x:.1f}", f"{y:.1f}")
            # Curves of many samples are steps, which the short commands halve.
            if not steps:
                steps = f"M{after[0]} {after[1]}"
            elif after[1] == before[1]:
                steps += f"H{after[0]}" if after[0] != before[0] else ""
            elif after[0] == before[0]:
                steps += f"V{after[1]}"
            else:
                steps += f"L{after[0]} {after[1]}"
            before = after
        self._parts.append(f'<path class="{kind}" d="{steps}"/>')

    def box(self, x: float, y: float, width: float, height: float, kind: str) -> None:
        """Draw a rectangle."""
        place = f'x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"'
        self._parts.append(f'<rect class="{kind}" {place}/>')

    def text(self, x: float, y: float, text: str, *, anchor: str = "start", kind: str = "") -> None:
        """Write text, with its baseline at ``y``."""
        classes = f' class="{kind}"' if kind else ""
        self._parts.append(
            f'<text{classes} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{_text(text)}</text>'
        )

    def mark(self, x: float, y: float, look: Look, size: float = 4.5) -> None:
        """Draw a contender's mark."""
        match look.shape:
            case "circle":
                shape = f'<circle class="{look.mark}" cx="{x:.1f}" cy="{y:.1f}" r="{size:.1f}"/>'
            case "square":
                shape = _polygon(look.mark, x, y, size * 0.9, ((-1, -1), (1, -1), (1, 1), (-1, 1)))
            case "triangle":
                shape = _polygon(look.mark, x, y, size * 1.2, ((0, -1), (1, 0.8), (-1, 0.8)))
            case "diamond":
                shape = _polygon(look.mark, x, y, size * 1.25, ((0, -1), (1, 0), (0, 1), (-1, 0)))
            case _:
                bar = size * 0.35
                points = ((-1, -bar / size), (1, -bar / size), (1, bar / size), (-1, bar / size))
                shape = _polygon(look.mark, x, y, size, points)
        self._parts.append(shape)

    def legend(
        self, x: float, y: float, width: float, entries: Iterable[tuple[str, Look]]
    ) -> float:
        """Write names beside their looks, in lines of ``width``; return the y below them."""
        left = x
        for name, look in entries:
            needs = 40 + CHARACTER * len(name)
            if left > x and left + needs > x + width:
                left, y = x, y + 20
            self.line(left, y - 4, left + 26, y - 4, look.curve)
            self.mark(left + 13, y - 4, look, 4)
            self.text(left + 32, y, name)
            left += needs + 12
        return y + 20

    def inline(self) -> str:
        """Return it for a page that has the style of plots, and its title above it."""
        return self._document("", "".join(self._parts), self.height)

    def standalone(self) -> str:
        """Return it as a file of its own, with its title in it."""
        style = f"<style>{STYLE.read_text(encoding='utf-8').replace(':root', 'svg')}</style>"
        title = f'<text class="strong" x="24" y="22">{_text(self.title)}</text>'
        moved = f'<g transform="translate(0 {_TITLE:.0f})">{"".join(self._parts)}</g>'
        document = self._document(style, title + moved, self.height + _TITLE)
        return f'<?xml version="1.0" encoding="UTF-8"?>\n{document}\n'

    def _document(self, style: str, content: str, height: float) -> str:
        identifier = f"plot-{self.name}"
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" class="plot" role="img" id="{identifier}"'
            f' aria-labelledby="{identifier}-title {identifier}-desc"'
            f' viewBox="0 0 {self.width:.0f} {height:.0f}"'
            f' width="{self.width:.0f}" height="{height:.0f}">'
            f'<title id="{identifier}-title">{_text(self.title)}</title>'
            f'<desc id="{identifier}-desc">{_text(self.description)}</desc>{style}'
            f'<rect class="ground" width="100%" height="100%"/>{content}</svg>'
        )


def width_of(texts: Iterable[str]) -> float:
    """Return about how wide the widest of these is."""
    return max((len(visible(text)) for text in texts), default=0) * CHARACTER


def _polygon(
    kind: str, x: float, y: float, size: float, corners: Iterable[tuple[float, float]]
) -> str:
    points = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}" for dx, dy in corners)
    return f'<polygon class="{kind}" points="{points}"/>'


def _text(text: str) -> str:
    return escape(visible(text))

"""Tables as data: a report's tables and plots say the same in text, Markdown and HTML."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.perf.visible import visible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_GAP = "  "
_MARKDOWN = str.maketrans({each: f"\\{each}" for each in "\\`*_[]<>|#&~"})


@dataclass(frozen=True)
class Row:
    """One line of a table: ``heads`` name it, ``cells`` are its figures."""

    heads: tuple[str, ...]
    cells: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Table:
    """A table whose first columns name the lines; ``caption`` says what the figures are."""

    title: str
    caption: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    @property
    def notes(self) -> bool:
        """Whether a line has a note."""
        return any(row.note for row in self.rows)

    def lines(self) -> Iterable[tuple[str, ...]]:
        """Return the header and all lines, cell by cell; what repeats the line above is blank."""
        notes = ("note",) if self.notes else ()
        yield (*self.heads, *notes, *self.columns)
        before: tuple[str, ...] = ()
        for row in self.rows:
            heads = [
                "" if row.heads[:place] == before[:place] and place < len(row.heads) else head
                for place, head in enumerate(row.heads, 1)
            ]
            before = row.heads
            yield (*heads, *((row.note,) if notes else ()), *row.cells)

    def text(self) -> str:
        """Return it for a terminal: names to the left, figures to the right."""
        lines = [tuple(map(visible, line)) for line in self.lines()]
        widths = [max(map(_width, column)) for column in zip(*lines, strict=True)]
        left = len(self.heads) + self.notes
        return "\n".join(
            _GAP.join(
                _pad(cell, width, left=place < left)
                for place, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def markdown(self) -> str:
        """Return it for Markdown, with a header line."""
        header, *lines = [
            [escaped(cell).replace("\n", " ") for cell in line] for line in self.lines()
        ]
        marks = ["---"] * (len(self.heads) + self.notes) + ["---:"] * len(self.columns)
        return "\n".join(f"| {' | '.join(line)} |" for line in (header, marks, *lines))


def escaped(text: str) -> str:
    """Return ``text`` so that Markdown shows it as it is."""
    return visible(text).translate(_MARKDOWN)


def bullets(lines: Sequence[str]) -> str:
    """Return lines as a list for Markdown."""
    return "\n".join(f"- {escaped(line)}" for line in lines)


def _width(text: str) -> int:
    return sum(
        0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF")
        for each in text
    )


def _pad(text: str, width: int, *, left: bool) -> str:
    space = " " * (width - _width(text))
    return text + space if left else space + text

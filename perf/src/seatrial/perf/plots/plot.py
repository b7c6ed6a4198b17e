"""What all plots are: a drawing, and the same figures as a table."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.perf.drawing import look

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.perf.drawing import Drawing, Look
    from seatrial.perf.results import Results
    from seatrial.perf.tables import Table

WIDTH = 760.0


@dataclass(frozen=True)
class Plot:
    """A drawing, what it shows in words, and its figures."""

    drawing: Drawing
    table: Table


def looks(results: Results) -> dict[str, Look]:
    """Return each contender's look, the same in all plots; a twin has its pair's, hollow."""
    found: dict[str, Look] = {}
    place = -1 if "floor" in results.contenders else 0
    places: dict[str, int] = {}
    for name, contender in results.contenders.items():
        own = contender.twin_of or name
        if own not in places:
            places[own] = place
            place += 1
        found[name] = look(places[own], hollow=contender.twin_of is not None)
    return found


def slug(*parts: str) -> str:
    """Return a name for a file and an id, of letters, digits and hyphens."""
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(parts)).strip("-").lower()


def listed(names: Iterable[str]) -> str:
    """Return names with commas, and ``and`` before the last."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last

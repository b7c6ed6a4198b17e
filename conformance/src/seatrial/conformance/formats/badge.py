"""Badges: one runtime's counts of what binds it, as an SVG image or for shields' endpoint."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from seatrial.conformance.formats.visible import visible
from seatrial.conformance.verdicts import BINDING

if TYPE_CHECKING:
    from seatrial.conformance.formats.matrix import Column, Matrix

_COLOURS = {"red": "#b3232c", "yellow": "#8a5a00", "green": "#1f7a3f", "grey": "#5b636b"}
#: What a character of the font takes, about; the images say their own length to be drawn in.
_CHARACTER_PX = 6.6


def svg(matrix: Matrix, column: Column) -> str:
    """Return the image; it needs no font or file from elsewhere."""
    label, message, colour = _said(matrix, column)
    left, right = (round(len(text) * _CHARACTER_PX + 14) for text in (label, message))
    label, message = escape(label), escape(message)
    style = 'font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" fill="#fff"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img">'
        f"<title>{label}: {message}</title>"
        f'<rect width="{left}" height="20" fill="#3b4148"/>'
        f'<rect x="{left}" width="{right}" height="20" fill="{_COLOURS[colour]}"/>'
        f"<g {style}>"
        f'<text x="7" y="14" textLength="{left - 14}">{label}</text>'
        f'<text x="{left + 7}" y="14" textLength="{right - 14}">{message}</text>'
        "</g></svg>\n"
    )


def endpoint(matrix: Matrix, column: Column) -> str:
    """Return the JSON document that shields' endpoint badge reads."""
    label, message, colour = _said(matrix, column)
    members = {"schemaVersion": 1, "label": label, "message": message, "color": colour}
    return json.dumps(members) + "\n"


def _said(matrix: Matrix, column: Column) -> tuple[str, str, str]:
    """Say it in counts with their denominator: requirements of the levels that bind a runtime."""
    counted: Counter[str] = Counter()
    for level, counts in matrix.counts(column).items():
        if level in BINDING:
            counted.update(counts)
    failed = counted["fail"] + counted["known"] + counted["error"]
    passed = counted["pass"] + counted["note"]
    message = f"{passed} pass, {failed} fail of {counted.total()} MUST"
    if not column.complete:
        message += " (interrupted)"
    if counted["fail"] or counted["error"]:
        colour = "red"
    elif failed:
        colour = "yellow"
    else:
        colour = "green" if passed and column.complete else "grey"
    return visible(f"{column.title}, runtime-spec {column.spec}"), message, colour

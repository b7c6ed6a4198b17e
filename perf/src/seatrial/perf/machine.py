"""The machine and the method of a run, as it recorded them, for readers."""

from __future__ import annotations

from typing import Any

from seatrial.perf import quantities
from seatrial.perf.tables import Row, Table

#: What of the environment is shown in places of its own, or is the run's bookkeeping.
_ELSEWHERE = frozenset(
    {"format", "complete", "publishable", "reasons", "not_comparable", "notes", "left_out", "pair"}
    | {"blocks"}
)


_UNITS = {"bytes": (1, "byte"), "ns": (1e-9, "second"), "s": (1, "second")}


def facts(environment: dict[str, object]) -> list[tuple[str, str]]:
    """Return the environment as names and texts, in its own order, nested ones flattened."""
    found: list[tuple[str, str]] = []
    for name, value in environment.items():
        if name not in _ELSEWHERE:
            _flatten(name, value, found)
    return found


def _flatten(name: str, value: object, found: list[tuple[str, str]]) -> None:
    """Add a value: what is nested once by lines of its own, what is nested deeper in one line."""
    if not isinstance(value, dict):
        found.append(_fact(name, value))
        return
    unit = name.rpartition("_")[2]
    last = f"_{unit}" if unit in _UNITS else ""
    for inner, each in value.items():
        full = f"{name.removesuffix(last)}: {inner}{last}"
        if isinstance(each, dict):
            texts = (_fact(str(key), deeper) for key, deeper in each.items())
            found.append(_fact(full, ", ".join(f"{key} {text}" for key, text in texts)))
        else:
            found.append(_fact(full, each))


def _fact(name: str, value: object) -> tuple[str, str]:
    """Return a value's name and text; a unit at the end of the name goes to the text."""
    stem, _, unit = name.rpartition("_")
    if unit in _UNITS and isinstance(value, int | float) and not isinstance(value, bool):
        factor, kind = _UNITS[unit]
        return stem.replace("_", " "), quantities.quantity(value * factor, kind)
    name = name.replace("_", " ")
    if isinstance(value, bool):
        return name, "yes" if value else "no"
    if isinstance(value, list):
        return name, ", ".join(map(str, value)) or "none"
    return name, "unknown" if value is None else str(value)


def load(environment: dict[str, Any]) -> Table | None:
    """Return what others did on the machine during each block, as far as it was recorded."""
    blocks = environment.get("blocks")
    if not isinstance(blocks, list):
        return None
    rows = [
        Row(
            (str(each.get("block", "?")),),
            (
                str(each.get("started", "")),
                str(each.get("others", "")),
                str(each.get("stolen_s", "")),
                ", ".join(f"{mhz:.0f}" for mhz in each.get("mhz") or ()),
            ),
        )
        for each in blocks
        if isinstance(each, dict)
    ]
    return Table(
        "load",
        "what else the machine did in each block",
        ("block",),
        ("started", "processors that others kept busy", "stolen, s", "MHz"),
        tuple(rows),
    )

"""Figures as people read them: three digits that count, and a unit."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from seatrial.perf.statistics import Interval, Ratio

_SECONDS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns"))
_BYTES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


def quantity(value: float, unit: str) -> str:
    """Return a figure in one of pyperf's units (second, byte, integer) with that unit."""
    if unit == "second":
        return _scaled(value, _SECONDS)
    if unit == "byte":
        return _scaled(value, _BYTES)
    return digits(value)


def digits(value: float) -> str:
    """Return a number with three digits that count; whole ones from 1000 up."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    if abs(value) >= 999.5:  # noqa: PLR2004 - what %.3g would write with an exponent
        return f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    places = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:.{places}f}"
    return text if not float(value).is_integer() else f"{value:.0f}"


def ratio(found: Ratio | None) -> str:
    """Return a ratio with its interval, as in ``1.23× [1.20, 1.26]``."""
    if found is None:
        return ""
    return f"{_fixed(found.value)}× {interval(found.interval)}"


def interval(found: Interval | None) -> str:
    """Return an interval in brackets; ``[?]`` if too few blocks were taken for one."""
    return "[?]" if found is None else f"[{_fixed(found.low)}, {_fixed(found.high)}]"


def between(found: Interval | None, unit: str) -> str:
    """Return the interval of a figure, each end with its unit."""
    if found is None:
        return "[?]"
    low, high = quantity(found.low, unit), quantity(found.high, unit)
    # One unit is enough where both have it.
    if low.rpartition(" ")[2] == high.rpartition(" ")[2]:
        low = low.rpartition(" ")[0] or low
    return f"[{low}, {high}]"


def percent(value: float) -> str:
    """Return a ratio as how many percent it is away from 1."""
    return f"{(value - 1) * 100:+.1f} %"


def _fixed(value: float) -> str:
    """Three digits that count, zeros at the end too: ratios stand below one another."""
    if not 0 < abs(value) < 999.5:  # noqa: PLR2004 - as above
        return digits(value)
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def _scaled(value: float, scale: tuple[tuple[float, str], ...]) -> str:
    if value == 0:
        return "0"
    factor, name = next((step for step in scale if abs(value) >= step[0]), scale[-1])
    return f"{digits(value / factor)} {name}"

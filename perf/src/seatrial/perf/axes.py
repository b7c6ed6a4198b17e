"""Scales and axes: from figures to pixels, with marks at round figures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from seatrial.perf.drawing import CHARACTER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from seatrial.perf.drawing import Drawing


@dataclass(frozen=True)
class Scale:
    """Figures from ``low`` to ``high`` onto pixels from ``start`` to ``end``."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return where a figure is; what is beyond the scale is at its edge."""
        value = min(max(value, self.low), self.high)
        low, high, value = map(self._position, (self.low, self.high, value))
        return self.start + (self.end - self.start) * (value - low) / (high - low)

    def _position(self, value: float) -> float:
        return math.log(value) if self.log else value

    def ticks(self, most: int) -> list[float]:
        """Return at most ``most`` round figures, or a few more, within the scale."""
        return (
            _log_ticks(self.low, self.high, most) if self.log else _ticks(self.low, self.high, most)
        )


def linear(values: Iterable[float], start: float, end: float, *, zero: bool = True) -> Scale:
    """Return a scale that has room for all figures, from 0 if so wished."""
    low, high = _range(values)
    low = 0.0 if zero else low
    if high <= low:
        low, high = low - abs(low or 1) * 0.05 * (not zero), high + abs(high or 1) * 0.05
    room = (high - low) * 0.04
    return Scale(low if zero else low - room, high + room, start, end)


def logarithmic(values: Iterable[float], start: float, end: float, *, span: float = 1.2) -> Scale:
    """Return a logarithmic scale with room for all figures, over at least a factor ``span``."""
    low, high = _range(values)
    lack = max(1.0, span / (high / low)) ** 0.5
    room = (high / low * lack**2) ** 0.03
    return Scale(low / lack / room, high * lack * room, start, end, log=True)


def _range(values: Iterable[float]) -> tuple[float, float]:
    found = list(values)
    return min(found), max(found)


def _ticks(low: float, high: float, most: int) -> list[float]:
    step = 10 ** math.floor(math.log10((high - low) / most))
    step = next(step * each for each in (1, 2, 5, 10, 20) if (high - low) / (step * each) <= most)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [number * step for number in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    found: list[float] = []
    for parts in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7)):
        ticks = [part * 10.0**power for power in range(first, last + 1) for part in parts]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if found and len(ticks) > most:
            break
        found = ticks or found
    # Less than a factor of two or so: as if it were linear.
    return found if len(found) >= 3 else _ticks(low, high, max(3, most // 2))  # noqa: PLR2004 - too few


def below(
    drawing: Drawing,
    scale: Scale,
    top: float,
    bottom: float,
    show: Callable[[float], str],
    most: int,
) -> None:
    """Draw an axis below a plot, and its grid; text without room is left out."""
    taken = -math.inf
    for tick in scale.ticks(most):
        drawing.line(scale(tick), top, scale(tick), bottom, "grid")
        text = show(tick)
        half = CHARACTER * len(text) / 2
        if scale(tick) - half > taken + 9:
            drawing.text(scale(tick), bottom + 17, text, anchor="middle", kind="quiet")
            taken = scale(tick) + half
    drawing.line(scale.start, bottom, scale.end, bottom, "axis")


def beside(
    drawing: Drawing,
    scale: Scale,
    left: float,
    right: float,
    show: Callable[[float], str],
    most: int,
) -> None:
    """Draw an axis left of a plot, and its grid."""
    taken = math.inf
    for tick in scale.ticks(most):
        drawing.line(left, scale(tick), right, scale(tick), "grid")
        if scale(tick) < taken - 16:
            drawing.text(left - 6, scale(tick) + 4, show(tick), anchor="end", kind="quiet")
            taken = scale(tick)
    drawing.line(left, scale.start, left, scale.end, "axis")

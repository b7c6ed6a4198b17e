"""Phases: where the time of a lifecycle goes, as bars of medians end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.perf import axes, quantities
from seatrial.perf.drawing import CHARACTER, Drawing, width_of
from seatrial.perf.metrics import PHASES, WHOLE, Metric
from seatrial.perf.plots.plot import WIDTH, Plot, slug
from seatrial.perf.statistics import percentile
from seatrial.perf.tables import Row, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.perf.results import Results

_BAR = 24.0
_STEP = 34.0


def plot(results: Results, suite: str, case: str, action: str) -> Plot | None:
    """Plot the phases of an action, or return None when no contender has any."""
    names = PHASES[action]
    medians = _medians(results, suite, case, names)
    if not medians:
        return None
    present = [phase for phase in names if any(phase in each for each in medians.values())]
    left = width_of(medians) + 24
    panel = (WIDTH - left - 120) / 2
    drawing = Drawing(
        slug("phases", suite, case, action),
        f"{suite}/{case}: where the time of {WHOLE if action == 'whole' else action} goes",
        "One bar per contender, of the medians of its phases end to end:"
        f" {', '.join(names[phase] for phase in present)}. To the left in time, to the right as"
        " shares of the whole. Medians of parts need not add up to the median of the whole.",
        WIDTH,
        len(medians) * _STEP + 110,
    )
    top = _legend(drawing, [names[phase] for phase in present]) + 6
    bottom = top + len(medians) * _STEP
    drawing.height = bottom + 30
    sums = {name: sum(each.values()) for name, each in medians.items()}
    time = axes.linear(sums.values(), left, left + panel)
    share = axes.Scale(0, 1, left + panel + 96, WIDTH - 24)
    axes.below(drawing, time, top, bottom, lambda value: quantities.quantity(value, "second"), 4)
    axes.below(drawing, share, top, bottom, lambda value: f"{value:.0%}", 4)
    for row, (name, parts) in enumerate(medians.items()):
        y = top + row * _STEP + (_STEP - _BAR) / 2
        drawing.text(left - 10, y + _BAR / 2 + 4, name, anchor="end")
        whole = sums[name]
        times = [parts.get(phase, 0.0) for phase in present]
        _bar(drawing, times, y, time, lambda value: quantities.quantity(value, "second"))
        text = quantities.quantity(whole, "second")
        drawing.text(time(whole) + 6, y + _BAR / 2 + 4, text, kind="strong")
        _bar(drawing, [each / whole for each in times], y, share, lambda value: f"{value:.0%}")
    return Plot(drawing, _table(drawing.title, {phase: names[phase] for phase in present}, medians))


def _medians(
    results: Results, suite: str, case: str, names: dict[str, str]
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for name, contender in results.contenders.items():
        for phase in names:
            series = contender.series.get(Metric(suite, case, phase))
            if series is not None:
                found.setdefault(name, {})[phase] = percentile(series.values, 0.5)
    return found


def _legend(drawing: Drawing, phases: list[str]) -> float:
    left, y = 24.0, 24.0
    for place, text in enumerate(phases):
        needs = 26 + CHARACTER * len(text) + 14
        if left + needs > WIDTH - 24:
            left, y = 24.0, y + 20
        drawing.box(left, y - 11, 16, 13, f"bar c{place}")
        drawing.text(left + 22, y, text)
        left += needs
    return y + 14


def _bar(
    drawing: Drawing,
    parts: list[float],
    y: float,
    scale: axes.Scale,
    show: Callable[[float], str],
) -> None:
    begin = 0.0
    for place, value in enumerate(parts):
        left, right = scale(begin), scale(begin + value)
        drawing.box(left, y, max(right - left, 0.5), _BAR, f"bar c{place}")
        text = show(value)
        if right - left > CHARACTER * len(text) + 8:
            drawing.text((left + right) / 2, y + _BAR / 2 + 4, text, anchor="middle")
        begin += value


def _table(title: str, names: dict[str, str], medians: dict[str, dict[str, float]]) -> Table:
    return Table(
        title,
        "medians",
        ("contender",),
        tuple(names.values()),
        tuple(
            Row(
                (name,),
                tuple(
                    quantities.quantity(parts[phase], "second") if phase in parts else ""
                    for phase in names
                ),
            )
            for name, parts in medians.items()
        ),
    )

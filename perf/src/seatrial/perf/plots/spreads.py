"""Spreads: a suite's cases beside one another, each from its fast samples to its slow ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.perf import axes, quantities
from seatrial.perf.drawing import Drawing, width_of
from seatrial.perf.plots.plot import WIDTH, Plot, looks, slug
from seatrial.perf.statistics import percentile
from seatrial.perf.tables import Row, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.perf.metrics import Metric
    from seatrial.perf.results import Results

FRACTIONS = {"p10": 0.1, "p50": 0.5, "p90": 0.9}
_STEP = 22.0


def plot(results: Results, suite: str, metrics: Sequence[Metric]) -> Plot:
    """Plot the p10, p50 and p90 of benchmarks of one unit."""
    lines = [
        (metric, each.name, each.series[metric])
        for metric in metrics
        for each in results.having(metric)
    ]
    found = [
        [percentile(series.values, fraction) for fraction in FRACTIONS.values()]
        for _, _, series in lines
    ]
    unit = lines[0][2].unit
    several = len({name for _, name, _ in lines}) > 1
    labels = [f"{metric.short}, {name}" if several else metric.short for metric, name, _ in lines]
    drawing = Drawing(
        slug("spreads", suite),
        f"{suite}: every case",
        "One line per case, from the time that a tenth of its samples stayed below to the one that"
        " nine tenths stayed below, with a mark at the median. The axis is logarithmic.",
        WIDTH,
        len(lines) * _STEP + 74,
    )
    left, right = width_of(labels) + 30, WIDTH - 100
    top, bottom = 20.0, 20 + len(lines) * _STEP
    x = axes.logarithmic([value for each in found for value in each], left, right)
    axes.below(drawing, x, top, bottom, lambda value: quantities.quantity(value, unit), 8)
    style = looks(results)
    for row, ((_, name, _), label, (low, middle, high)) in enumerate(
        zip(lines, labels, found, strict=True)
    ):
        y = top + (row + 0.5) * _STEP
        drawing.text(left - 10, y + 4, label, anchor="end")
        drawing.line(x(low), y, x(high), y, style[name].whisker)
        for end in (low, high):
            drawing.line(x(end), y - 4, x(end), y + 4, style[name].whisker)
        drawing.mark(x(middle), y, style[name])
        drawing.text(right + 12, y + 4, quantities.quantity(middle, unit))
    table = Table(
        drawing.title,
        "percentiles of all samples",
        ("case", "contender"),
        tuple(FRACTIONS),
        tuple(
            Row((metric.short, name), tuple(quantities.quantity(value, unit) for value in each))
            for (metric, name, _), each in zip(lines, found, strict=True)
        ),
    )
    return Plot(drawing, table)

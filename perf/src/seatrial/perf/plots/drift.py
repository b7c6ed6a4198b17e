"""Drift: whether the machine was the same at the end as at the beginning."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from seatrial.perf import axes, quantities
from seatrial.perf.drawing import Drawing
from seatrial.perf.plots.plot import WIDTH, Plot, looks, slug
from seatrial.perf.tables import Row, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.perf.metrics import Metric
    from seatrial.perf.results import Results

_PARTS = 3


def plot(results: Results, suite: str, metrics: Sequence[Metric]) -> Plot | None:
    """Plot a suite's block medians over the run, each as a multiple of its own median."""
    curves = {name: _curve(results, name, metrics) for name in results.contenders}
    curves = {name: curve for name, curve in curves.items() if len(curve) > 1}
    if not curves:
        return None
    drawing = Drawing(
        slug("drift", suite),
        f"{suite}: drift over the run",
        "One line per contender: each block's median over the median of the whole run, in the"
        " order of the blocks. Lines that rise or fall together are the machine's doing, and cancel"
        " out in ratios; a line that goes its own way is the contender's.",
        WIDTH,
        360,
    )
    style = looks(results)
    top = drawing.legend(70, 24, WIDTH - 90, ((name, style[name]) for name in curves)) + 4
    bottom = drawing.height - 46
    numbers = [number for curve in curves.values() for number in curve]
    values = [value for curve in curves.values() for value in curve.values()]
    x = axes.Scale(min(numbers), max(numbers), 70, WIDTH - 24)
    y = axes.logarithmic([1.0, *values], bottom, top, span=1.3)
    axes.below(drawing, x, top, bottom, lambda value: f"{value:g}", min(10, len(set(numbers))))
    axes.beside(drawing, y, x.start, x.end, lambda value: f"{(value - 1) * 100:+.3g} %", 7)
    drawing.line(x.start, y(1), x.end, y(1), "one")
    drawing.text((x.start + x.end) / 2, bottom + 38, "block", anchor="middle", kind="quiet")
    for name, curve in curves.items():
        points = [(x(number), y(value)) for number, value in sorted(curve.items())]
        drawing.path(points, style[name].curve)
        for point in points:
            drawing.mark(*point, style[name], 2.5)
    return Plot(drawing, _table(drawing.title, curves))


def _curve(results: Results, name: str, metrics: Sequence[Metric]) -> dict[int, float]:
    """Return, by block, the median over all cases of the block's median over the run's."""
    found: dict[int, list[float]] = {}
    for metric in metrics:
        series = results.contenders[name].series.get(metric)
        if series is not None:
            medians = {number: median(values) for number, values in series.blocks.items()}
            whole = median(medians.values())
            for number, value in medians.items():
                found.setdefault(number, []).append(value / whole)
    return {number: median(values) for number, values in sorted(found.items())}


def _table(title: str, curves: dict[str, dict[int, float]]) -> Table:
    rows = []
    for name, curve in curves.items():
        values = list(curve.values())
        third = max(1, len(values) // _PARTS)
        change = median(values[-third:]) / median(values[:third])
        figures = (min(values), max(values), change)
        rows.append(Row((name,), tuple(map(quantities.percent, figures))))
    return Table(
        title,
        "lowest and highest block against the whole run; the last third against the first",
        ("contender",),
        ("lowest", "highest", "last against first"),
        tuple(rows),
    )

"""Scaling: what comes of starting many at once."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from seatrial.perf import axes, quantities
from seatrial.perf.drawing import Drawing
from seatrial.perf.metrics import RATE, Metric
from seatrial.perf.plots.plot import WIDTH, Plot, looks, slug
from seatrial.perf.tables import Row, Table

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.perf.results import Results, Series

SUITE = "scaling"
#: What one start takes while others are under way, at p99 of its burst.
WALL = "p99-wall"


def plots(results: Results) -> list[Plot]:
    """Plot throughput and p99 against how many start at once, as far as they were measured."""
    found = [
        _plot(
            results,
            RATE,
            "starts a second",
            "Higher is better. A line that stops rising has found what its starts wait for.",
            lambda series: median(map(median, series.blocks.values())),
            log=False,
        ),
        _plot(
            results,
            WALL,
            "p99 of one start",
            "Lower is better. The axis is logarithmic; of many bursts the median is shown.",
            lambda series: median(map(median, series.blocks.values())),
            log=True,
        ),
    ]
    return [plot for plot in found if plot is not None]


def _plot(
    results: Results,
    name: str,
    what: str,
    reading: str,
    figure: Callable[[Series], float],
    *,
    log: bool,
) -> Plot | None:
    parallels = sorted(
        int(case)
        for suite, case in results.cases
        if suite == SUITE and case.isdigit() and name in results.cases[suite, case]
    )
    if not parallels:
        return None
    curves: dict[str, dict[int, float]] = {}
    unit = "integer"
    for contender in results.contenders.values():
        for parallel in parallels:
            series = contender.series.get(Metric(SUITE, str(parallel), name))
            if series is not None:
                unit = series.unit
                curves.setdefault(contender.name, {})[parallel] = figure(series)
    drawing = Drawing(
        slug(SUITE, what),
        f"{what} against parallelism",
        f"One line per contender: {what} (vertical) with so many starts at once (horizontal)."
        f" {reading}",
        WIDTH,
        380,
    )
    style = looks(results)
    top = drawing.legend(84, 24, WIDTH - 100, ((each, style[each]) for each in curves)) + 4
    bottom = drawing.height - 46
    values = [value for curve in curves.values() for value in curve.values()]
    y = (axes.logarithmic if log else axes.linear)(values, bottom, top)
    x = axes.Scale(min(parallels) * 0.92, max(parallels) * 1.08, 84, WIDTH - 24, log=True)
    for parallel in parallels:
        drawing.line(x(parallel), top, x(parallel), bottom, "grid")
        drawing.text(x(parallel), bottom + 17, str(parallel), anchor="middle", kind="quiet")
    drawing.line(x.start, bottom, x.end, bottom, "axis")
    axes.beside(drawing, y, x.start, x.end, lambda value: quantities.quantity(value, unit), 7)
    text = "starts at once"
    drawing.text((x.start + x.end) / 2, bottom + 38, text, anchor="middle", kind="quiet")
    for each, curve in curves.items():
        points = [(x(parallel), y(value)) for parallel, value in curve.items()]
        drawing.path(points, style[each].curve)
        for point in points:
            drawing.mark(*point, style[each])
    table = Table(
        drawing.title,
        f"{what}, by how many start at once",
        ("contender",),
        tuple(map(str, parallels)),
        tuple(
            Row(
                (each,),
                tuple(
                    quantities.quantity(curve[parallel], unit) if parallel in curve else ""
                    for parallel in parallels
                ),
            )
            for each, curve in curves.items()
        ),
    )
    return Plot(drawing, table)

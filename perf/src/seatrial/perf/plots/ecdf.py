"""ECDF: which part of the starts was over after which time. All samples are in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.perf import axes, quantities
from seatrial.perf.drawing import Drawing
from seatrial.perf.plots.plot import WIDTH, Plot, looks, slug
from seatrial.perf.statistics import percentile
from seatrial.perf.tables import Row, Table

if TYPE_CHECKING:
    from seatrial.perf.metrics import Metric
    from seatrial.perf.results import Results

FRACTIONS = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.99, 1.0)


def plot(results: Results, metric: Metric) -> Plot:
    """Plot all contenders that have the benchmark."""
    contenders = results.having(metric)
    series = {each.name: each.series[metric] for each in contenders}
    unit = next(iter(series.values())).unit
    values = [value for each in series.values() for value in each.values]
    drawing = Drawing(
        slug("ecdf", *str(metric).split("/")),
        f"{metric}: distribution of all samples (ECDF)",
        "One rising curve per contender: the share of its samples that took at most the time on"
        " the horizontal axis, which is logarithmic. Left is faster; steep is steady."
        " No sample is left out.",
        WIDTH,
        400,
    )
    style = looks(results)
    top = drawing.legend(60, 24, WIDTH - 80, ((name, style[name]) for name in series)) + 4
    bottom = drawing.height - 46
    x = axes.logarithmic(values, 60, WIDTH - 24)
    y = axes.Scale(0, 1, bottom, top)
    axes.below(drawing, x, top, bottom, lambda value: quantities.quantity(value, unit), 9)
    axes.beside(drawing, y, x.start, x.end, lambda value: f"{value:.0%}", 5)
    drawing.text((x.start + x.end) / 2, bottom + 38, "took at most", anchor="middle", kind="quiet")
    for name, each in series.items():
        ordered = sorted(each.values)
        points = [(x(ordered[0]), y(0))]
        for number, value in enumerate(ordered):
            points += [
                (x(value), y(number / len(ordered))),
                (x(value), y((number + 1) / len(ordered))),
            ]
        drawing.path(points, style[name].curve)
        drawing.mark(x(percentile(ordered, 0.5)), y(0.5), style[name])
    table = Table(
        drawing.title,
        "percentiles of all samples",
        ("contender",),
        ("samples", *(_name(fraction) for fraction in FRACTIONS)),
        tuple(
            Row(
                (name,),
                (
                    str(len(each.values)),
                    *(
                        quantities.quantity(percentile(each.values, fraction), unit)
                        for fraction in FRACTIONS
                    ),
                ),
            )
            for name, each in series.items()
        ),
    )
    return Plot(drawing, table)


def _name(fraction: float) -> str:
    return {0.0: "least", 1.0: "most"}.get(fraction, f"p{fraction * 100:.0f}")

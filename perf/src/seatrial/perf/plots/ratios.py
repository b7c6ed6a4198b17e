"""Ratios with their intervals: every contender against one, in every case of a suite."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.perf import axes, quantities
from seatrial.perf.drawing import Drawing, width_of
from seatrial.perf.plots.plot import WIDTH, Plot, looks, slug
from seatrial.perf.tables import Row, Table

if TYPE_CHECKING:
    from seatrial.perf.metrics import Metric
    from seatrial.perf.results import Results
    from seatrial.perf.statistics import Ratio

_STEP = 21.0


def plot(
    results: Results, suite: str, reference: str, ratios: dict[Metric, dict[str, Ratio]]
) -> Plot:
    """Plot a suite's ratios to ``reference``: by benchmark, by contender."""
    drawing = Drawing(
        slug("ratios", suite, "to", reference),
        f"{suite}: ratios to {reference}",
        f"For every case and contender, a mark at the median ratio to {reference}, and a line over"
        f" its 95 % interval. The axis is logarithmic; the strong line is {reference} itself.",
        WIDTH,
        0,
    )
    flat = [ratio for each in ratios.values() for ratio in each.values()]
    names = {name for each in ratios.values() for name in each}
    left = width_of([*names, *(metric.short for metric in ratios)]) + 40
    right = WIDTH - 190
    ends = [
        end
        for r in flat
        for end in (r.value, *((r.interval.low, r.interval.high) if r.interval else ()))
    ]
    x = axes.logarithmic([1.0, *ends], left, right, span=1.3)
    top = 20.0
    bottom = top + sum((len(each) + 1) * _STEP + 8 for each in ratios.values())
    drawing.height = bottom + 50
    axes.below(drawing, x, top, bottom, lambda value: f"{value:g}×", 8)
    drawing.line(x(1), top, x(1), bottom, "one")
    style = looks(results)
    y = top
    for metric, each in ratios.items():
        y += _STEP
        drawing.text(24, y - 5, metric.short, kind="strong")
        for name, ratio in each.items():
            y += _STEP
            middle = y - _STEP / 2
            drawing.text(left - 10, middle + 4, name, anchor="end")
            if ratio.interval:
                low, high = x(ratio.interval.low), x(ratio.interval.high)
                drawing.line(low, middle, high, middle, style[name].whisker)
                for end in (low, high):
                    drawing.line(end, middle - 4, end, middle + 4, style[name].whisker)
            drawing.mark(x(ratio.value), middle, style[name])
            drawing.text(right + 12, middle + 4, quantities.ratio(ratio))
        y += 8
    better = "right" if next(iter(ratios)).more_is_better else "left"
    text = f"times {reference}; {better} is better"
    drawing.text((left + right) / 2, bottom + 38, text, anchor="middle", kind="quiet")
    return Plot(drawing, _table(drawing.title, reference, ratios))


def _table(title: str, reference: str, ratios: dict[Metric, dict[str, Ratio]]) -> Table:
    return Table(
        title,
        f"ratio to {reference}, paired block by block; Cliff's delta",
        ("case", "metric", "contender"),
        ("ratio", "95 % interval", "delta", "blocks"),
        tuple(
            Row(
                (metric.case, metric.name, name),
                (
                    f"{quantities.digits(ratio.value)}×",
                    quantities.interval(ratio.interval),
                    f"{ratio.delta:+.2f}",
                    str(ratio.blocks),
                ),
            )
            for metric, each in ratios.items()
            for name, ratio in each.items()
        ),
    )

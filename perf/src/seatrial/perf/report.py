"""A report of a run: the same in text, in Markdown, and with plots as a page."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from seatrial.perf import machine, targets
from seatrial.perf.metrics import PHASES
from seatrial.perf.plots import drift, ecdf, phases, ratios, scaling, spreads
from seatrial.perf.tables import bullets, escaped
from seatrial.perf.visible import visible

if TYPE_CHECKING:
    from seatrial.perf.plots.plot import Plot
    from seatrial.perf.summary import Summary
    from seatrial.perf.tables import Table

#: Suites whose cases are single steps, so many that their ratios alone are plotted.
_MANY = frozenset({"axes", "micro", "floor"})


@dataclass(frozen=True)
class Report:
    """What is shown of a summary, suite by suite."""

    summary: Summary

    @property
    def title(self) -> str:
        """One line: where and when."""
        environment = self.summary.results.environment
        parts = [
            str(environment[name])
            for name in ("cpu_model", "kernel", "started")
            if name in environment
        ]
        return f"Container start-up: {', '.join(parts) or self.summary.results.path.name}"

    @cached_property
    def plots(self) -> dict[str, list[Plot]]:
        """The plots of every suite, in the order of the questions: how fast, against what, why."""
        return {suite: self._of(suite) for suite in self.summary.headlines}

    def _of(self, suite: str) -> list[Plot]:
        summary, results = self.summary, self.summary.results
        metrics = summary.headlines[suite]
        found: list[Plot | None] = []
        if suite == scaling.SUITE:
            found += scaling.plots(results)
        elif suite in _MANY or summary.unit(metrics[0]) != "second":
            found.append(spreads.plot(results, suite, metrics))
        else:
            found += [ecdf.plot(results, metric) for metric in metrics]
        for reference in summary.references_of(suite):
            found.append(ratios.plot(results, suite, reference, summary.ratios(suite, reference)))
        for (name, case), names in results.cases.items():
            for action, parts in PHASES.items():
                if name == suite and suite not in _MANY and not parts.keys().isdisjoint(names):
                    found.append(phases.plot(results, suite, case, action))
        found.append(drift.plot(results, suite, metrics))
        return [plot for plot in found if plot is not None]

    @cached_property
    def targets(self) -> Table:
        """The reference runtime's targets, met or not."""
        return targets.table(self.summary)

    def tables(self) -> list[Table]:
        """Return the tables of a report without plots."""
        summary = self.summary
        found = [self.targets, *(summary.suite(suite) for suite in summary.headlines)]
        return [table for table in (*found, summary.pair(), summary.missing()) if table.rows]

    def text(self) -> str:
        """Return the report for a terminal."""
        parts = [self.title]
        verdicts = [f"{word.upper()}: {why}" for word, why in self.summary.verdicts]
        if verdicts:
            parts.append("\n".join(verdicts))
        parts += [f"{each.title} ({each.caption})\n\n{each.text()}" for each in self.tables()]
        return visible("\n\n".join(parts)) + "\n"

    def markdown(self) -> str:
        """Return the report in Markdown, with the machine."""
        parts = [f"# {escaped(self.title)}"]
        verdicts = [f"> **{word.upper()}:** {escaped(why)}" for word, why in self.summary.verdicts]
        if verdicts:
            parts.append("\n>\n".join(verdicts))
        for each in self.tables():
            parts += [f"## {escaped(each.title)}", escaped(each.caption), each.markdown()]
        facts = [
            f"{name}: {text}" for name, text in machine.facts(self.summary.results.environment)
        ]
        parts += ["## Machine and method", bullets(facts)]
        return "\n\n".join(parts) + "\n"

    def drawings(self) -> dict[str, str]:
        """Return every plot as a file: its name, and SVG."""
        return {
            f"{plot.drawing.name}.svg": plot.drawing.standalone()
            for plots in self.plots.values()
            for plot in plots
        }

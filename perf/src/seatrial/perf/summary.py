"""The summary of a run: what its reader has to know first, and the tables of its figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from seatrial.perf import quantities
from seatrial.perf.comparison import not_comparable, not_publishable
from seatrial.perf.contenders import AGAIN, FLOOR
from seatrial.perf.metrics import Metric, headlines
from seatrial.perf.statistics import (
    FEWEST_BLOCKS,
    block_median,
    median_interval,
    paired_ratio,
    percentile,
)
from seatrial.perf.tables import Row, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from seatrial.perf.results import Contender, Results
    from seatrial.perf.statistics import Ratio

#: What ratios are given to when they are there and nothing else is asked for.
REFERENCES = (FLOOR, "crun", "runc")
#: How far apart the two of the A/A pair may be.
PAIR_LIMIT = 1.03
_PERCENTILES = {"p90": 0.9, "p99": 0.99}
#: What is no time, and less noisy: shown beside the headline where it was measured.
_BESIDE = {
    "cpu": "CPU",
    "minor-faults": "minor faults",
    "context-switches": "switches",
    "syscalls": "syscalls",
    "instructions": "instructions",
}


@dataclass(frozen=True)
class Summary:
    """A run, summed up. ``references`` are the contenders that ratios are given to."""

    results: Results
    references: tuple[str, ...]

    @cached_property
    def headlines(self) -> dict[str, list[Metric]]:
        """By suite, the benchmarks that stand for its cases."""
        found: dict[str, list[Metric]] = {}
        for (suite, case), names in self.results.cases.items():
            found.setdefault(suite, []).extend(
                Metric(suite, case, name) for name in headlines(names)
            )
        return found

    @cached_property
    def verdicts(self) -> list[tuple[str, str]]:
        """What is wrong with the run as a whole: a word, and the reason."""
        results = self.results
        found = [("not publishable", why) for why in self._unpublishable()]
        if not results.complete:
            found.append(
                (
                    "incomplete",
                    "the run did not come to its end; this is what was measured till then",
                )
            )
        found += [
            ("not comparable", f"{name}: {why}") for name, why in not_comparable(results).items()
        ]
        found += [
            ("failed samples", f"{name}: {count}, which are in no figure here")
            for name, count in results.failures.items()
        ]
        found += [("note", text) for text in results.remarks]
        if any(ratio.interval is None for ratio in self.pairs.values()):
            few = f"ratios over fewer than {FEWEST_BLOCKS} blocks have no interval: [?]"
            found.append(("note", few))
        return [(word, " ".join(why.split())) for word, why in found]

    @property
    def grouped(self) -> dict[str, list[str]]:
        """The verdicts' reasons, by their word."""
        found: dict[str, list[str]] = {}
        for word, why in self.verdicts:
            found.setdefault(word, []).append(why)
        return found

    def _unpublishable(self) -> list[str]:
        reasons = not_publishable(self.results)
        if not reasons and not self.pairs:
            return ["there is no A/A pair in it, so nobody can say how far noise goes"]
        return reasons

    @cached_property
    def pairs(self) -> dict[Metric, Ratio]:
        """The headline ratios of the A/A pair: the same contender against itself."""
        found = {}
        for contender in self.results.contenders.values():
            twin = self.results.contenders.get(contender.twin_of or "")
            for metric in (each for suite in self.headlines.values() for each in suite):
                own, other = (
                    each.series.get(metric) if each else None for each in (contender, twin)
                )
                if own and other and own.blocks.keys() & other.blocks.keys():
                    found[metric] = paired_ratio(own.blocks, other.blocks)
        return found

    def unit(self, metric: Metric) -> str:
        """Return the unit of a benchmark."""
        return self.results.having(metric)[0].series[metric].unit

    def references_of(self, suite: str) -> list[str]:
        """Return the contenders that others in a suite can be held against."""
        return [name for name in self.references if self.ratios(suite, name)]

    def ratios(self, suite: str, reference: str) -> dict[Metric, dict[str, Ratio]]:
        """Return a suite's headline ratios to a contender, by benchmark, by contender."""
        found: dict[Metric, dict[str, Ratio]] = {}
        for metric in self.headlines[suite]:
            each = {
                contender.name: ratio
                for contender in self.results.having(metric)
                if contender.name != reference
                and (ratio := self.ratio(contender, reference, metric)) is not None
            }
            if each:
                found[metric] = each
        return found

    @cached_property
    def _known(self) -> dict[tuple[str, str, Metric], Ratio | None]:
        return {}

    def ratio(self, contender: Contender, reference: str, metric: Metric) -> Ratio | None:
        """Return a contender's ratio to another in a benchmark; ``None`` where there is none."""
        key = (contender.name, reference, metric)
        if key not in self._known:
            blocks = self.results.reference(reference, metric)
            own = contender.series[metric].blocks
            shared = own.keys() & blocks.keys() and contender.name != reference
            self._known[key] = paired_ratio(own, blocks) if shared else None
        return self._known[key]

    # Tables

    def suite(self, suite: str) -> Table:
        """Return a suite's main table: a line for each case and contender, the floor first."""
        metrics = self.headlines[suite]
        references = self.references_of(suite)
        beside = [
            name
            for name in _BESIDE
            if any(
                f"{metric.action}-{name}" in self.results.cases[suite, metric.case]
                for metric in metrics
            )
        ]
        return Table(
            suite,
            "the median over blocks of a block's median, with its 95 % interval; percentiles of all"
            " samples; ratios paired block by block, with their 95 % interval",
            ("case", "contender"),
            (
                *("median", "95 %", *_PERCENTILES),
                *(f"× {name}" for name in references),
                *(_BESIDE[n] for n in beside),
            ),
            tuple(
                self._row(contender, metric, references, beside)
                for metric in metrics
                for contender in self.results.having(metric)
            ),
        )

    def _row(
        self, contender: Contender, metric: Metric, references: Sequence[str], beside: Sequence[str]
    ) -> Row:
        cells = _figures(contender, metric)
        for name in references:
            ratio = self.ratio(contender, name, metric)
            cells.append("1" if name == contender.name else quantities.ratio(ratio))
        cells += [
            _median(contender, Metric(metric.suite, metric.case, f"{metric.action}-{name}"))
            for name in beside
        ]
        return Row((metric.short, contender.name), tuple(cells), self.note(contender.name))

    def median(self, contender: Contender, metric: Metric) -> str:
        """Return the median over blocks of a block's median, with its unit."""
        return _median(contender, metric)

    def note(self, name: str) -> str:
        """Return what has to be said beside every figure of a contender."""
        notes = []
        if name in not_comparable(self.results):
            notes.append("NOT COMPARABLE")
        if name.endswith(AGAIN):
            notes.append("A/A")
        if name in self.results.failures:
            notes.append(f"{self.results.failures[name]} failed")
        return ", ".join(notes)

    def every(self, suite: str) -> Table:
        """Return all benchmarks of a suite."""
        rows = []
        for (name, case), metrics in self.results.cases.items():
            for metric in (Metric(suite, case, each) for each in metrics if name == suite):
                for contender in self.results.having(metric):
                    series = contender.series[metric]
                    figures = _figures(contender, metric)
                    counts = (str(len(series.blocks)), str(len(series.values)))
                    heads = (case, metric.name, contender.name)
                    rows.append(Row(heads, (*figures, *counts), self.note(contender.name)))
        return Table(
            f"{suite}: every figure",
            "the median over blocks of a block's median, with its 95 % interval; percentiles of all"
            " samples",
            ("case", "metric", "contender"),
            ("median", "95 %", *_PERCENTILES, "blocks", "samples"),
            tuple(rows),
        )

    def pair(self) -> Table:
        """Return the A/A pair's table."""
        return Table(
            "A/A",
            "a contender against itself, as if it were another: how far noise alone goes",
            ("benchmark",),
            ("ratio", "apart"),
            tuple(
                Row(
                    (str(metric),),
                    (quantities.ratio(ratio), quantities.percent(ratio.value)),
                    "more than 3 % apart" if _apart(ratio) else "",
                )
                for metric, ratio in self.pairs.items()
            ),
        )

    def missing(self) -> Table:
        """Return what has no figures, with the reasons."""
        return Table(
            "missing",
            "contenders and cases without figures",
            ("contender", "case", "reason"),
            (),
            tuple(
                Row((each.contender, each.case or "all", each.reason), ())
                for each in self.results.skipped
            ),
        )


def _figures(contender: Contender, metric: Metric) -> list[str]:
    """Return the median, its interval and the percentiles."""
    series = contender.series[metric]
    return [
        _median(contender, metric),
        quantities.between(median_interval(series.blocks), series.unit),
        *(
            quantities.quantity(percentile(series.values, fraction), series.unit)
            for fraction in _PERCENTILES.values()
        ),
    ]


def _median(contender: Contender, metric: Metric) -> str:
    series = contender.series.get(metric)
    if series is None:
        return ""
    return quantities.quantity(block_median(series.blocks), series.unit)


def _apart(ratio: Ratio) -> bool:
    return not 1 / PAIR_LIMIT <= ratio.value <= PAIR_LIMIT

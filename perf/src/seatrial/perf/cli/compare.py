"""``seatrial bench compare``: ratios of two contenders, or of two runs, with their intervals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.perf import quantities
from seatrial.perf.cli.selection import HELP, Selection
from seatrial.perf.comparison import compare
from seatrial.perf.errors import UsageError
from seatrial.perf.tables import Row, Table, escaped
from seatrial.perf.visible import visible

if TYPE_CHECKING:
    import argparse

    from seatrial.perf.comparison import Comparison, Line


def add_parser(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "compare",
        help="compare two contenders of one run, or the same ones of two",
        description="Compare B with A: the ratio B / A of every benchmark, with an interval that"
        " holds the true one in 95 of 100 runs. Contenders of one run are compared block by block;"
        " those of two runs were not interleaved, which makes intervals wider.",
    )
    parser.add_argument("a", metavar="A", help=HELP)
    parser.add_argument("b", metavar="B", help="the same")
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="where contenders that are only named are looked up (default: the newest folder in"
        " results/perf)",
    )
    parser.add_argument(
        "--relative-to",
        metavar="CONTENDER",
        help="take both as multiples of this one in their own run, such as floor: for two machines",
    )
    parser.add_argument("--force", action="store_true", help="compare what is not comparable too")
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Print the comparison."""
    selection = Selection(arguments.results)
    found = [
        compare(old, new, force=arguments.force, relative=arguments.relative_to)
        for old, new in selection.pairs(arguments.a, arguments.b)
        if arguments.relative_to not in {old.contender.name, new.contender.name}
    ]
    if not found:
        raise UsageError(f"{arguments.relative_to} is always once itself: name another")
    if arguments.format == "json":
        documents = [as_json(each, relative=arguments.relative_to) for each in found]
        print(json.dumps(documents, indent=2, ensure_ascii=False))
        return 0
    for number, each in enumerate(found):
        if number:
            print()
        _show(each, relative=arguments.relative_to, markdown=arguments.format == "markdown")
    return 0


def _show(comparison: Comparison, *, relative: str | None, markdown: bool) -> None:
    table = as_table(comparison, relative=relative)
    for name, texts in (("NOT COMPARABLE", comparison.forced), ("note", comparison.remarks)):
        for text in texts:
            print(f"**{name}:** {escaped(text)}\n" if markdown else f"{name}: {visible(text)}")
    title = f"{table.title}\n{table.caption}\n"
    print(escaped(title) if markdown else visible(title))
    print(table.markdown() if markdown else table.text())


def as_table(comparison: Comparison, *, relative: str | None = None) -> Table:
    """Return a comparison as a table."""
    old, new = comparison.old, comparison.new
    titles = [old.title, new.title]
    if titles[0] == titles[1]:
        titles = ["before", "after"]
    how = "paired block by block" if comparison.paired else "of two runs, not paired"
    against = f", both as multiples of {relative}" if relative else ""
    return Table(
        title=f"{new.title} ({new.results.path}) against {old.title} ({old.results.path})",
        caption=f"medians; the ratio {how}{against}, with its 95 % interval; Cliff's delta",
        heads=("benchmark",),
        columns=(*titles, "ratio", "delta", "blocks", ""),
        rows=tuple(_row(line) for line in comparison.lines),
    )


def _row(line: Line) -> Row:
    return Row(
        (str(line.metric),),
        (
            quantities.quantity(line.old_p50, line.unit),
            quantities.quantity(line.new_p50, line.unit),
            quantities.ratio(line.ratio),
            f"{line.ratio.delta:+.2f}",
            str(line.ratio.blocks),
            line.verdict,
        ),
    )


def as_json(comparison: Comparison, *, relative: str | None = None) -> dict[str, Any]:
    """Return a comparison as what JSON holds; times in seconds."""
    sides = {
        name: {
            "results": str(side.results.path),
            "contender": side.contender.name,
            "version": side.contender.version,
        }
        for name, side in (("old", comparison.old), ("new", comparison.new))
    }
    return {
        **sides,
        "paired": comparison.paired,
        "relative_to": relative,
        "not_comparable": list(comparison.forced),
        "remarks": list(comparison.remarks),
        "benchmarks": [
            {
                "name": str(line.metric),
                "unit": line.unit,
                "old_p50": line.old_p50,
                "new_p50": line.new_p50,
                "ratio": line.ratio.value,
                "interval": None
                if line.ratio.interval is None
                else [line.ratio.interval.low, line.ratio.interval.high],
                "cliffs_delta": line.ratio.delta,
                "blocks": line.ratio.blocks,
                "verdict": line.verdict,
            }
            for line in comparison.lines
        ],
    }

"""``seatrial bench gate``: fail when a contender has become slower than its baseline."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.perf import quantities
from seatrial.perf.cli.selection import Selection
from seatrial.perf.comparison import Side, compare
from seatrial.perf.contenders import AGAIN, FLOOR
from seatrial.perf.errors import UsageError
from seatrial.perf.tables import Row, Table
from seatrial.perf.visible import visible

if TYPE_CHECKING:
    from seatrial.perf.comparison import Comparison, Line

WALL = 1.05
COUNTS = 1.02


def add_parser(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "gate",
        help="fail when something has become slower than in a baseline (for CI)",
        description="Compare a run with a baseline. The exit status is 1 when a benchmark's ratio"
        " passes its threshold with all of its 95 % interval; noise alone does not fail the gate.",
    )
    parser.add_argument(
        "baseline",
        metavar="BASELINE",
        help="a results folder; or a contender of DIR, such as a build of the commit before",
    )
    parser.add_argument(
        "results",
        metavar="DIR",
        type=Path,
        nargs="?",
        help="the results to judge (default: the newest folder in results/perf)",
    )
    parser.add_argument(
        "--contender",
        action="append",
        metavar="NAME",
        help="judge this one; repeatable (default: all that both have, but not the floor)",
    )
    parser.add_argument(
        "--wall",
        type=_threshold,
        default=WALL,
        metavar="RATIO",
        help="what times and rates may come to (default: %(default)s)",
    )
    parser.add_argument(
        "--counts",
        type=_threshold,
        default=COUNTS,
        metavar="RATIO",
        help="what counts and sizes may come to (default: %(default)s)",
    )
    parser.add_argument(
        "--relative-to",
        metavar="CONTENDER",
        help="judge multiples of this one in the same run, such as floor: for two machines",
    )
    parser.add_argument("--force", action="store_true", help="judge what is not comparable too")
    return parser


def _threshold(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 1 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a ratio from 1 up, such as 1.05")
    return value


def run(arguments: argparse.Namespace) -> int:
    """Judge; 1 when a benchmark passes its threshold."""
    selection = Selection(arguments.results)
    comparisons = [
        compare(old, new, force=arguments.force, relative=arguments.relative_to)
        for old, new in _pairs(selection, arguments.baseline, arguments.contender)
    ]
    thresholds = (arguments.wall, arguments.counts)
    judged = [(each, line) for each in comparisons for line in each.lines]
    if all(line.ratio.interval is None for _, line in judged):
        raise UsageError(
            "nothing can be judged: with so few blocks there are no intervals",
            hint="run more blocks (`seatrial bench run` without --quick)",
        )
    for text in dict.fromkeys(text for each in comparisons for text in each.remarks):
        print(f"note: {visible(text)}")
    for text in dict.fromkeys(text for each in comparisons for text in each.forced):
        print(f"NOT COMPARABLE: {visible(text)}")
    failed = [(each, line) for each, line in judged if passes(line, *thresholds)]
    unsure = sum(line.ratio.interval is None for _, line in judged)
    if unsure:
        print(f"note: {unsure} of {len(judged)} have too few blocks for an interval")
    if not failed:
        print(f"ok: none of {len(judged)} benchmarks is slower for certain")
        return 0
    print(f"failed: {len(failed)} of {len(judged)} benchmarks\n")
    print(_table(failed, thresholds).text())
    return 1


def _pairs(selection: Selection, baseline: str, names: list[str] | None) -> list[tuple[Side, Side]]:
    new = selection.folder(None)
    if Path(baseline).is_dir():
        old = selection.folder(Path(baseline))
        if old.path.resolve() == new.path.resolve():
            raise UsageError(f"{baseline} would be compared with itself", hint="name DIR as well")
        names = names or [
            name
            for name, each in new.contenders.items()
            if name in old.contenders and name != FLOOR and each.twin_of is None
        ]
        if not names:
            raise UsageError(f"{old.path} and {new.path} have no contender in common")
        for name in old.contenders:
            if name not in new.contenders:
                print(f"note: {name} is in the baseline only")
        return [(Side(old, old.contender(name)), Side(new, new.contender(name))) for name in names]
    if len(Path(baseline).parts) > 1:
        raise UsageError(f"there is no results folder {baseline}")
    reference = Side(new, new.contender(baseline))
    if names is None:
        raise UsageError(
            f"{baseline} is a contender of {new.path}: which other is to be judged by it?",
            hint=f"--contender NAME, such as {baseline}{AGAIN}",
        )
    return [(reference, Side(new, new.contender(name))) for name in names]


def threshold_of(line: Line, wall: float, counts: float) -> float:
    """Return which of the two thresholds holds for a benchmark."""
    return wall if line.unit == "second" or line.metric.more_is_better else counts


def passes(line: Line, wall: float, counts: float) -> bool:
    """Whether all of the interval is beyond the threshold, on the worse side."""
    limit = threshold_of(line, wall, counts)
    interval = line.ratio.interval
    if interval is None:
        return False
    return interval.high < 1 / limit if line.metric.more_is_better else interval.low > limit


def _table(failed: list[tuple[Comparison, Line]], thresholds: tuple[float, float]) -> Table:
    return Table(
        title="",
        caption="",
        heads=("benchmark", "contender"),
        columns=("before", "after", "ratio", "may be"),
        rows=tuple(
            Row(
                (str(line.metric), comparison.new.contender.name),
                (
                    quantities.quantity(line.old_p50, line.unit),
                    quantities.quantity(line.new_p50, line.unit),
                    quantities.ratio(line.ratio),
                    _limit(line, threshold_of(line, *thresholds)),
                ),
            )
            for comparison, line in failed
        ),
    )


def _limit(line: Line, limit: float) -> str:
    return f"≥ {1 / limit:.3g}×" if line.metric.more_is_better else f"≤ {limit:.3g}×"

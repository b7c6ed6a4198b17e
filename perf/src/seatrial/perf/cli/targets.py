"""``seatrial bench targets``: whether the reference runtime is as fast as it wants to be."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.perf import targets
from seatrial.perf.cli.selection import Selection
from seatrial.perf.errors import UsageError
from seatrial.perf.summary import REFERENCES, Summary
from seatrial.perf.visible import visible

if TYPE_CHECKING:
    import argparse


def add_parser(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "targets",
        help="hold the reference runtime against its targets",
        description="Print the reference runtime's ratios to the floor, crun and runc beside its"
        " targets: its Python API, run and create+start+delete with a kept plan, run without;"
        " with and without a network namespace, and with a seccomp profile of 400 names."
        " `seatrial bench run --suite lifecycle` measures what this needs.",
    )
    parser.add_argument(
        "results",
        metavar="DIR",
        type=Path,
        nargs="?",
        help="the results (default: the newest folder in results/perf)",
    )
    parser.add_argument("--format", choices=("text", "markdown"), default="text")
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Print the table."""
    summary = Summary(Selection(arguments.results).folder(None), REFERENCES)
    table = targets.table(summary)
    if not table.rows:
        raise UsageError(
            f"{summary.results.path} has nothing of {targets.REFERENCE} in the suite lifecycle",
            hint=f"seatrial bench run --suite lifecycle --runtime {targets.REFERENCE}",
        )
    for word, why in summary.verdicts:
        print(f"{word.upper()}: {visible(why)}")
    print(table.markdown() if arguments.format == "markdown" else f"\n{visible(table.text())}")
    return 0

"""``seatrial bench publish``: a run for others to see, and what README says of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.perf import publication
from seatrial.perf.cli.selection import Selection
from seatrial.perf.errors import RunError
from seatrial.perf.report import Report
from seatrial.perf.summary import REFERENCES, Summary

if TYPE_CHECKING:
    import argparse


def add_parser(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "publish",
        help="write a run for others to see: stripped of names and paths, small, with its report",
        description="Write a run into a folder of its own for others to see: the environment"
        " without the machine's name and paths, pyperf's suites and the samples compressed, the"
        " report and its plots. A run that is not fit to be published is refused.",
    )
    parser.add_argument("results", metavar="DIR", type=Path, help="the run")
    parser.add_argument(
        "--to", metavar="FOLDER", type=Path, required=True, help="the folder to make"
    )
    parser.add_argument(
        "--readme",
        metavar="FILE",
        type=Path,
        help=f"put the tables between {publication.BEGIN} and {publication.END} in this file",
    )
    parser.add_argument(
        "--anyway", action="store_true", help="although it is not fit; the texts say so"
    )
    return parser


def run(arguments: argparse.Namespace) -> int:
    """Write it."""
    results = Selection(None).folder(arguments.results)
    summary = Summary(results, tuple(name for name in REFERENCES if name in results.contenders))
    against = [*summary.grouped.get("not publishable", []), *summary.grouped.get("incomplete", [])]
    if against and not arguments.anyway:
        raise RunError(
            f"{results.path} is not fit to be published: {'; '.join(against)}",
            hint="run it again while the machine is quiet; --anyway publishes it, and says so",
        )
    publication.write(results, arguments.to)
    # Read again: what is shown is made of what others get.
    published = Selection(None).folder(arguments.to)
    report = Report(Summary(published, summary.references))
    publication.write_report(report, arguments.to)
    if arguments.readme:
        publication.put(arguments.readme, publication.section(report, str(arguments.to)))
    size = sum(path.stat().st_size for path in arguments.to.rglob("*") if path.is_file())
    print(f"{arguments.to}: {size / 1e6:.1f} MB")
    return 0

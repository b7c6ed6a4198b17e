"""``seatrial bench``: how fast do runtimes start containers, and where does the time go."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Protocol

from seatrial.perf.cli import compare, gate, report, run
from seatrial.perf.errors import PerfError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable


class Command(Protocol):
    """A module of one subcommand."""

    def add_parser(
        self, subparsers: argparse._SubParsersAction[argparse.ArgumentParser], /
    ) -> argparse.ArgumentParser:
        """Add it; the parser is returned."""
        ...

    def run(self, arguments: argparse.Namespace, /) -> int:
        """Do it; the exit status is returned."""
        ...


#: The modules of the subcommands.
COMMANDS: tuple[Command, ...] = (run, compare, report, gate)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``bench`` and its subcommands to the command ``seatrial``."""
    parser = subparsers.add_parser(
        "bench",
        help="measure how fast runtimes start containers",
        description="Measure how fast container runtimes start containers, interleaved, beside the "
        "least that the kernel takes for the same.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in COMMANDS:
        added = command.add_parser(commands)
        added.set_defaults(run=_reporting(command.run))


def _reporting(run: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Return ``run`` with its errors shown: one sentence on stderr, and the hint below it."""

    def reporting(arguments: argparse.Namespace) -> int:
        try:
            return run(arguments)
        except PerfError as error:
            complain(error)
            return error.status

    return reporting


def complain(error: PerfError) -> None:
    """Print an error for the user on stderr."""
    with contextlib.suppress(OSError):
        sys.stdout.flush()
    print(f"seatrial: {error}", file=sys.stderr)
    if error.hint:
        print(f"  hint: {error.hint}", file=sys.stderr)

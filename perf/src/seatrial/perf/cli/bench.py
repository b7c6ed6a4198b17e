"""``seatrial bench``: how fast do runtimes start containers, and where does the time go.

The other commands of ``seatrial`` import this module too, so it imports its own when asked for.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from seatrial.perf.errors import PerfError

if TYPE_CHECKING:
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


#: The modules of the subcommands, beside this one.
COMMANDS = ("run", "compare", "report", "targets", "gate", "publish")
_DESCRIPTION = (
    "Measure how fast container runtimes start containers, interleaved, beside the least that the"
    " kernel takes for the same."
)


class _Parser(argparse.ArgumentParser):
    """The parser of ``bench``, which has its subcommands from the moment that it is used."""

    _filled = False

    def parse_known_args(self, *words: Any, **names: Any) -> Any:  # noqa: ANN401 - as its parent's
        """Parse, with the subcommands there."""
        if not self._filled:
            self._filled = True
            # The plain class: no other parser has to wait.
            commands = self.add_subparsers(
                metavar="COMMAND", required=True, parser_class=argparse.ArgumentParser
            )
            for name in COMMANDS:
                command: Command = import_module(f"seatrial.perf.cli.{name}")
                command.add_parser(commands).set_defaults(run=_reporting(command.run))
        return super().parse_known_args(*words, **names)


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``bench`` and its subcommands to the command ``seatrial``."""
    added = subparsers.add_parser("bench", help="measure how fast runtimes start containers")
    subparsers.choices["bench"] = _Parser(prog=added.prog, description=_DESCRIPTION)


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

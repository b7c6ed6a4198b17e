"""``seatrial``: the harness's command."""

from __future__ import annotations

import argparse
import io
import os
import sys
from importlib import metadata

from seatrial.conformance import terminal
from seatrial.conformance.cli import compare, report, requirements, runtimes, test
from seatrial.conformance.errors import SeatrialError, UnfitError


def main(argv: list[str] | None = None) -> int:
    """Run one subcommand; return its exit status (2 for usage, 3 for an unfit environment)."""
    parser = argparse.ArgumentParser(
        prog="seatrial", description="The sea trial for OCI container runtimes."
    )
    parser.add_argument(
        "--version", action="version", version=f"seatrial {metadata.version('seatrial')}"
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in (test, compare, requirements, runtimes, report):
        command.add_parser(subparsers)
    # Rooms do not import one another: another room's commands are found by their entry points.
    for point in sorted(metadata.entry_points(group="seatrial.commands")):
        point.load()(subparsers)
    arguments, rest = parser.parse_known_args(argv)
    if rest and not getattr(arguments, "takes_rest", False):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    arguments.rest = rest
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # whatever a terminal cannot show
    status = 0
    try:
        status = int(arguments.run(arguments))
        sys.stdout.flush()
    except SeatrialError as error:
        terminal.complain(error)
        return 3 if isinstance(error, UnfitError) else 2
    except BrokenPipeError:
        # The reader has seen enough, as with head(1); what came of the command still counts.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return 130
    return status

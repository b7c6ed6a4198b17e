"""``seatrial test``: judge runtimes; the same as ``pytest`` over the suite."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.cli import compare
from seatrial.conformance.collection import IN_PROCESS
from seatrial.conformance.data import data_directory
from seatrial.conformance.recorder import INTERRUPTED

if TYPE_CHECKING:
    import argparse

_EPILOG = """\
Options of pytest and of the suite are passed on, such as --runtime, --requirement, --results,
--strict, --spec, --view, -k, -x, -v; "seatrial test --help-pytest" lists them all.

exit status: 0 all as expected, 1 something was not, 2 wrong usage, 3 nothing could be judged,
130 interrupted
"""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    import argparse  # noqa: PLC0415 - for the formatter only

    parser = subparsers.add_parser(
        "test",
        help="judge runtimes against the runtime-spec",
        description="Judge every runtime on this machine, or those given, against the spec.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--help-pytest", action="store_true", help="show all options")
    parser.add_argument(
        "--compare",
        nargs="+",
        metavar="RUNTIME",
        help="show what these do otherwise, instead: as `seatrial compare`, with its options",
    )
    parser.set_defaults(run=run, takes_rest=True)


def run(arguments: argparse.Namespace) -> int:
    """Run pytest over the suite; pytest's own usage error becomes ours."""
    if arguments.compare:
        return compare.run_words([*arguments.compare, *arguments.rest])
    rest = ["--help"] if arguments.help_pytest else arguments.rest
    suite = str(data_directory("suite"))
    watch = _Watch()
    try:
        status = int(pytest.main([suite, *IN_PROCESS, *rest], plugins=[watch]))
    except BrokenPipeError:
        # Who read the output has gone in mid-run: not all tests have run.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    if watch.interrupted:
        return INTERRUPTED
    return 2 if status == pytest.ExitCode.USAGE_ERROR else status


class _Watch:
    interrupted = False

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note Ctrl-C, which pytest reports by the number that means wrong usage here."""
        self.interrupted = excinfo.type is KeyboardInterrupt

"""``seatrial compare``: the same configs on several runtimes, and what they do otherwise."""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import secrets
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.conformance import adapters, spec
from seatrial.conformance.cgroups import VIEWS
from seatrial.conformance.comparison import bundles, shown
from seatrial.conformance.comparison.clauses import Clauses
from seatrial.conformance.comparison.fleet import Fleet
from seatrial.conformance.comparison.search import Effort, Search
from seatrial.conformance.errors import UsageError
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.strategies import differential

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

_EPILOG = """\
exit status: 0 no difference, 1 differences, 2 wrong usage, 3 nothing could be compared,
130 interrupted
"""

#: How much is drawn, and after how many tries in vain a config is small enough.
_EFFORTS = {
    "quick": Effort(examples=25, tries=30),
    "default": Effort(examples=150, tries=60),
    "thorough": Effort(examples=3000, tries=400),
}
_SEVERAL = 2


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "compare",
        help="run the same configs on several runtimes, and show what they do otherwise",
        description="Draw configs, run each on all of the runtimes, and show every kind of"
        " difference once: by the smallest config found, with the clause that decides it.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add_options(parser)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of a comparison to ``parser``."""
    add = parser.add_argument
    add(
        "runtimes",
        nargs="+",
        metavar="RUNTIME",
        help="two or more: a known name, a path, or an adapter's TOML file",
    )
    add(
        "--profile",
        choices=list(_EFFORTS),
        default="default",
        help="how much is drawn: "
        + ", ".join(f"{name} {effort.examples}" for name, effort in _EFFORTS.items())
        + " configs; thorough draws others in every run (default: default)",
    )
    add("--examples", type=int, metavar="N", help="draw N configs instead")
    add("--seed", type=int, metavar="N", help="draw those of seed N, as a thorough run said it")
    add("--format", choices=["text", "json"], default="text", help="(default: text)")
    add(
        "--output",
        type=Path,
        metavar="DIR",
        help="write each difference into a folder there: bundle, script, what was seen",
    )
    add(
        "--view",
        choices=["auto", *VIEWS],
        default="auto",
        help="cgroup hierarchies that the runtimes see (default: auto, what each needs here)",
    )
    add(
        "--runtime-timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how long one command of a runtime may take (default: 10)",
    )
    parser.set_defaults(run=run)


def run_words(words: Sequence[str]) -> int:
    """Compare as the words after ``seatrial test --compare`` say."""
    parser = argparse.ArgumentParser(prog="seatrial test --compare", allow_abbrev=False)
    add_options(parser)
    return run(parser.parse_args(words))


def run(arguments: argparse.Namespace) -> int:
    """Search for differences and print them."""
    found = _adapters(arguments.runtimes)
    effort = _effort(arguments)
    if not (0 < arguments.runtime_timeout < math.inf):
        raise UsageError("--runtime-timeout has to be a number of seconds above 0")
    if arguments.output is not None:
        bundles.prepare(arguments.output)
    registry = Registry.load(requirements_directory())
    clauses = Clauses.load(registry)
    view = None if arguments.view == "auto" else arguments.view
    progress = _Progress()
    complete = True
    with Fleet(found, view=view, timeout_s=arguments.runtime_timeout) as fleet:
        version = fleet.config_version
        search = Search(
            fleet,
            differential.configs_to_compare(version),
            differential.base(version),
            clauses,
            effort,
            progress.show,
        )
        try:
            with _interrupting(search):
                search.run()
        except KeyboardInterrupt:
            complete = False
        finally:
            progress.end()
    comparison = shown.Comparison(
        search, fleet.runtimes, version, registry, spec.NEWEST, complete=complete
    )
    if arguments.output is not None:
        bundles.write(comparison, arguments.output)
    if arguments.format == "json":
        print(json.dumps(shown.document(comparison), indent=2))
    else:
        for line in shown.lines(comparison):
            print(line)
        if effort.seed:
            print(f"the same again: --profile {arguments.profile} --seed {effort.seed}")
    if not complete:
        return 130
    return 1 if search.findings else 0


@contextlib.contextmanager
def _interrupting(search: Search) -> Iterator[None]:
    before = signal.getsignal(signal.SIGINT)

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        search.interrupted = True
        raise KeyboardInterrupt

    if before is signal.default_int_handler:  # and not ignored, as in the background of a shell
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _adapters(names: Sequence[str]) -> list[adapters.Adapter]:
    found = adapters.distinct(adapters.find(name) for name in dict.fromkeys(names))
    if len(found) < _SEVERAL:
        if len(names) < _SEVERAL:
            raise UsageError("one runtime cannot be compared", hint="give two or more")
        raise UsageError(
            f"{' and '.join(names)} are one runtime, which cannot be compared with itself"
        )
    return found


def _effort(arguments: argparse.Namespace) -> Effort:
    effort = _EFFORTS[arguments.profile]
    if arguments.examples is not None:
        if arguments.examples < 1:
            raise UsageError("--examples has to be a number above 0")
        effort = replace(effort, examples=arguments.examples)
    if arguments.seed is not None:
        if arguments.seed < 0:
            raise UsageError("--seed has to be a number, 0 or above")
        return replace(effort, seed=arguments.seed)
    if arguments.profile == "thorough":
        return replace(effort, seed=1 + secrets.randbelow(2**32))
    return effort


class _Progress:
    """How far the search has come, on stderr: one line that changes, or one for each finding."""

    def __init__(self) -> None:
        self._live = sys.stderr.isatty()
        self._told = 0

    def show(self, search: Search) -> None:
        found = len(search.findings)
        if self._live:
            doing = "shrinking" if search.shrinking else "drawing"
            line = (
                f"{doing}: {search.drawn} of {search.effort.examples} configs,"
                f" {search.ran} runs, {found} found"
            )
            print(f"\r{line:<70}", end="", file=sys.stderr, flush=True)
        elif found > self._told:
            self._told = found
            place = search.findings[-1].differences[0].place
            print(
                f"{search.drawn} of {search.effort.examples} configs, {search.ran} runs:"
                f" found {place}",
                file=sys.stderr,
                flush=True,
            )

    def end(self) -> None:
        if self._live:
            print(f"\r{'':<70}\r", end="", file=sys.stderr, flush=True)

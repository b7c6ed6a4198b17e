"""``seatrial bench run``: measure, and write a results folder."""

from __future__ import annotations

import argparse
import datetime as dt
import random
import sys
from pathlib import Path
from typing import Any

from seatrial.perf import environment, medians, results_folder
from seatrial.perf.driver import Run
from seatrial.perf.errors import UsageError
from seatrial.perf.guard import Conformance
from seatrial.perf.plan import Plan, make_plan
from seatrial.perf.suites import DEFAULT, SUITES

_FOLDER = Path("results/perf")
_INTERRUPTED = 130
_MOST_SEED = 2**32


def add_parser(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
) -> argparse.ArgumentParser:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "run",
        help="measure, and write a results folder",
        description="Measure runtimes in interleaved, randomised blocks, beside the kernel's floor"
        " and with one of them twice (the A/A pair), and write a results folder. All suites take"
        " about 7 minutes on two quiet processors; lines on stderr say how long is left.",
        epilog="Exit status: 0 measured; 1 the run, or a runtime, came to an early end, what was"
        " measured is kept; 2 wrong usage; 3 nothing can be measured here; 130 interrupted.",
    )
    about = "; ".join(f"{each.name}: {each.about}" for each in SUITES.values())
    parser.add_argument(
        "--suite",
        action="append",
        choices=list(SUITES),
        help=f"what to measure, repeatable (default: all). {about}",
    )
    parser.add_argument(
        "--case",
        action="append",
        metavar="CASE",
        help="only cases of this name, such as plain, netns, rootless; repeatable",
    )
    parser.add_argument(
        "--runtime",
        action="append",
        metavar="RUNTIME",
        help="a name or a path, repeatable (default: those known that are on this machine)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="a look in a minute or two, not to publish"
    )
    parser.add_argument("--blocks", type=_count, metavar="N", help="blocks of every suite")
    parser.add_argument("--samples", type=_count, metavar="N", help="samples in each turn")
    parser.add_argument("--seed", type=int, metavar="N", help="by which the order is drawn")
    parser.add_argument(
        "--editable",
        action="store_true",
        help="time a runtime from an editable install too; such a run is not to be published",
    )
    parser.add_argument(
        "--docker-host",
        metavar="HOST",
        help="time docker by this daemon of yours, such as unix:///var/run/docker.sock, and not by"
        " one that the run starts for itself",
    )
    parser.add_argument(
        "--conformance",
        action="append",
        type=Path,
        default=[],
        metavar="RESULTS",
        help="results of the conformance suite: who fails it is marked, repeatable",
    )
    folders = parser.add_mutually_exclusive_group()
    folders.add_argument("--output", type=Path, metavar="DIR", help="the results folder to make")
    folders.add_argument("--resume", type=Path, metavar="DIR", help="go on with a run cut short")
    return parser


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"a number from 1 on, not {text!r}")
    return number


def run(arguments: argparse.Namespace) -> int:
    """Measure, and say what came of it."""
    conformance = Conformance(arguments.conformance)
    before: dict[str, Any] | None = None
    folder = arguments.output or _FOLDER / f"{dt.datetime.now(dt.UTC):%Y-%m-%d-%H%M}"
    options = {
        "suite": arguments.suite or list(DEFAULT),
        "case": arguments.case,
        "runtime": arguments.runtime,
        "quick": arguments.quick,
        "blocks": arguments.blocks,
        "samples": arguments.samples,
        "editable": arguments.editable,
        "docker_host": arguments.docker_host,
    }
    seed = arguments.seed
    if arguments.resume:
        folder = arguments.resume
        before = results_folder.read(folder)
        _no_other_options(arguments)
        options, seed = before["options"], before["seed"]
    plan = make_plan(options, random.randrange(_MOST_SEED) if seed is None else seed)  # noqa: S311
    if before is not None:
        _same(before, plan)
    else:
        results_folder.make(folder)
    measuring = Run(plan, folder, conformance)
    if before is not None:
        measuring.resume(before)
    else:
        measuring.begin()
    print(medians.before(plan, folder), file=sys.stderr)
    done = measuring.measure()
    found = measuring.finish()
    print(medians.after(measuring.environment, plan.skipped, found, folder))
    if not done:
        return _INTERRUPTED
    return 1 if measuring.lost else 0


def _no_other_options(arguments: argparse.Namespace) -> None:
    given = (
        "suite",
        "case",
        "runtime",
        "quick",
        "blocks",
        "samples",
        "seed",
        "editable",
        "docker_host",
    )
    for name in given:
        if getattr(arguments, name):
            raise UsageError(
                f"--{name} does not go with --resume", hint="a run is resumed as it was begun"
            )


def _same(before: dict[str, Any], plan: Plan) -> None:
    """Raise ``UsageError`` unless machine and contenders are those that the run began with."""
    machine = environment.describe()
    for name in ("kernel", "cpu_model", "boot_id"):
        if machine[name] != before.get(name):
            raise UsageError(f"the run cannot go on: it began with another {name}")
    now = {each.name: each.as_dict() for each in plan.contenders}
    for name, about in before["contenders"].items():
        if name not in now:
            raise UsageError(f"the run cannot go on: {name} is not on this machine any more")
        if any(now[name].get(key) != about.get(key) for key in ("sha256", "package_sha256")):
            raise UsageError(f"the run cannot go on: {name} is another build now")

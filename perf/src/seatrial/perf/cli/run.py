"""``seatrial bench run``: measure, and write a results folder."""

from __future__ import annotations

import argparse
import datetime as dt
import platform
import random
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from seatrial.perf import contenders, filters, kinds, medians, pyperf_files, results_folder, samples
from seatrial.perf.contenders import Contender, MissingError
from seatrial.perf.driver import Plan, Run
from seatrial.perf.errors import UnfitError, UsageError
from seatrial.perf.guard import Conformance
from seatrial.perf.schedule import Size, takes_part
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
        " and with one of them twice (the A/A pair), and write a results folder.",
        epilog="Exit status: 0 measured; 1 ended early, what was measured is kept; 2 wrong usage;"
        " 3 nothing can be measured here; 130 interrupted.",
    )
    about = "; ".join(f"{each.name}: {each.about}" for each in SUITES.values())
    parser.add_argument(
        "--suite",
        action="append",
        choices=list(SUITES),
        help=f"what to measure, repeatable (default: all). {about}",
    )
    parser.add_argument(
        "--runtime",
        action="append",
        metavar="RUNTIME",
        help="a name or a path, repeatable (default: those known that are on this machine)",
    )
    parser.add_argument("--quick", action="store_true", help="a look in under 40 s, not to publish")
    parser.add_argument("--blocks", type=_count, metavar="N", help="blocks of every suite")
    parser.add_argument("--samples", type=_count, metavar="N", help="samples in each turn")
    parser.add_argument("--seed", type=int, metavar="N", help="by which the order is drawn")
    parser.add_argument(
        "--editable",
        action="store_true",
        help="time a runtime from an editable install too; such a run is not to be published",
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
    folder = arguments.output or _FOLDER / f"{dt.datetime.now(dt.UTC):%Y-%m-%d}-{platform.node()}"
    options = {
        "suite": arguments.suite or list(DEFAULT),
        "runtime": arguments.runtime,
        "quick": arguments.quick,
        "blocks": arguments.blocks,
        "samples": arguments.samples,
        "editable": arguments.editable,
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
    found, _ = pyperf_files.blocks(samples.read(folder))
    print(medians.after(measuring.environment, plan.skipped, found, folder))
    return 0 if done else _INTERRUPTED


def _no_other_options(arguments: argparse.Namespace) -> None:
    given = ("suite", "runtime", "quick", "blocks", "samples", "seed", "editable")
    for name in given:
        if getattr(arguments, name):
            raise UsageError(
                f"--{name} does not go with --resume", hint="a run is resumed as it was begun"
            )


def _same(before: dict[str, Any], plan: Plan) -> None:
    """Raise ``UsageError`` unless the contenders are those that the run began with."""
    now = {each.name: each.as_dict() for each in plan.contenders}
    for name, about in before["contenders"].items():
        if name not in now:
            raise UsageError(f"the run cannot go on: {name} is not on this machine any more")
        if now[name]["sha256"] != about["sha256"]:
            raise UsageError(f"the run cannot go on: {name} is another build now")


def make_plan(options: dict[str, Any], seed: int) -> Plan:
    """Return the plan for options; raises ``UsageError`` or ``UnfitError``."""
    plan = Plan([], [], {}, seed, options)
    found = named = _find(options, plan)
    _choose(options, plan)
    floor = kinds.floor()
    least = Contender(contenders.FLOOR, floor, "-", contenders.sha256(floor))
    found = [each for each in found if any(takes_part(each, case) for case in plan.cases)]
    plan.contenders = [*found, least]
    plan.cases = [case for case in plan.cases if any(takes_part(c, case) for c in plan.contenders)]
    if not plan.cases or (options["runtime"] and not named):
        why = [f"{each['contender']}: {each['reason']}" for each in plan.skipped]
        raise UnfitError(f"there is nothing to measure: {'; '.join([*why, *plan.notes])}")
    if found:
        _pair(plan, found)
    return plan


def _find(options: dict[str, Any], plan: Plan) -> list[Contender]:
    """Return the runtimes; those that cannot take part are noted in the plan."""
    found: list[Contender] = []
    engines = contenders.ENGINES if "engine" in options["suite"] else ()
    for word in options["runtime"] or (*contenders.KNOWN, *engines):
        try:
            each = contenders.find(word)
        except MissingError as error:
            plan.skipped.append({"contender": word, "reason": str(error)})
            continue
        if each.is_engine and "engine" not in options["suite"]:
            plan.skipped.append({"contender": each.name, "reason": "only the suite engine has it"})
            continue
        if each.editable and not options["editable"]:
            why = "it runs from an editable install (hint: make bench, or --editable)"
            plan.skipped.append({"contender": each.name, "reason": why})
            continue
        found.append(each)
    return contenders.distinct(found)


def _choose(options: dict[str, Any], plan: Plan) -> None:
    """Put the cases of the suites into the plan."""
    for name in dict.fromkeys(options["suite"]):
        suite = SUITES[name]
        try:
            plan.cases += suite.cases()
        except filters.NoNamesError as error:
            plan.notes.append(f"suite {name} is left out: {error}")
            continue
        size = suite.quick if options["quick"] else suite.size
        plan.sizes[name] = Size(
            options["blocks"] or size.blocks, options["samples"] or size.samples
        )


def _pair(plan: Plan, found: list[Contender]) -> None:
    """Have an A/A pair in every run: at least in one case."""
    reference = (each for each in found if each.name.startswith("seatrial"))
    runtimes = (each for each in found if not each.is_engine)
    doubled = next(reference, next(runtimes, found[0]))
    plan.contenders.insert(-1, doubled.again())
    if any(case.again and takes_part(doubled, case) for case in plan.cases):
        return
    for number, case in enumerate(plan.cases):
        if takes_part(doubled, case):
            plan.cases[number] = replace(case, again=True)
            return

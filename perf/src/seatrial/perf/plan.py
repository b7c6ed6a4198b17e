"""What a run is to do: which cases, with whom, how often, in which order."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from seatrial.perf import contenders, filters, in_process, kinds, place, schedule
from seatrial.perf.contenders import Contender, MissingError
from seatrial.perf.errors import UnfitError
from seatrial.perf.modes import MODES
from seatrial.perf.schedule import Size, takes_part
from seatrial.perf.suites import SUITES

if TYPE_CHECKING:
    from seatrial.perf.cases import Case
    from seatrial.perf.schedule import Turn


@dataclass
class Plan:
    """What a run is to do."""

    cases: list[Case]
    contenders: list[Contender]
    sizes: dict[str, Size]
    seed: int
    options: dict[str, Any]
    skipped: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def blocks(self) -> int:
        """Return the number of blocks of the longest suite."""
        return max(self.sizes[case.suite].blocks for case in self.cases)

    def block(self, number: int) -> list[Turn]:
        """Return the turns of one block."""
        return schedule.block(number, self.seed, self.cases, self.contenders, self.sizes)


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
    for each in (each for each in found if each.has_modes):
        _add_modes(plan, each)
    return plan


def _add_modes(plan: Plan, contender: Contender) -> None:
    """Have the reference runtime take part in its other modes, where a case has them."""
    for mode in MODES:
        other = contender.within(mode)
        if not any(takes_part(other, case) for case in plan.cases):
            continue
        if mode.in_process and (why := in_process.why_not(contender.python)):
            plan.skipped.append({"contender": other.name, "reason": why})
            continue
        plan.contenders.insert(-1, other)


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
        plan.cases += suite.cases()
        try:
            plan.cases += suite.filtered()
        except filters.NoNamesError as error:
            plan.notes.append(f"{name} has no case with a seccomp filter: {error}")
        _leave_out(options, plan)
        size = suite.quick if options["quick"] else suite.size
        plan.sizes[name] = Size(
            options["blocks"] or size.blocks, options["samples"] or size.samples
        )


def _leave_out(options: dict[str, Any], plan: Plan) -> None:
    """Take out what was not asked for, and what cannot be done."""
    wanted = options["case"]
    plan.cases = [case for case in plan.cases if not wanted or case.name in wanted]
    closed = place.closed_to_others()
    if closed and any(case.rootless for case in plan.cases):
        plan.cases = [case for case in plan.cases if not case.rootless]
        plan.notes.append(
            f"the case rootless is left out: {closed} is closed to other users (hint: TMPDIR)"
        )


def _pair(plan: Plan, found: list[Contender]) -> None:
    """Have an A/A pair in every run: at least in one case."""
    reference = (each for each in found if each.has_modes)
    runtimes = (each for each in found if not each.is_engine)
    doubled = next(reference, next(runtimes, found[0]))
    plan.contenders.insert(-1, doubled.again())
    if any(case.again and takes_part(doubled, case) for case in plan.cases):
        return
    for number, case in enumerate(plan.cases):
        if takes_part(doubled, case):
            plan.cases[number] = replace(case, again=True)
            return

"""What came of the faults: a journal that a run goes on from, a table, what is published."""

from __future__ import annotations

import collections
import errno
import hashlib
import json
import os
import platform
import re
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import fault_build
import fault_cases
import fault_reasons
from fault_trials import Point, Trial, Verdict

from seatrial.oci.operations import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MEMBER = "none of them"
COLUMNS = ("calls", "failed", "killed", "error", "harmless", "undone", "other", "survivors")
COLUMN_OF = {
    "named": "error",
    "killed": "undone",
    "harmless": "harmless",
    "handed over": "harmless",
}
#: What is another on each machine and in each run.
OWN = re.compile(r"seatrial-faults-\w*|\b[0-9a-f]{16}\b|[0-9]+")
PAGE = """# Faults

What came of it when system calls of `seatrial-oci` failed without being done, and when it was
killed at them: in each kind of operation of its plans, and in all it does besides. Made by
`make faults`, on Linux {release}: {summary}{short}.
[faults.json](faults.json) has each fault, and
[decision 26](../../docs/decisions/0026-faults-from-kept-plans.md) says how they are made.

- *error*: one that names the operation
- *harmless*: the command does what it is to do, for a reason that stands below
- *undone*: it was killed, and `delete --force` leaves nothing
- *other*: the call did not come in this life, which went well
- *survivors*: anything else

After each the id was used again.
"""


class Outcome(NamedTuple):
    """A fault, where it was met, and what came of it."""

    trial: Trial
    verdict: Verdict

    @property
    def kind(self) -> str:
        """The kind of operation that it was met in."""
        number = self.trial.point.kind
        return Kind(number).name if number else MEMBER

    @property
    def reason(self) -> str:
        """Why a call that failed does not matter; empty for none that is known."""
        if self.verdict.outcome == "handed over":
            return "the launcher hands over to Python, which does it"
        return fault_reasons.of(self.trial) or ""

    @property
    def survives(self) -> str:
        """What is wrong, or nothing."""
        unknown = self.verdict.outcome == "harmless" and not self.reason
        return self.verdict.survives or (
            "it succeeds all the same, for no known reason" if unknown else ""
        )

    @property
    def half(self) -> str:
        """Who was at work."""
        return "launcher" if self.trial.point.program == "launcher" else "Python"


class Journal:
    """The trials of a run and what came of them so far, in a file, for a run that is cut short."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trials: list[Trial] = []
        self.done: dict[int, Outcome] = {}

    def resume(self, wanted: dict[str, Any]) -> bool:
        """Read it; whether it is of a run of the same sources with the same options."""
        if not self.path.exists():
            return False
        text = self.path.read_text("utf-8")
        head, *rest = text.splitlines()
        found = json.loads(head)
        if found["of"] != {**wanted, "sources": sources()}:
            return False
        self.trials = [_trial(each) for each in found["trials"]]
        for line in rest:
            try:
                number, trial, verdict = json.loads(line)
            except ValueError:
                continue  # the last of a run, cut short
            self.done[number] = Outcome(_trial(trial), Verdict(*verdict))
        if not text.endswith("\n"):
            with self.path.open("a", encoding="utf-8") as file:
                file.write("\n")
        return True

    def begin(self, wanted: dict[str, Any], trials: list[Trial]) -> None:
        """Begin it anew."""
        self.trials, self.done = trials, {}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        head = {"of": {**wanted, "sources": sources()}, "trials": trials}
        self.path.write_text(json.dumps(head) + "\n", "utf-8")

    def add(self, number: int, outcome: Outcome) -> None:
        """Note what came of a trial."""
        self.done[number] = outcome
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps([number, *outcome]) + "\n")


def _trial(found: list[Any]) -> Trial:
    return Trial(Point(*found[0]), *found[1:])


def sources() -> str:
    """Return a digest of all that what came of a fault depends on."""
    total = hashlib.sha256()
    for path in sorted(fault_build.sources()):
        if path.name in {"fault_reasons.py", "fault_results.py"}:
            continue
        total.update(str(path).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def counted(outcomes: Iterable[Outcome]) -> dict[str, collections.Counter[str]]:
    """Return, for each kind of operation, how many of each column there are."""
    rows: dict[str, collections.Counter[str]] = {}
    calls = set()
    for each in outcomes:
        trial, verdict = each
        row = rows.setdefault(each.kind, collections.Counter())
        call = (each.kind, trial.point[:4])
        row["calls"] += call not in calls
        calls.add(call)
        row["killed" if trial.whom else "failed"] += 1
        row[COLUMN_OF.get(verdict.outcome, "other")] += 1
        row["survivors"] += bool(each.survives)
    return dict(sorted(rows.items(), key=lambda each: (each[0] == MEMBER, each[0])))


def table(outcomes: Iterable[Outcome]) -> list[str]:
    """Return a line for each kind of operation."""
    lines = [f"{'operation':<20} {' '.join(f'{each:>9}' for each in COLUMNS)}"]
    for name, row in counted(outcomes).items():
        lines.append(f"{name:<20} {' '.join(f'{row[each]:>9}' for each in COLUMNS)}")
    return lines


def reasons(outcomes: Iterable[Outcome]) -> dict[tuple[str, str, str], int]:
    """Return how often a failing call did not matter, by kind, call and reason."""
    found = collections.Counter(
        (each.kind, each.trial.point.name, each.reason)
        for each in outcomes
        if COLUMN_OF.get(each.verdict.outcome) == "harmless" and not each.survives
    )
    return dict(sorted(found.items()))


def never_met(outcomes: Iterable[Outcome]) -> dict[str, str]:
    """Return the kinds of operations that no container had, with the reason or nothing."""
    met = {each.kind for each in outcomes}
    names = [each.name for each in Kind if each.name not in met]
    return {name: fault_cases.NOT_HERE.get(name, "") for name in names}


def summary(outcomes: list[Outcome]) -> str:
    """Return the counts in a sentence."""
    killed = sum(bool(each.trial.whom) for each in outcomes)
    survivors = sum(bool(each.survives) for each in outcomes)
    kinds = len({each.kind for each in outcomes} - {MEMBER})
    return (
        f"{kinds} of {len(Kind)} kinds of operations, {len(outcomes) - killed} calls failed, "
        f"{killed} kills, {survivors} survivors"
    )


def document(outcomes: list[Outcome]) -> dict[str, Any]:
    """Return the results as JSON: the counts, and each fault, those that are alike as one."""
    alike = collections.Counter(_row(each) for each in outcomes)
    names = ("program", "verb", "operation", "call", "argument", "fault", "outcome", "survives")
    return {
        "environment": {"kernel": platform.release(), "machine": platform.machine(),
                        "python": platform.python_version(), "processors": os.cpu_count()},
        "counts": {name: dict(row) for name, row in counted(outcomes).items()},
        "never met": never_met(outcomes),
        "faults": [{**dict(zip(names, row, strict=True)), "times": times}
                   for row, times in sorted(alike.items())],
    }  # fmt: skip


def _row(each: Outcome) -> tuple[str, ...]:
    trial, verdict = each
    point = trial.point
    argument = OWN.sub(
        "*", point.argument.replace(str(fault_build.ROOT), "").replace(sys.prefix, "")
    )
    fault = f"kill {trial.whom}" if trial.whom else errno.errorcode[trial.errno]
    return (point.program, point.verb, each.kind, point.name, argument, fault, verdict.outcome,
            each.survives)  # fmt: skip


def publish(outcomes: list[Outcome], total: int, folder: Path) -> None:
    """Write the results, of so many faults in all, and a page that shows them."""
    folder.mkdir(parents=True, exist_ok=True)
    whole = document(outcomes)
    # A line for each fault: what differs from run to run is seen in a diff.
    lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in whole.pop("faults"))
    head = json.dumps(whole, indent=1, ensure_ascii=False).removesuffix("\n}")
    (folder / "faults.json").write_text(f'{head},\n "faults": [\n{lines}\n]}}\n', "utf-8")
    (folder / "README.md").write_text("\n".join(_page(outcomes, total)) + "\n", "utf-8")


def _page(outcomes: list[Outcome], total: int) -> list[str]:
    tried = len(outcomes)
    short = f", in {tried} of {total} faults, as the run was cut short" if tried < total else ""
    lines = [
        *PAGE.format(
            release=platform.release(), summary=summary(outcomes), short=short
        ).splitlines()
    ]
    for half, says in (
        ("launcher", "From kept plans, by the launcher without Python"),
        ("Python", "By Python"),
    ):
        rows = counted(each for each in outcomes if each.half == half)
        lines += ["", f"## {says}", "", f"| operation | {' | '.join(COLUMNS)} |",
                  f"|---|{'---:|' * len(COLUMNS)}"]  # fmt: skip
        lines += [
            f"| {name} | {' | '.join(str(row[each]) for each in COLUMNS)} |"
            for name, row in rows.items()
        ]
    lines += ["", "## Never met", ""]
    lines += [f"- {name}: {why or 'not in this run'}" for name, why in never_met(outcomes).items()]
    lines += ["", "## Failing calls that do not matter", "", "| in | call | times | because |",
              "|---|---|---:|---|"]  # fmt: skip
    lines += [
        f"| {kind} | {name} | {count} | {why} |"
        for (kind, name, why), count in reasons(outcomes).items()
    ]
    return lines

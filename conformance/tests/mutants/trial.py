"""The trial of one mutant: the tests of its rows are run on it, and an outcome found for each."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.tests.mutants.mutation import Mutant

from seatrial.conformance import spec
from seatrial.conformance.errors import SeatrialError
from seatrial.conformance.results import Results

if TYPE_CHECKING:
    from collections.abc import Iterable

    from seatrial.conformance.verdicts import Verdict

ROOT = Path(__file__).resolve().parents[3]
COMMAND = Path(__file__).parent / "command.py"
LAUNCHER = Path(sys.executable).parent / "seatrial-oci"
TIMEOUT_S = 600
#: What waits in vain should not wait for long; but where nothing else is wrong, it gets more time,
#: for it may be that this host has much to do.
SHORT_S, LONG_S = 4, 20
#: Views of cgroups: what cannot be tried in the host's own may be in another.
VIEWS = ("auto", "v2")
WRAPPER = """\
#!/bin/sh
export SEATRIAL_OCI_CACHE=off
# No plan that is kept from a mutant may serve the runtime, nor the other way round.
export SEATRIAL_OCI_CACHE=off
before=
for word; do
    case $before in --root | --log | --log-format) before=; continue ;; esac
    case $word in
        --*) before=$word; continue ;;
        {verbs}) exec {mutant} "$@" ;;
    esac
    break
done
exec {launcher} "$@"
"""

#: The runtime as it is: no verb is the mutant's.
UNCHANGED = Mutant("unchanged", "does all as it should", (), lambda: None, ("nothing",))

KILLED, SURVIVED, NOTED, NOT_APPLICABLE = "killed", "survived", "noted", "not applicable"
#: Killed, and all that was wrong is that something took too long.
HUNG = "hung"
#: No test of the row fails, and one cannot say what it sees.
BROKEN = "broken"
BAD = {SURVIVED, BROKEN}


@dataclass(frozen=True)
class Trial:
    """What became of a mutant: the outcome of each row, and why one is not applicable."""

    mutant: Mutant
    rows: dict[str, str]
    seconds: float
    evidence: dict[str, str] = field(default_factory=dict)

    @property
    def bad(self) -> dict[str, str]:
        """The rows whose tests have not noticed."""
        return {row: outcome for row, outcome in self.rows.items() if outcome in BAD}


@functools.cache
def rows_with_tests() -> dict[str, dict[str, Any]]:
    """Return the rows that have tests, by id."""
    command = [str(LAUNCHER.with_name("seatrial")), "requirements", "list", "--status", "tested"]
    found = subprocess.run(
        [*command, "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {row["id"]: row for row in json.loads(found.stdout)}


def files_of(rows: Iterable[str]) -> list[str]:
    """Return the files with the tests of some rows."""
    tests = [test for row in rows for test in rows_with_tests()[row]["tests"]]
    return sorted({test.partition("::")[0] for test in tests})


def release_of(row: str) -> str:
    """Return the release of the spec by which a row is judged: the last one that has it."""
    return str(rows_with_tests()[row].get("until") or spec.NEWEST)


def try_out(mutant: Mutant) -> Trial:
    """Run the tests of a mutant's rows on it, in another view where the first shows nothing."""
    began = time.monotonic()
    rows: dict[str, str] = {}
    evidence: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="seatrial-mutant-") as folder:
        for release in sorted({release_of(row) for row in mutant.rows}):
            own = [row for row in mutant.rows if release_of(row) == release]
            bench = Bench(mutant, Path(folder), release, evidence)
            rows |= _tried(own, bench)
    rows = {row: rows[row] for row in mutant.rows}
    evidence = {row: evidence[row] for row in rows if rows[row] == NOT_APPLICABLE}
    return Trial(mutant, rows, time.monotonic() - began, evidence)


def _tried(rows: list[str], bench: Bench) -> dict[str, str]:
    found = dict.fromkeys(rows, NOT_APPLICABLE)
    for view in VIEWS:
        if left := [row for row, outcome in found.items() if outcome == NOT_APPLICABLE]:
            found |= _judged(left, bench, view, SHORT_S)
        for row in [row for row, outcome in found.items() if outcome == HUNG]:
            found |= _judged([row], bench, view, LONG_S)
    return {row: KILLED if outcome == HUNG else outcome for row, outcome in found.items()}


def _judged(rows: list[str], bench: Bench, view: str, timeout_s: int) -> dict[str, str]:
    verdicts = bench.run(rows, view, timeout_s)
    if verdicts is None:
        return dict.fromkeys(rows, BROKEN) if view == VIEWS[0] else {}
    found = {row: outcome_of(row, verdicts) for row in rows}
    for verdict in verdicts:
        for row in verdict.requirements if verdict.status == "skip" else ():
            # Of the first view: a later one is tried for what the first does not have.
            bench.evidence.setdefault(row, verdict.evidence)
    if bench.mutant.name.startswith(UNCHANGED.name):
        return found
    for row in [row for row, outcome in found.items() if outcome == NOTED]:
        # A note is a sign of the mutant only where the runtime itself makes another.
        if notes_of(row, verdicts) == _own_notes(row, view):
            found[row] = SURVIVED
    return found


def notes_of(row: str, verdicts: Iterable[Verdict]) -> set[tuple[str, tuple[str, ...]]]:
    """Return the notes that the tests of a row have made."""
    return {
        (verdict.test.partition("::")[2], verdict.notes)
        for verdict in verdicts
        if row in verdict.requirements and verdict.status == "note"
    }


@functools.cache
def _own_notes(row: str, view: str) -> set[tuple[str, tuple[str, ...]]]:
    """Return the notes on the runtime as it is."""
    with tempfile.TemporaryDirectory(prefix="seatrial-mutant-") as folder:
        bench = Bench(UNCHANGED, Path(folder), release_of(row))
        return notes_of(row, bench.run([row], view, LONG_S) or ())


def unchanged(mutants: Iterable[Mutant]) -> list[Mutant]:
    """Return trials of the runtime as it is, which have to be survived: the rows of ``mutants``.

    Not those of a mutant in which nothing is changed.
    """
    rows = [row for mutant in mutants if mutant.verbs != UNCHANGED.verbs for row in mutant.rows]
    by_files: dict[tuple[str, ...], list[str]] = {}
    for row in dict.fromkeys(rows):
        by_files.setdefault(tuple(files_of([row])), []).append(row)
    return [
        replace(UNCHANGED, name=f"{UNCHANGED.name} by {' '.join(files)}", rows=tuple(own))
        for files, own in by_files.items()
    ]


@dataclass(frozen=True)
class Bench:
    """Where a mutant is tried, by one release of the spec."""

    mutant: Mutant
    folder: Path
    release: str
    evidence: dict[str, str] = field(default_factory=dict)

    def run(self, rows: list[str], view: str, timeout_s: int) -> tuple[Verdict, ...] | None:
        """Return the verdicts of the tests of some rows; ``None`` if there is no judging."""
        results = self.folder / f"{self.release}-{view}-{timeout_s}.jsonl"
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "conformance.tests.mutants.plugin"),
            *("-p", "no:cacheprovider", *files_of(rows), "--results", str(results)),
            *("--runtime", str(wrapper(self.mutant, self.folder)), "--view", view),
            *("--runtime-timeout", str(timeout_s), "--spec", self.release),
            *(word for row in rows for word in ("--requirement", row)),
            *(["--exitfirst"] if timeout_s == LONG_S else []),
        ]
        said = ""
        try:
            ended = subprocess.run(
                command,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT)},
                timeout=TIMEOUT_S,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            said = (ended.stdout + ended.stderr)[-2000:]
            return Results.read(results).verdicts
        except (SeatrialError, subprocess.TimeoutExpired) as error:
            if view == VIEWS[0]:
                print(said, error)
            return None


def outcome_of(row: str, verdicts: Iterable[Verdict]) -> str:
    """Return the outcome of a row by the verdicts of its tests; *noted* where that is open."""
    own = [verdict for verdict in verdicts if row in verdict.requirements]
    statuses = {verdict.status for verdict in own}
    if "fail" in statuses:
        kinds = {verdict.kind for verdict in own if verdict.status == "fail"}
        return HUNG if kinds == {HUNG} else KILLED
    if "error" in statuses or not statuses:
        return BROKEN
    if statuses == {"skip"}:
        return NOT_APPLICABLE
    return NOTED if rows_with_tests()[row]["testable"] == "partly" else SURVIVED


def wrapper(mutant: Mutant, folder: Path) -> Path:
    """Write the mutant's command: verbs that are not changed go to the launcher, which is fast."""
    path = folder / "seatrial-oci"
    path.write_text(
        WRAPPER.format(
            verbs="|".join(mutant.verbs),
            mutant=f"{sys.executable} -I {COMMAND} {mutant.name}",
            launcher=LAUNCHER,
        ),
        encoding="ascii",
    )
    path.chmod(0o755)
    return path

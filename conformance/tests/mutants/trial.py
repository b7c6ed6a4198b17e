"""The trial of one mutant: the tests of its rows are run on it, and an outcome found for each."""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seatrial.conformance.errors import SeatrialError
from seatrial.conformance.results import Results

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.tests.mutants.mutation import Mutant

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

KILLED, SURVIVED, NOTED, NOT_APPLICABLE = "killed", "survived", "noted", "not applicable"
#: Killed, and all that was wrong is that something took too long.
HUNG = "hung"
#: No test of the row fails, and one cannot say what it sees.
BROKEN = "broken"
BAD = {SURVIVED, BROKEN}


@dataclass(frozen=True)
class Trial:
    """What became of a mutant: the outcome of each of its rows."""

    mutant: Mutant
    rows: dict[str, str]
    seconds: float

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


def try_out(mutant: Mutant) -> Trial:
    """Run the tests of a mutant's rows on it, in another view where the first shows nothing."""
    began = time.monotonic()
    rows = dict.fromkeys(mutant.rows, NOT_APPLICABLE)
    trial = functools.partial(_judged, mutant)
    with tempfile.TemporaryDirectory(prefix="seatrial-mutant-") as folder:
        for view in VIEWS:
            left = [row for row, outcome in rows.items() if outcome == NOT_APPLICABLE]
            if left:
                rows |= trial(left, Path(folder), view, SHORT_S)
            for row in [row for row, outcome in rows.items() if outcome == HUNG]:
                rows |= trial([row], Path(folder), view, LONG_S)
    rows = {row: KILLED if outcome == HUNG else outcome for row, outcome in rows.items()}
    return Trial(mutant, rows, time.monotonic() - began)


def _judged(
    mutant: Mutant, rows: list[str], folder: Path, view: str, timeout_s: int
) -> dict[str, str]:
    results = folder / f"{view}-{timeout_s}.jsonl"
    tests = {test.partition("::")[0] for row in rows for test in rows_with_tests()[row]["tests"]}
    command = [
        *(sys.executable, "-m", "pytest", "-q", "-p", "conformance.tests.mutants.plugin"),
        *("-p", "no:cacheprovider", *sorted(tests), "--results", str(results)),
        *("--runtime", str(_wrapper(mutant, folder)), "--view", view),
        *("--runtime-timeout", str(timeout_s)),
        *(word for row in rows for word in ("--requirement", row)),
        *(["--exitfirst"] if timeout_s == LONG_S else []),
    ]
    ended = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=TIMEOUT_S,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        verdicts = Results.read(results).verdicts
    except SeatrialError as error:
        if view != VIEWS[0]:
            return {}
        print((ended.stdout + ended.stderr)[-2000:], error)
        return dict.fromkeys(rows, BROKEN)
    return {row: outcome_of(row, verdicts) for row in rows}


def outcome_of(row: str, verdicts: Iterable[Verdict]) -> str:
    """Return the outcome of a row by the verdicts of its tests."""
    own = [verdict for verdict in verdicts if row in verdict.requirements]
    statuses = {verdict.status for verdict in own}
    if "fail" in statuses:
        kinds = {verdict.kind for verdict in own if verdict.status == "fail"}
        return HUNG if kinds == {HUNG} else KILLED
    if "error" in statuses or not statuses:
        return BROKEN
    if "note" in statuses and rows_with_tests()[row]["testable"] == "partly":
        return NOTED
    return NOT_APPLICABLE if statuses == {"skip"} else SURVIVED


def _wrapper(mutant: Mutant, folder: Path) -> Path:
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

"""``make mutants``: every mutant is tried by the tests of its rows, and has to be caught by all.

A mutant is *killed* when a test of each of its rows fails on it, *survives* when those of a row
pass, and is *not applicable* where the rows' tests are skipped on this host. Of a row of which the
spec leaves the verdict open, the tests make a note, which may be all that a mutant changes.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conformance.tests.mutants.catalogue import MUTANTS

from seatrial.conformance.errors import SeatrialError
from seatrial.conformance.results import Results
from seatrial.conformance.verdicts import BINDING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from conformance.tests.mutants.mutation import Mutant

    from seatrial.conformance.verdicts import Verdict

ROOT = Path(__file__).resolve().parents[3]
COMMAND = Path(__file__).parent / "command.py"
LAUNCHER = Path(sys.executable).parent / "seatrial-oci"
TIMEOUT_S = 600
#: A mutant that makes tests wait makes them wait for less; some ten times what a command takes.
RUNTIME_TIMEOUT_S = 5
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


@dataclass
class Row:
    """What became of one requirement of one mutant: killed, survived, not applicable, broken."""

    mutant: str
    requirement: str
    outcome: str
    seconds: float


def main() -> int:
    """Try the mutants; the exit status is 1 if one survived or a binding row has none."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="MUTANT", help="which to try (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the outcome as JSON")
    parser.add_argument("--list", action="store_true", help="list the mutants")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(MUTANTS):
        parser.error(f"there is no mutant {', '.join(sorted(unknown))}")
    chosen = [MUTANTS[name] for name in arguments.names or MUTANTS]
    if arguments.list:
        for each in chosen:
            print(f"{each.name}: {each.says}\n    {' '.join(each.rows)}")
        return 0
    rows = list(_try_all(chosen, arguments.jobs))
    missing = without_mutant() if not arguments.names else []
    _tell(rows, missing)
    if arguments.output:
        _write(arguments.output, rows, missing)
    return 1 if missing or any(row.outcome in {"survived", "broken"} for row in rows) else 0


@functools.cache
def tested_rows() -> dict[str, dict[str, Any]]:
    """Return the rows that have tests, by id."""
    command = [str(LAUNCHER.with_name("seatrial")), "requirements", "list", "--status", "tested"]
    found = subprocess.run(
        [*command, "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {row["id"]: row for row in json.loads(found.stdout)}


def without_mutant() -> list[str]:
    """Return the binding rows that have tests which can fail, and no mutant."""
    covered = {row for mutant in MUTANTS.values() for row in mutant.rows}
    return [
        name
        for name, row in tested_rows().items()
        if row["level"] in BINDING
        and row["testable"] == "yes"
        and not row.get("until")
        and name not in covered
    ]


def _try_all(mutants: list[Mutant], jobs: int) -> Iterable[Row]:
    """Yield the outcomes as they come, ``jobs`` mutants at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        trials = [pool.submit(_try, each) for each in mutants]
        for number, trial in enumerate(as_completed(trials), 1):
            rows = trial.result()
            _tell_one(f"[{number}/{len(mutants)}]", rows)
            yield from rows


def _tell_one(number: str, rows: list[Row]) -> None:
    counts = Counter(row.outcome for row in rows)
    told = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
    print(f"{number} {rows[0].mutant}: {told} ({rows[0].seconds:.0f} s)")
    for row in rows:
        if row.outcome in {"survived", "broken"}:
            print(f"    {row.outcome.upper()} {row.requirement}")
    sys.stdout.flush()


def _try(mutant: Mutant) -> list[Row]:
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="seatrial-mutant-") as folder:
        results = Path(folder) / "results.jsonl"
        command = [
            *(sys.executable, "-m", "pytest", "-q", "-p", "conformance.tests.mutants.plugin"),
            *("-p", "no:cacheprovider", *_files(mutant.rows), "--results", str(results)),
            *("--runtime", str(_wrapper(mutant, Path(folder)))),
            *("--runtime-timeout", str(RUNTIME_TIMEOUT_S)),
            *(word for row in mutant.rows for word in ("--requirement", row)),
        ]
        ended = subprocess.run(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=TIMEOUT_S,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        try:
            verdicts = Results.read(results).verdicts
        except SeatrialError as error:
            # What cannot run one container is caught by all.
            outcome = "killed" if ended.returncode == 3 else "broken"
            if outcome == "broken":
                print((ended.stdout + ended.stderr)[-2000:], error)
            seconds = time.monotonic() - began
            return [Row(mutant.name, row, outcome, seconds) for row in mutant.rows]
    seconds = time.monotonic() - began
    return [Row(mutant.name, row, _outcome(row, verdicts), seconds) for row in mutant.rows]


def _files(rows: Iterable[str]) -> list[str]:
    """Return the files that have the tests of rows: no others need be imported."""
    tests = {test for row in rows for test in tested_rows()[row]["tests"]}
    return sorted({test.partition("::")[0] for test in tests})


def _outcome(row: str, verdicts: Iterable[Verdict]) -> str:
    statuses = {verdict.status for verdict in verdicts if row in verdict.requirements}
    if "fail" in statuses:
        return "killed"
    if "error" in statuses or not statuses:
        return "broken"
    if "note" in statuses and tested_rows()[row]["testable"] == "partly":
        return "noted"
    return "not applicable" if statuses == {"skip"} else "survived"


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


def _tell(rows: list[Row], missing: list[str]) -> None:
    counts = Counter(row.outcome for row in rows)
    killed = {row.mutant for row in rows} - {
        row.mutant for row in rows if row.outcome in {"survived", "broken"}
    }
    print(f"{len({row.mutant for row in rows})} mutants, {len(killed)} caught by all their rows;")
    print("rows:", ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items())))
    for each in missing:
        print(f"NO MUTANT {each}")


def _write(path: Path, rows: list[Row], missing: list[str]) -> None:
    says = {name: mutant.says for name, mutant in MUTANTS.items()}
    document = {"mutants": says, "rows": [asdict(row) for row in rows], "without": missing}
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())

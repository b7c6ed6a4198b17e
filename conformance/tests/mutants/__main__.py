"""``make mutants``: every mutant is tried by the tests of its rows, and has to be caught by all.

A mutant is *killed* when a test of each of its rows fails on it, *survives* when those of a row
pass, and is *not applicable* where the rows' tests are skipped on this host.  Of a row of which the
spec leaves the verdict open, the tests make a note, which may be all that a mutant changes:
*noted*.  There is no smoke test: it is for the tests of the rows to notice.  Where all mutants are
tried, so is the runtime as it is, which has to pass the same tests.

A trial that is in the journal is not repeated unless something that it was made of has changed.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.tests.mutants.catalogue import MUTANTS
from conformance.tests.mutants.journal import Journal
from conformance.tests.mutants.reasons import WITHOUT_MUTANT
from conformance.tests.mutants.table import page
from conformance.tests.mutants.trial import (
    BROKEN,
    KILLED,
    ROOT,
    Trial,
    rows_with_tests,
    try_out,
    unchanged,
)

from seatrial.conformance.verdicts import BINDING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from conformance.tests.mutants.mutation import Mutant


def main(words: list[str] | None = None) -> int:
    """Try the mutants; the exit status is 1 if one survived or a binding row has none."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="MUTANT", help="which to try (default: all)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="N")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the outcome as JSON")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write it as Markdown")
    parser.add_argument("--list", action="store_true", help="list the mutants")
    parser.add_argument(
        "--journal",
        type=Path,
        default=ROOT / "build" / "mutants.jsonl",
        metavar="FILE",
        help="where trials are kept as they end (default: build/mutants.jsonl)",
    )
    parser.add_argument("--again", action="store_true", help="try also what is in the journal")
    arguments = parser.parse_args(words)
    if unknown := set(arguments.names) - set(MUTANTS):
        parser.error(f"there is no mutant {', '.join(sorted(unknown))}")
    chosen = [MUTANTS[name] for name in dict.fromkeys(arguments.names or MUTANTS)]
    if arguments.list:
        for each in chosen:
            print(f"{each.name}: {each.says}\n    {' '.join(each.rows)}")
        return 0
    if arguments.again:
        arguments.journal.unlink(missing_ok=True)
    journal = Journal(arguments.journal)
    controls = [] if arguments.names else unchanged(chosen)
    failing = [
        row
        for trial in _try_all(controls, arguments.jobs, journal)
        for row, outcome in trial.rows.items()
        if outcome in {KILLED, BROKEN}
    ]
    trials = list(_try_all(chosen, arguments.jobs, journal))
    missing = without_mutant() if not arguments.names else []
    _tell(trials, missing, failing)
    document = outcome(trials, missing, failing)
    if arguments.output:
        arguments.output.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if arguments.table:
        arguments.table.write_text(page(document), encoding="utf-8")
    return 1 if missing or failing or any(trial.bad for trial in trials) else 0


def without_mutant() -> list[str]:
    """Return what binding rows that have tests have neither a mutant nor a reason for none.

    And what reasons are none of such a row.
    """
    covered = {row for mutant in MUTANTS.values() for row in mutant.rows}
    tested = [name for name, row in rows_with_tests().items() if row["level"] in BINDING]
    idle = [
        start
        for start in WITHOUT_MUTANT
        if not any(row.startswith(start) for row in tested)
        or any(row.startswith(start) for row in covered)
    ]
    return [*(row for row in tested if row not in covered and not reason(row)), *idle]


def reason(row: str) -> str:
    """Return why a row has no mutant; empty if nothing is said."""
    return next((text for start, text in WITHOUT_MUTANT.items() if row.startswith(start)), "")


def _try_all(mutants: list[Mutant], jobs: int, journal: Journal) -> Iterator[Trial]:
    """Yield the trials as they end, ``jobs`` mutants at a time; first those of the journal."""
    began = time.monotonic()
    kept = [trial for trial in map(journal.find, mutants) if trial]
    if kept:
        print(f"{len(kept)} of {len(mutants)} are as the journal has them", flush=True)
    for trial in kept:
        _tell_bad(trial)
    yield from kept
    names = {trial.mutant.name for trial in kept}
    rest = [each for each in mutants if each.name not in names]
    with ThreadPoolExecutor(jobs) as pool:
        found = [pool.submit(try_out, each) for each in rest]
        try:
            for number, each in enumerate(as_completed(found), 1):
                trial = each.result()
                journal.add(trial)
                left_s = (time.monotonic() - began) / number * (len(rest) - number)
                told = _counted(trial.rows.values())
                print(
                    f"[{len(kept) + number}/{len(mutants)}, {left_s / 60:.0f} min left]"
                    f" {trial.mutant.name}: {told} ({trial.seconds:.0f} s)",
                    flush=True,
                )
                _tell_bad(trial)
                yield trial
        except BaseException:
            # Ctrl-C: what is being tried ends, the rest does not begin.
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _tell_bad(trial: Trial) -> None:
    if trial.mutant.name in MUTANTS:
        for row, bad in trial.bad.items():
            print(f"    {bad.upper()} {row} ({trial.mutant.name})", flush=True)


def _counted(outcomes: Iterable[str]) -> str:
    counts = Counter(outcomes)
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))


def _tell(trials: list[Trial], missing: list[str], failing: list[str]) -> None:
    caught = sum(not trial.bad for trial in trials)
    print(f"{len(trials)} mutants, {caught} caught by all their rows;")
    print("rows:", _counted(each for trial in trials for each in trial.rows.values()))
    for each in missing:
        print(f"NO MUTANT {each}")
    for each in failing:
        print(f"FAILS UNCHANGED {each}")


def outcome(trials: list[Trial], missing: list[str], failing: list[str]) -> dict[str, object]:
    """Return what is written (results/schema/mutants.json): the same for the same outcome."""
    by_name = {trial.mutant.name: trial for trial in trials}
    ordered = [by_name[name] for name in MUTANTS if name in by_name]
    return {
        "format": 2,
        "mutants": len(trials),
        "caught": sum(not trial.bad for trial in trials),
        "rows": dict(sorted(Counter(each for t in trials for each in t.rows.values()).items())),
        "not_applicable": dict(
            sorted({k: v for t in trials for k, v in t.evidence.items()}.items())
        ),
        "without_mutant": missing,
        "reasons": {row: reason(row) for row in rows_with_tests() if reason(row)},
        "fails_unchanged": sorted(failing),
        "trials": [
            {"mutant": trial.mutant.name, "says": trial.mutant.says, "rows": trial.rows}
            for trial in ordered
        ],
    }


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except KeyboardInterrupt:
        raise SystemExit("cut short; the same command goes on from here") from None

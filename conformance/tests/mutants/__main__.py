"""``make mutants``: every mutant is tried by the tests of its rows, and has to be caught by all.

A mutant is *killed* when a test of each of its rows fails on it, *survives* when those of a row
pass, and is *not applicable* where the rows' tests are skipped on this host.  Of a row of which the
spec leaves the verdict open, the tests make a note, which may be all that a mutant changes:
*noted*.  There is no smoke test: it is for the tests of the rows to notice.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING

from conformance.tests.mutants.catalogue import MUTANTS
from conformance.tests.mutants.trial import Trial, rows_with_tests, try_out

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
    parser.add_argument("--list", action="store_true", help="list the mutants")
    arguments = parser.parse_args(words)
    if unknown := set(arguments.names) - set(MUTANTS):
        parser.error(f"there is no mutant {', '.join(sorted(unknown))}")
    chosen = [MUTANTS[name] for name in dict.fromkeys(arguments.names or MUTANTS)]
    if arguments.list:
        for each in chosen:
            print(f"{each.name}: {each.says}\n    {' '.join(each.rows)}")
        return 0
    trials = list(_try_all(chosen, arguments.jobs))
    missing = without_mutant() if not arguments.names else []
    _tell(trials, missing)
    if arguments.output:
        document = json.dumps(outcome(trials, missing), indent=1)
        arguments.output.write_text(document + "\n", encoding="utf-8")
    return 1 if missing or any(trial.bad for trial in trials) else 0


def without_mutant() -> list[str]:
    """Return the binding rows that have tests which can fail, and no mutant."""
    covered = {row for mutant in MUTANTS.values() for row in mutant.rows}
    return [
        name
        for name, row in rows_with_tests().items()
        if row["level"] in BINDING
        and row["testable"] == "yes"
        and not row.get("until")
        and name not in covered
    ]


def _try_all(mutants: list[Mutant], jobs: int) -> Iterator[Trial]:
    """Yield the trials as they end, ``jobs`` mutants at a time."""
    with ThreadPoolExecutor(jobs) as pool:
        found = [pool.submit(try_out, each) for each in mutants]
        for number, each in enumerate(as_completed(found), 1):
            trial = each.result()
            told = _counted(trial.rows.values())
            mark = f"[{number}/{len(mutants)}]"
            print(f"{mark} {trial.mutant.name}: {told} ({trial.seconds:.0f} s)", flush=True)
            for row, bad in trial.bad.items():
                print(f"    {bad.upper()} {row}", flush=True)
            yield trial


def _counted(outcomes: Iterable[str]) -> str:
    counts = Counter(outcomes)
    return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))


def _tell(trials: list[Trial], missing: list[str]) -> None:
    caught = sum(not trial.bad for trial in trials)
    print(f"{len(trials)} mutants, {caught} caught by all their rows;")
    print("rows:", _counted(each for trial in trials for each in trial.rows.values()))
    for each in missing:
        print(f"NO MUTANT {each}")


def outcome(trials: list[Trial], missing: list[str]) -> dict[str, object]:
    """Return what is written (results/schema/mutants.json): the same for the same outcome."""
    by_name = {trial.mutant.name: trial for trial in trials}
    ordered = [by_name[name] for name in MUTANTS if name in by_name]
    return {
        "format": 1,
        "mutants": len(trials),
        "caught": sum(not trial.bad for trial in trials),
        "rows": dict(sorted(Counter(each for t in trials for each in t.rows.values()).items())),
        "without_mutant": missing,
        "trials": [
            {"mutant": trial.mutant.name, "says": trial.mutant.says, "rows": trial.rows}
            for trial in ordered
        ],
    }


if __name__ == "__main__":
    raise SystemExit(main())

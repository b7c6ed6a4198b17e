"""The driver: takes the turns of a run block by block, and keeps what was measured."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any

from seatrial.perf import (
    drain,
    environment,
    guard,
    publishing,
    pyperf_files,
    results_folder,
    samples,
    turns,
)
from seatrial.perf.contenders import MissingError
from seatrial.perf.errors import PerfError, UnfitError
from seatrial.perf.place import Place
from seatrial.perf.progress import Progress
from seatrial.perf.samples import Samples

if TYPE_CHECKING:
    from pathlib import Path

    from seatrial.perf.contenders import Contender
    from seatrial.perf.guard import Conformance
    from seatrial.perf.plan import Plan
    from seatrial.perf.pyperf_files import Block, Key
    from seatrial.perf.schedule import Turn

#: So many turns in a row may fail before a contender is given up in a case.
_MOST_FAILURES = 3
_DRAIN_S = 1.0
#: In so many blocks system calls are counted: they hardly vary, and these give an interval.
_COUNTED_BLOCKS = 6


class Run:
    """One run into a folder."""

    def __init__(self, plan: Plan, folder: Path, conformance: Conformance) -> None:
        """Prepare a run, or what is left of one that is in the folder already."""
        self.plan = plan
        self.folder = folder
        self.conformance = conformance
        self.attempt = 1
        self._done: set[tuple[int, str, str]] = set()
        self._failures: dict[tuple[str, str], int] = {}
        self._given_up: set[tuple[str, str]] = set()
        self._gaps: list[int] = []
        self._last_end = 0
        self.environment: dict[str, Any] = {}

    def begin(self) -> None:
        """Say what will be done, before anything is."""
        plan = self.plan
        self.environment = {
            "format": results_folder.FORMAT,
            **environment.describe(),
            "contenders": {each.name: each.as_dict() for each in plan.contenders},
            "not_comparable": {},
            "options": plan.options,
            "suites": {
                name: {"blocks": size.blocks, "samples": size.samples}
                for name, size in plan.sizes.items()
            },
            "seed": plan.seed,
            "notes": plan.notes,
            "load_before": environment.load(),
            "load_after": None,
            "started": environment.now(),
            "ended": None,
            "blocks": [],
            "pair": {},
            "complete": False,
            "publishable": False,
            "reasons": ["the run is not complete"],
        }
        self._write()

    def resume(self, before: dict[str, Any]) -> None:
        """Go on with a run: what is complete is not done again."""
        self.environment = before
        self.environment["complete"] = False
        counts: dict[tuple[int, str, str], dict[int, int]] = {}
        for line in samples.read(self.folder):
            self.attempt = max(self.attempt, line["attempt"] + 1)
            key = (
                line["block"],
                f"{line['suite']}/{line['case']}/{line['kind']}",
                line["contender"],
            )
            tries = counts.setdefault(key, {})
            tries[line["attempt"]] = tries.get(line["attempt"], 0) + 1
        for block in range(self.plan.blocks()):
            for turn in self.plan.block(block):
                tries = counts.get(turn.key, {})
                if tries and max(tries.values()) >= self._lines(turn):
                    self._done.add(turn.key)

    def _lines(self, turn: Turn) -> int:
        """Return how many lines a turn that was not cut short has."""
        if turn.case.kind in {"burst", "density"}:
            return 1
        counted = self._counts(turn)
        return self.plan.sizes[turn.case.suite].samples + 1 + counted

    def _counts(self, turn: Turn) -> bool:
        # Most calls of an engine are those of its daemon, which is not counted.
        if turn.case.kind in {"micro", "burst", "density"} or turn.contender.is_engine:
            return False
        return turn.block < _COUNTED_BLOCKS

    def measure(self) -> bool:
        """Take all turns; return whether all were taken.  Interrupted, it keeps what there is."""
        store = Samples(self.folder)
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            with Place(docker_host=self.plan.options["docker_host"]) as place:
                self.environment["cgroup_view"] = place.view
                self._guard(place)
                self._blocks(place, store)
                self.environment["complete"] = True
        except KeyboardInterrupt:
            self._note("the run was interrupted")
            return False
        except PerfError as error:
            self._note(str(error))
            with contextlib.suppress(PerfError):  # the first of two errors is the one to tell
                self.finish()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)
            store.close()
        return True

    def _note(self, text: str) -> None:
        if text not in self.environment["notes"]:
            self.environment["notes"].append(text)

    def _skip(self, contender: str, why: str, case: str = "") -> None:
        entry = {"contender": contender, "reason": why} | ({"case": case} if case else {})
        if entry not in self.plan.skipped:
            self.plan.skipped.append(entry)

    def _guard(self, place: Place) -> None:
        """Leave out who cannot run the plain bundle; mark who does not conform."""
        marks = self.environment["not_comparable"]
        for each in self.plan.contenders:
            if each.is_again or each.mode:
                continue
            names = {other.name for other in self.plan.contenders if other.is_of(each)}
            if wrong := self._try_out(place, each):
                self._skip(each.name, wrong)
                self._given_up |= {(name, "") for name in names}
            elif not self.conformance.knows(each) and not each.is_floor and not each.is_engine:
                self._note(f"{each.name}: no results of the conformance suite for this build")
            elif wrong := self.conformance.wrong(each):
                marks.update(dict.fromkeys(sorted(names), wrong))
        left = [each for each in self.plan.contenders if (each.name, "") not in self._given_up]
        if not left:
            reasons = "; ".join(f"{e['contender']}: {e['reason']}" for e in self.plan.skipped)
            raise UnfitError(f"nothing can be measured: {reasons}")

    def _try_out(self, place: Place, contender: Contender) -> str | None:
        """Return why a contender cannot be timed at all."""
        try:
            place.engines.prepare(contender)
        except MissingError as error:
            return str(error)
        wrong = guard.try_out(place, contender)
        return wrong and f"the plain bundle fails before anything is timed: {wrong}"

    def _is_given_up(self, turn: Turn) -> bool:
        name = turn.contender.name
        return not self._given_up.isdisjoint({(name, ""), (name, turn.case.key)})

    def _blocks(self, place: Place, store: Samples) -> None:
        due = [
            [turn for turn in self.plan.block(number) if turn.key not in self._done]
            for number in range(self.plan.blocks())
        ]
        progress = Progress(
            sys.stderr, [t for block in due for t in block if not self._is_given_up(t)]
        )
        level = drain.left()
        try:
            for block in due:
                if block:
                    self._block(place, store, progress, block, level)
        finally:
            progress.clear()

    def _block(
        self, place: Place, store: Samples, progress: Progress, block: list[Turn], level: int
    ) -> None:
        drained = drain.drain(level, most_s=_DRAIN_S)
        before = environment.Use.read(*place.pids())
        started = environment.now()
        for turn in block:
            if not self._is_given_up(turn):
                start = time.monotonic()
                self._turn(place, store, turn)
                progress.turn(turn, time.monotonic() - start)
        after = environment.Use.read(*place.pids())
        self.environment["blocks"].append(
            {
                "block": block[0].block,
                "attempt": self.attempt,
                "started": started,
                "drained_s": round(drained, 4),
                "others": round(after.others(before), 3),
                "stolen_s": round(after.stolen_s - before.stolen_s, 3),
                "mhz": environment.frequencies(),
            }
        )

    def _turn(self, place: Place, store: Samples, turn: Turn) -> None:
        failed = ""
        size = self.plan.sizes[turn.case.suite].samples
        about = {
            "block": turn.block,
            "position": turn.position,
            "attempt": self.attempt,
            "contender": turn.contender.name,
            "suite": turn.case.suite,
            "case": turn.case.name,
            "kind": turn.case.kind,
        }
        parts = turns.take(place, turn, size, count=self._counts(turn))
        for number, part in enumerate(parts):
            self._gap(part, number)
            for name, value in part.get("raw", {}).get("counters", {}).items():
                if value is None:
                    self._note(f"{name} cannot be counted on this machine")
            store.add({**about, "sample": number, "date": environment.now(), **part})
            failed = failed or str(part.get("error", ""))
        self._judge(turn, failed)

    def _gap(self, part: dict[str, Any], number: int) -> None:
        """Keep how long nothing was started between two samples of a turn."""
        steps = part.get("raw", {}).get("steps")
        if not steps:
            return
        if number:
            part["gap_ns"] = int(steps[0]["start"]) - self._last_end
            self._gaps.append(part["gap_ns"])
        self._last_end = int(steps[-1]["end"])

    def _judge(self, turn: Turn, failed: str) -> None:
        key = (turn.contender.name, turn.case.key)
        if not failed:
            self._failures[key] = 0
            return
        self._failures[key] = self._failures.get(key, 0) + 1
        if self._failures[key] >= _MOST_FAILURES:
            self._given_up.add(key)
            why = f"it failed in {_MOST_FAILURES} turns in a row and was given up: {failed}"
            self._skip(turn.contender.name, why, turn.case.key)

    def finish(self) -> dict[Key, list[Block]]:
        """Write all that can be said of what was measured, and return that."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # half a folder is of no use to anybody
        told = self.environment
        found, left_out = pyperf_files.blocks(samples.read(self.folder))
        told["ended"] = environment.now()
        told["load_after"] = environment.load()
        told["left_out"] = left_out
        told["pair"] = publishing.pair(found)
        told["gaps_ns"] = _spread(self._gaps)
        told["reasons"] = publishing.reasons(told, found)
        told["publishable"] = not told["reasons"]
        self._write()
        results_folder.write(self.folder, results_folder.SKIPPED, self.plan.skipped)
        pyperf_files.write(self.folder, found, told["contenders"], told)
        return found

    @property
    def lost(self) -> bool:
        """Whether contenders were given up while the run lasted."""
        return any(case for _, case in self._given_up)

    def _write(self) -> None:
        results_folder.write(self.folder, results_folder.ENVIRONMENT, self.environment)


def _spread(gaps: list[int]) -> dict[str, int]:
    """Return how the gaps between samples are spread; none: empty."""
    if not gaps:
        return {}
    return {"least": min(gaps), "median": int(median(gaps)), "most": max(gaps)}

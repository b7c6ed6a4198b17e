"""Lets every system call of every operation fail, and kills the runtime at each (``make faults``).

A life of a container is traced once, to list the system calls of the runtime's processes; then it
is lived again for each of them, which fails without having been done, or at which the command, the
process at work or all of the runtime's processes are killed.  After each there has to be an error
that names the operation, nothing may be left, a delete by force has to undo the rest, and the id
has to be usable again.  Where a call that fails does not matter, fault_reasons.py says why.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import errno
import os
import queue
import re
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "endurance")]

import fault_build  # noqa: E402 - found by the line above
import fault_cases  # noqa: E402
import fault_results  # noqa: E402
import fault_trials  # noqa: E402
import fault_workers  # noqa: E402
from fault_results import Journal, Outcome  # noqa: E402
from fault_trials import Point, Trial, Verdict  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

BUILD = fault_build.ROOT / "build" / "faults"
JOURNAL = fault_build.ROOT / "build" / "faults.journal"
#: By which cases the plans are kept, and by which Python is at work.
HALVES = {"kept": fault_cases.WARM, "python": fault_cases.COLD}
HIERARCHY = re.compile(r"/sys/fs/cgroup/[^/]*")
FOLDER = re.compile(r"seatrial-faults-\w*")
OWN = re.compile(r"seatrial-faults-\w*|[0-9a-f]{16}|[0-9]+|\S*\.(?:py|so)\b")
#: What is written there is no file of ours.
NOT_TORN = re.compile(r"/proc/|/sys/|/dev/|\w+:")
#: The same call of the same operation, time and again, is not tried more often.
MOST_ALIKE = 3


def show(text: str, *, end: str = "\n") -> None:
    """Print."""
    print(text, end=end, flush=True)  # noqa: T201 - a command's output


# --- What is tried


def trials_of(points: Iterable[Point]) -> Iterator[Trial]:
    """Yield the faults: at each call of each kind of operation, and at one of each operation.

    What a kind of operation calls is the same in every case, and so is not tried in each; but each
    operation is failed, and killed, at the first of its calls that changes something.
    """
    calls: set[tuple[Any, ...]] = set()
    operations: set[tuple[Any, ...]] = set()
    life: tuple[Any, ...] = ()
    counts = collections.Counter[tuple[Any, ...]]()
    for point in points:
        if (point.case, point.verb) != life:
            life = (point.case, point.verb)
            counts.clear()
        who = "command" if point.process == 0 else "other"
        # What is not in an operation is told apart by what it is done to.
        what = "" if point.kind else OWN.sub("*", HIERARCHY.sub("*", point.argument))
        # A run creates as create does.
        is_same = point.verb == "run" and (point.kind and point.stage < fault_trials.START)
        verb = "create" if is_same else point.verb
        place = (verb, point.program, who, point.stage, point.kind, point.name, what)
        counts[place, point.op, point.process] += 1
        call = (*place, min(counts[place, point.op, point.process], MOST_ALIKE))
        # An operation that is met in the course of another verb is the same.
        says = FOLDER.sub("*", point.says)
        operation = (point.program, point.kind, point.stage, says, point.changes)
        is_new = call not in calls or (point.kind and operation not in operations)
        calls.add(call)
        operations.add(operation)
        if is_new:
            yield from _faults(point)


def _faults(point: Point) -> Iterator[Trial]:
    if point.name != "umask":  # that cannot fail
        yield Trial(point, errno.EIO, "")
    if point.name in fault_trials.LIKELY:
        yield Trial(point, fault_trials.LIKELY[point.name], "")
    if point.changes:
        yield Trial(point, 0, "command")
        yield Trial(point, 0, "all")
        if point.name == "write" and not NOT_TORN.match(point.argument):
            yield Trial(point, 0, "torn")
        if point.process:
            yield Trial(point, 0, "self")


def sample(trials: list[Trial], count: int) -> list[Trial]:
    """Return so many of them, from all parts alike."""
    if not count or count >= len(trials):
        return trials
    return [trials[index * len(trials) // count] for index in range(count)]


class Run:
    """All trials, by several workers."""

    def __init__(self, names: dict[int, str], parallel: int) -> None:
        self.workers = [fault_workers.Worker(names) for _ in range(parallel)]
        self._lock = threading.Lock()

    def points(self, wanted: list[tuple[str, str]]) -> list[Point]:
        """Return the points of these lives, in their order."""
        answers = self._spread([{"list": each} for each in wanted])
        for (name, verb), answer in zip(wanted, answers, strict=True):
            if isinstance(answer, dict):
                raise SystemExit(f"{name}: {verb}: {answer['error']}")
        return [Point(*each) for answer in answers for each in answer]

    def attempt(self, journal: Journal) -> None:
        """Try all that the journal has no outcome of."""
        start = time.monotonic()
        before = len(journal.done)
        left = [each for each in range(len(journal.trials)) if each not in journal.done]

        def took(index: int, answer: Any) -> None:
            number = left[index]
            outcome = (
                Outcome(journal.trials[number], Verdict("failed", answer["error"]))
                if isinstance(answer, dict)
                else Outcome(Trial(Point(*answer[0][0]), *answer[0][1:]), Verdict(*answer[1]))
            )
            journal.add(number, outcome)
            if outcome.survives:
                show(f"!! {outcome.trial}\n   {outcome.survives}\n"
                     f"   {outcome.verdict.said.strip()}")  # fmt: skip
            done = len(journal.done) - before
            if done % 100 == 0 or done == len(left):
                spent = time.monotonic() - start
                show(f"== {len(journal.done)} of {len(journal.trials)}, {spent:.0f} s, "
                     f"about {spent / done * (len(left) - done):.0f} s left")  # fmt: skip

        trials = [journal.trials[each] for each in left]
        self._spread([{"trial": [each.point, each.errno, each.whom]} for each in trials], took)

    def _spread(self, questions: list[dict[str, Any]], took: Any = None) -> list[Any]:
        numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(questions)):
            numbers.put(number)
        answers: list[Any] = [None] * len(questions)

        def serve(worker: fault_workers.Worker) -> None:
            with contextlib.suppress(queue.Empty):
                while True:
                    number = numbers.get_nowait()
                    answers[number] = worker.ask(questions[number])
                    answer = answers[number]
                    # What is left of one must not be taken for the next one's.
                    if isinstance(answer, dict) or (took and Verdict(*answer[1]).survives):
                        worker.close()
                    if took is not None:
                        with self._lock:
                            took(number, answer)

        threads = [threading.Thread(target=serve, args=(each,)) for each in self.workers]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        return answers

    def close(self) -> None:
        """End the workers."""
        for each in self.workers:
            each.close()


def report(outcomes: list[Outcome], *, whole: bool) -> int:
    """Print what came of it; return 1 where something survived, or was never met for no reason."""
    for half in ("launcher", "Python"):
        if those := [each for each in outcomes if each.half == half]:
            show(f"== {half}")
            for line in fault_results.table(those):
                show(line)
    for (kind, name, why), count in fault_results.reasons(outcomes).items():
        show(f"harmless: {why} ({count} times, {name} in {kind})")
    never = fault_results.never_met(outcomes)
    for name, why in never.items() if whole else ():
        show(f"never met: {name}{': ' if why else ''}{why}")
    show(f"== {fault_results.summary(outcomes)}")
    survivors = any(each.survives for each in outcomes)
    return int(survivors or (whole and never.keys() != fault_cases.NOT_HERE.keys()))


def main(arguments: Sequence[str] | None = None) -> int:
    """List the calls, try each, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--parallel", type=int, default=len(os.sched_getaffinity(0)), metavar="N")
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="N of the trials only")
    parser.add_argument("--half", choices=HALVES, help="only what is done from kept plans, or not")
    parser.add_argument("--case", action="append", help="only these cases")
    parser.add_argument("--verb", action="append", help="only these verbs")
    parser.add_argument("--call", action="append", help="only system calls of these names")
    parser.add_argument("--list", action="store_true", help="list the calls, and try nothing")
    parser.add_argument("--journal", type=Path, default=JOURNAL, metavar="FILE",
                        help="where it is noted how far it has come")  # fmt: skip
    parser.add_argument("--again", action="store_true", help="do not go on from the journal")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="publish the results there")
    wanted = parser.parse_args(arguments)
    if wanted.worker:
        return fault_workers.work(BUILD / "bin", wanted.worker)
    fault_build.build(BUILD)
    lives = [
        (case.name, verb)
        for case in HALVES.get(wanted.half, fault_cases.CASES)
        for verb in case.verbs
        if (not wanted.case or case.name in wanted.case)
        and (not wanted.verb or verb in wanted.verb)
    ]
    with contextlib.ExitStack() as stack:
        run = Run(fault_build.call_names(), wanted.parallel)
        stack.callback(run.close)
        if wanted.list:
            for each in run.points(lives):
                show("\t".join(map(str, each)))
            return 0
        journal = Journal(wanted.journal)
        options = {"lives": [list(each) for each in lives], "sample": wanted.sample,
                   "calls": wanted.call}  # fmt: skip
        if wanted.again or not journal.resume(options):
            points = run.points(lives)
            trials = [each for each in trials_of(points)
                      if not wanted.call or each.point.name in wanted.call]  # fmt: skip
            trials = sample(trials, wanted.sample)
            show(f"== {len(points)} calls in {len(lives)} lives, {len(trials)} faults")
            journal.begin(options, trials)
        else:
            show(f"== going on: {len(journal.done)} of {len(journal.trials)} faults are done")
        run.attempt(journal)
    outcomes = [journal.done[number] for number in sorted(journal.done)]
    if wanted.output:
        fault_results.publish(outcomes, len(journal.trials), wanted.output)
    return report(outcomes, whole=len(lives) == sum(len(each.verbs) for each in fault_cases.CASES)
                  and not (wanted.sample or wanted.call))  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())

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
import json
import os
import queue
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "endurance")]

import fault_build  # noqa: E402 - found by the line above
import fault_cases  # noqa: E402
import fault_places  # noqa: E402
import fault_trials  # noqa: E402
from fault_trials import Point, Trial, Verdict  # noqa: E402

from seatrial.oci.operations import Kind  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

BUILD = fault_build.ROOT / "build" / "faults"
#: What is not there on every machine: systemd, resctrl, security modules.
RARE = {"ATTACH_TASK", "ATTRIBUTE", "SYSTEMD"}
MEMBER = "none of them"
HIERARCHY, OWN = re.compile(r"/sys/fs/cgroup/[^/]*"), re.compile(r"[0-9]+|seatrial-faults-\w*")
#: The same call of the same operation, time and again, is not tried more often.
MOST_ALIKE = 3


def show(text: str, *, end: str = "\n") -> None:
    """Print."""
    print(text, end=end, flush=True)  # noqa: T201 - a command's output


# --- A worker: a process in namespaces of its own that does as it is told


def work(folder: Path) -> int:
    """Be a worker: a line of JSON for each that is read."""
    names = {int(number): name for number, name in json.loads(sys.stdin.readline()).items()}
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    place = fault_places.Place(folder, BUILD / "bin")
    place.prepare()
    cases = {each.name: each for each in fault_cases.CASES}
    try:
        for line in sys.stdin:
            wanted = json.loads(line)
            answer: Any
            try:
                if "trial" in wanted:
                    point, *rest = wanted["trial"]
                    trial = Trial(Point(*point), *rest)
                    answer = fault_trials.attempt(place, cases[trial.point.case], trial)
                else:
                    name, verb = wanted["list"]
                    answer = fault_trials.points(place, cases[name], verb, names)
            except (RuntimeError, OSError, ValueError) as error:
                answer = {"error": f"{type(error).__name__}: {error}"}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()
    finally:
        place.close()
    return 0


class Worker:
    """One such process, as it is seen from outside."""

    def __init__(self, names: dict[int, str]) -> None:
        self._names = names
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[str] | None = None

    def ask(self, question: dict[str, Any]) -> Any:
        """Return the answer."""
        if self._process is None:
            self._start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        return json.loads(line) if line else {"error": "the worker has died"}

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="seatrial-faults-")
        command = [*fault_places.NAMESPACES, sys.executable, __file__, "--worker"]
        self._process = subprocess.Popen(
            [*command, self._folder.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(self._names) + "\n")

    def close(self) -> None:
        """End it, and what it may have left."""
        process, folder = self._process, self._folder
        self._process = self._folder = None
        if process is None or folder is None:
            return
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()
        name = Path(folder.name).name
        for hierarchy in Path("/sys/fs/cgroup").iterdir():
            for where, _, _ in os.walk(hierarchy / name, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(where)
        with contextlib.suppress(OSError):
            folder.cleanup()


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
        place = (verb, who, point.stage, point.kind, point.name, what)
        counts[place, point.op, point.process] += 1
        call = (*place, min(counts[place, point.op, point.process], MOST_ALIKE))
        # An operation that is met in the course of another verb is the same.
        operation = (point.kind, point.stage, point.says, point.changes)
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
        if point.process:
            yield Trial(point, 0, "self")


def sample(trials: list[Trial], count: int) -> list[Trial]:
    """Return so many of them, from all parts alike."""
    if not count or count >= len(trials):
        return trials
    return [trials[index * len(trials) // count] for index in range(count)]


class Run:
    """All trials, by several workers."""

    def __init__(self, names: dict[int, str], parallel: int, journal: TextIO | None) -> None:
        self.workers = [Worker(names) for _ in range(parallel)]
        self.journal = journal
        self.verdicts: list[tuple[Trial, Verdict]] = []
        self._lock = threading.Lock()
        self._start = time.monotonic()

    def points(self, wanted: list[tuple[str, str]]) -> list[Point]:
        """Return the points of these lives, in their order."""
        answers = self._spread([{"list": each} for each in wanted])
        for (name, verb), answer in zip(wanted, answers, strict=True):
            if isinstance(answer, dict):
                raise SystemExit(f"{name}: {verb}: {answer['error']}")
        return [Point(*each) for answer in answers for each in answer]

    def attempt(self, trials: list[Trial]) -> None:
        """Try them."""
        self._start = time.monotonic()
        total = len(trials)

        def took(index: int, answer: Any) -> None:
            trial = trials[index]
            verdict = (
                Verdict("failed", answer["error"]) if isinstance(answer, dict) else Verdict(*answer)
            )
            self.verdicts.append((trial, verdict))
            if verdict.survives:
                show(f"!! {trial}\n   {verdict.survives}\n   {verdict.said.strip()}")
            if self.journal is not None:
                line = {**trial.point._asdict(), "errno": trial.errno, "whom": trial.whom,
                        **verdict._asdict()}  # fmt: skip
                self.journal.write(json.dumps(line) + "\n")
                self.journal.flush()
            done = len(self.verdicts)
            if done % 100 == 0 or done == total:
                spent = time.monotonic() - self._start
                left = spent / done * (total - done)
                show(f"== {done} of {total}, {spent:.0f} s, about {left:.0f} s left")

        self._spread([{"trial": [each.point, each.errno, each.whom]} for each in trials], took)

    def _spread(self, questions: list[dict[str, Any]], took: Any = None) -> list[Any]:
        numbers: queue.SimpleQueue[int] = queue.SimpleQueue()
        for number in range(len(questions)):
            numbers.put(number)
        answers: list[Any] = [None] * len(questions)

        def serve(worker: Worker) -> None:
            with contextlib.suppress(queue.Empty):
                while True:
                    number = numbers.get_nowait()
                    answers[number] = worker.ask(questions[number])
                    answer = answers[number]
                    # What is left of one must not be taken for the next one's.
                    if isinstance(answer, dict) or (took and answer[1]):
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


# --- The report


def table(verdicts: list[tuple[Trial, Verdict]]) -> list[str]:
    """Return a line for each kind of operation."""
    rows: dict[str, collections.Counter[str]] = {}
    calls: dict[str, set[tuple[Any, ...]]] = collections.defaultdict(set)
    for trial, verdict in verdicts:
        point = trial.point
        name = Kind(point.kind).name if point.kind else MEMBER
        row = rows.setdefault(name, collections.Counter())
        calls[name].add((point.case, point.verb, point.process, point.call))
        row["killed" if trial.whom else "failed"] += 1
        row[verdict.outcome.partition(":")[0]] += 1
        row["survivors"] += bool(verdict.survives)
        row["as if killed"] += bool(trial.whom) and verdict.outcome == "killed"
    lines = [f"{'operation':<20} calls failed killed  error harmless undone  other survivors"]
    for name, row in sorted(rows.items(), key=lambda each: (each[0] == MEMBER, each[0])):
        other = row["not reached"] + row["hung"]
        lines.append(
            f"{name:<20} {len(calls[name]):5} {row['failed']:6} {row['killed']:6} {row['named']:6} "
            f"{row['harmless']:8} {row['as if killed']:6} {other:6} {row['survivors']:9}"
        )
    return lines


def report(verdicts: list[tuple[Trial, Verdict]], *, whole: bool) -> int:
    """Print what came of it; return 1 where something survived."""
    for line in table(verdicts):
        show(line)
    reasons = collections.Counter(
        (
            Kind(trial.point.kind).name if trial.point.kind else MEMBER,
            trial.point.name,
            verdict.outcome,
        )
        for trial, verdict in verdicts
        if verdict.outcome.startswith("harmless") and not verdict.survives
    )
    for (kind, name, outcome), count in sorted(reasons.items()):
        show(f"{outcome} ({count} times, {name} in {kind})")
    touched = {Kind(trial.point.kind).name for trial, _ in verdicts if trial.point.kind}
    never = {each.name for each in Kind} - touched
    survivors = [each for each in verdicts if each[1].survives]
    failed = sum(not trial.whom for trial, _ in verdicts)
    show(
        f"== {len(touched)} of {len(Kind)} kinds of operations, {failed} calls failed, "
        f"{len(verdicts) - failed} kills, {len(survivors)} survivors"
    )
    show(f"== never met here: {', '.join(sorted(never)) or 'none'}")
    return int(bool(survivors) or (whole and bool(never - RARE)))


def main(arguments: Sequence[str] | None = None) -> int:
    """List the calls, try each, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--parallel", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--sample", type=int, default=0, metavar="N", help="N of the trials only")
    parser.add_argument("--case", action="append", help="only these cases")
    parser.add_argument("--verb", action="append", help="only these verbs")
    parser.add_argument("--list", action="store_true", help="list the calls, and try nothing")
    parser.add_argument("--json", metavar="FILE", help="write a line of JSON for each trial")
    wanted = parser.parse_args(arguments)
    if wanted.worker:
        return work(Path(wanted.worker))
    fault_build.build(BUILD)
    lives = [
        (case.name, verb)
        for case in fault_cases.CASES
        for verb in case.verbs
        if (not wanted.case or case.name in wanted.case)
        and (not wanted.verb or verb in wanted.verb)
    ]
    with contextlib.ExitStack() as stack:
        journal = None
        if wanted.json:
            journal = stack.enter_context(open(wanted.json, "w", encoding="utf-8"))
        run = Run(fault_build.call_names(), wanted.parallel, journal)
        stack.callback(run.close)
        points = run.points(lives)
        trials = list(trials_of(points))
        show(f"== {len(points)} calls in {len(lives)} lives, {len(trials)} faults")
        if wanted.list:
            for each in points:
                how = "m" if each.changes else "r"
                show(
                    f"{each.case}\t{each.verb}\t{each.process}.{each.call}\t{how}\t{each.name}\t"
                    f"{each.argument}\t{each.kind}\t{each.says}"
                )
            return 0
        run.attempt(sample(trials, wanted.sample))
    return report(run.verdicts, whole=not (wanted.sample or wanted.case or wanted.verb))


if __name__ == "__main__":
    sys.exit(main())

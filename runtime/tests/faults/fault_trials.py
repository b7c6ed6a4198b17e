"""One fault: a life of a container up to it, what came of it, and whether all could be undone."""

from __future__ import annotations

import errno
import json
import os
import re
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from fault_places import HUNG, ID, PATIENCE_S, wait_for_the_end

if TYPE_CHECKING:
    from fault_cases import Case
    from fault_places import Done, Place

#: The stages of the container process before exec, and what is no operation.
START, NONE = 6, 9
EXIT = 7
#: What of the kernel's own may go wrong, by call; EIO may anywhere.
LIKELY = {
    **dict.fromkeys(("write", "openat", "mkdir", "mkdirat", "mknodat", "symlinkat", "rename",
                     "bind", "setxattr", "sendmsg", "sendto"), errno.ENOSPC),
    **dict.fromkeys(("clone3", "socketpair", "socket", "pipe2", "memfd_create", "mmap", "fsopen",
                     "fsmount", "open_tree", "unshare", "setns"), errno.ENOMEM),
}  # fmt: skip
KILLED = -9
#: What the tracer tells of a call.
LINE = ("process", "call", "program", "how", "kind", "stage", "op", "number", "argument", "says")
#: What is another in each worker and life.
OWN = re.compile(r"seatrial-faults-\w*|[0-9]+")


class Point(NamedTuple):
    """A system call of a life, and the operation of the plan that it belongs to (kind 0: none).

    ``program``: who is at work, the launcher or Python, or a process that one of them made.
    """

    case: str
    verb: str
    process: int
    call: int
    program: str
    changes: bool
    kind: int
    stage: int
    op: int
    name: str
    argument: str
    says: str


class Trial(NamedTuple):
    """A fault at a point: an errno, or who is killed."""

    point: Point
    errno: int
    whom: str

    @property
    def words(self) -> tuple[str, ...]:
        """What the tracer is told."""
        at = ("--at", f"{self.point.process}.{self.point.call}")
        return (*at, "kill", self.whom) if self.whom else (*at, "fail", str(self.errno))

    def __str__(self) -> str:
        """Return what it is, for people."""
        point = self.point
        what = f"kill {self.whom}" if self.whom else errno.errorcode.get(self.errno, "?")
        return (
            f"{point.case}: {point.verb}: {what} at {point.process}.{point.call} {point.name}"
            f"({point.argument}) in {point.says or 'none of the operations'}"
        )


class Verdict(NamedTuple):
    """What came of a trial: ``survives`` is empty, or says what is wrong.

    That a call failed and all went well is "harmless" here; whether there is a reason for that says
    fault_reasons.py.
    """

    outcome: str
    survives: str
    said: str = ""


class Life:
    """What precedes a verb, and what has to be true when it has succeeded."""

    def __init__(self, place: Place, case: Case, verb: str) -> None:
        self.place, self.case, self.verb = place, case, verb
        waits = verb in {"exec", "kill", "start", "state", "delete --force"}
        place.renew(case, ("wait",) if waits else ())
        if case.plans == "kept":
            self._must("create")
            self._must("delete --force")
            place.renew(case, place.arguments)
        else:
            place.forget_plans()
        self.before = place.inventory()
        self.rootfs = place.rootfs()
        self.attach: tuple[str, ...] = ()

    def prepare(self) -> None:
        """Live up to the verb."""
        if self.verb in {"create", "run"}:
            return
        self._must("create")
        if self.verb == "start":
            self.attach = ("--attach", self.place.pid_file.read_text("ascii"))
            return
        self._must("start")
        if self.verb == "delete":
            self.stops()

    def act(self, *words: str) -> Done:
        """Do the verb under the tracer."""
        words_of = self.place.words(self.case, self.verb)
        keeps = self.case.plans != "compiled"
        return self.place.call(self.case, *words_of, inject=(*self.attach, *words), keeps=keeps)

    def succeeded(self, done: Done) -> bool:
        """Whether the exit status is that of success."""
        return done.status == (EXIT if self.verb in {"run", "exec"} else 0)

    def state(self) -> dict[str, Any]:
        """Return the container's state; empty where there is none."""
        text = self.place.call(self.case, "state", ID).printed
        return json.loads(text) if text else {}

    def status(self) -> str:
        """Return the status of the container, or nothing."""
        return str(self.state().get("status", ""))

    def stops(self) -> bool:
        """Wait until the container's process has ended; whether it is stopped then."""
        if pid := self.state().get("pid"):
            wait_for_the_end(pid, time.monotonic() + PATIENCE_S)
        return self.status() == "stopped"

    def check_success(self, done: Done) -> str:  # noqa: PLR0911 - a check after the other
        """Return what is not as it should be after a verb that says that it succeeded."""
        if self.verb == "create":
            if self.status() != "created":
                return f"create succeeded, and the container is {self.status() or 'none'}"
            started = self.place.call(self.case, "start", ID)
            if started.status:
                return f"create succeeded, and start did not: {started.said}"
            if not self.stops():
                return "create and start succeeded, and the program does not end"
        if self.verb == "start" and self.status() != "running":
            return f"start succeeded, and the container is {self.status() or 'none'}"
        if self.verb == "kill" and not self.stops():
            return f"kill succeeded, and the container is {self.status() or 'none'}"
        if self.verb == "state" and '"status": "running"' not in done.printed:
            return f"state succeeded, and says {done.printed}"
        if self.verb in {"run", "delete", "delete --force"}:
            found = self.place.left(self.before)
            return f"{self.verb} succeeded: {'; '.join(found)}" if found else ""
        return ""

    def check_failure(self, trial: Trial, done: Done) -> str:  # noqa: PLR0911 - the same
        """Return what is not as it should be after an error."""
        lines = [
            each for each in done.said.splitlines() if not each.startswith("seatrial-oci: warning:")
        ]
        if "Traceback" in done.said:
            return "a traceback"
        if len(lines) != 1 or not lines[0].startswith("seatrial-oci: "):
            return "not an error in one sentence"
        says, said = (OWN.sub("*", each) for each in (trial.point.says, lines[0]))
        if trial.point.kind and not trial.whom and says not in said:
            return "the error does not name the operation"
        if not trial.point.kind and not re.search(r": |container", lines[0][14:]):
            return "the error does not say what failed"
        # A run whose delete fails says so, and a delete by force tries again.
        if self.verb == "create" or (self.verb == "run" and not os.listdir(self.place.root)):
            if found := self.place.left(self.before):
                return f"{self.verb} failed: {'; '.join(found)}"
            found = sorted(self.place.rootfs() - self.rootfs)
            if found and self.verb == "create":
                return f"create failed, and left in the root: {found}"
        if self.verb in {"exec", "kill", "state"} and not self.status():
            return f"{self.verb} failed, and the container is none any more"
        return ""

    def undo(self) -> str:
        """Return what is not as it should be once the container was deleted by force."""
        deleted = self.place.call(self.case, "delete", "--force", ID)
        if deleted.status:
            return f"delete --force: exit status {deleted.status}: {deleted.said}"
        if found := self.place.left(self.before, ("network devices",)):
            return f"after delete --force: {'; '.join(found)}"
        return ""

    def again(self) -> str:
        """Return why the id cannot be used again."""
        self.place.renew(self.case, self.place.arguments)
        before = self.place.inventory()
        for words in (self.place.words(self.case, "create"), ["delete", "--force", ID]):
            done = self.place.call(self.case, *words)
            if done.status:
                return f"again {words[0]}: exit status {done.status}: {done.said}"
        found = self.place.left(before, ("network devices",)) + self.place.torn_plans()
        return f"again: {'; '.join(found)}" if found else ""

    def _must(self, verb: str) -> None:
        done = self.place.call(self.case, *self.place.words(self.case, verb))
        if done.status:
            raise RuntimeError(f"{self.case.name}: {verb} before {self.verb}: {done.said}")


def points(place: Place, case: Case, verb: str, names: dict[int, str]) -> list[Point]:
    """Return the system calls of a life, in the order in which they came."""
    life = Life(place, case, verb)
    life.prepare()
    done = life.act()
    if not life.succeeded(done):
        raise RuntimeError(f"{case.name}: {verb} without a fault: {done.status}: {done.said}")
    wrong = life.check_success(done) or life.undo() or life.again()
    if wrong:
        raise RuntimeError(f"{case.name}: {verb} without a fault: {wrong}")
    found = []
    for line in done.report.splitlines():
        words = line.split("\t")
        if len(words) != len(LINE):
            continue
        process, call, program, how, kind, stage, op, number, argument, says = words
        if case.plans == "kept" and program == "python":
            raise RuntimeError(f"{case.name}: {verb}: the launcher has started Python")
        found.append(
            Point(case.name, verb, int(process), int(call), program, how == "m", int(kind),
                  int(stage), int(op), names.get(int(number), number), argument, says)
        )  # fmt: skip
    return found


def attempt(place: Place, case: Case, trial: Trial, names: dict[int, str]) -> tuple[Trial, Verdict]:
    """Let a fault happen; return where it was met, and what came of it."""
    life = Life(place, case, trial.point.verb)
    life.prepare()
    done = life.act(*trial.words)
    if done.report.startswith("*"):
        # How often something is asked may differ from life to life: what counts is where it was.
        trial = trial._replace(point=_reached(trial.point, done.report, names))
    outcome, wrong = judge(life, trial, done)
    wrong = wrong or life.undo() or life.again()
    return trial, Verdict(outcome, wrong, f"{done.status}: {done.said[:1000]}")


def _reached(point: Point, report: str, names: dict[int, str]) -> Point:
    words = report.splitlines()[0].split("\t")
    if len(words) != len(LINE):
        return point
    met = dict(zip(LINE, words, strict=True))
    return point._replace(
        program=met["program"], kind=int(met["kind"]), stage=int(met["stage"]), op=int(met["op"]),
        name=names.get(int(met["number"]), met["number"]), argument=met["argument"],
        changes=met["how"] == "m", says=met["says"],
    )  # fmt: skip


def judge(  # noqa: PLR0911 - an outcome after the other
    life: Life, trial: Trial, done: Done
) -> tuple[str, str]:
    """Return the outcome, and what is wrong about it."""
    point = trial.point
    if done.status == HUNG:
        return "hung", "it hangs"
    if not done.report.startswith("*"):
        return "not reached", "" if life.succeeded(done) else f"and fails: {done.status}"
    if trial.whom in {"command", "all", "torn"} or (trial.whom == "self" and point.process == 0):
        return "killed", "" if done.status == KILLED else f"it lives on: {done.status}"
    if (
        point.process
        and point.stage == NONE
        and life.verb == "create"
        and life.status() == "stopped"
    ):
        return "killed", ""  # as if it had been just after
    if trial.whom and point.stage in {START, NONE} and life.verb in {"start", "run", "exec"}:
        return "killed", ""  # as if its program had been
    if life.succeeded(done):
        outcome = "handed over" if "python\n" in done.report else "harmless"
        return outcome, life.check_success(done)
    return "named", life.check_failure(trial, done)

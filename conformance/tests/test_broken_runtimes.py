"""Runtimes that are broken on purpose: the suite catches each, by the right row, and cleans up."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from seatrial.conformance.data import data_directory
from seatrial.conformance.results import Results

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Iterator

    from conformance.tests.conftest import NewTrial, Ran, Trial

    from seatrial.conformance.adapters import Adapter
    from seatrial.conformance.cgroups import View

BROKEN = Path(__file__).parent / "broken"
SUITE = BROKEN / "trials.py"

CREATED, BEFORE = "runtime.state.status-created", "runtime.lifecycle.program-not-run-by-create"
SIGNAL, KILL = "runtime.kill.delivers-signal", "runtime.kill.not-alive-errors"
HOSTNAME, REFUSED = "config.hostname.applied", "runtime.create.unappliable-property-errors"
AFTER_DELETE = "runtime.delete.removes-created-resources"
AFTER_ERROR = "runtime.errors.environment-restored"

#: By runtime, all rows that are seen to fail, and how.
CAUGHT = {
    "honest": set[tuple[str, str]](),
    "garbage-version": set(),
    "keeps-a-cache": set(),
    "lies-in-state": {(CREATED, "wrong")},
    "garbage-state": {(CREATED, "malformed")},
    "dies-by-signal": {(CREATED, "crashed")},
    "swallows-errors": {(KILL, "wrong"), (REFUSED, "malformed")},
    "starts-at-create": {(CREATED, "wrong"), (BEFORE, "wrong")},
    "ignores-hostname": {(HOSTNAME, "ignored")},
    "forgets-delete": {(AFTER_DELETE, "leaked")},
    "leaks-mount": {(AFTER_DELETE, "leaked")},
    "leaks-cgroup": {(AFTER_DELETE, "leaked")},
    "leaks-state": {(AFTER_DELETE, "leaked")},
    "leaks-on-error": {(AFTER_ERROR, "leaked")},
    "leaks-process": {(AFTER_DELETE, "leaked")},
    "holds-streams": {(AFTER_DELETE, "leaked"), (AFTER_ERROR, "leaked")},
    "kills-nothing": {(BEFORE, "hung"), (SIGNAL, "hung"), (KILL, "wrong")},
    "endless-state": {(CREATED, "hung")},
    "hangs-in-kill": {(SIGNAL, "hung")},
}
#: Those that wait for a time to pass have runs of their own, of the tests that this selects.
SLOW = {
    "leaks-process": "not hostname",
    "holds-streams": "not hostname",
    "kills-nothing": "not hostname",
    "endless-state": "is_created",
    "hangs-in-kill": "is_delivered",
}

#: Those that cannot run one container, and what is said of them.
UNFIT = {
    "always-succeeds": "cannot run the minimal container, so it is not judged: standard output is"
    " not JSON",
    "always-fails": "cannot run the minimal container, so it is not judged: <",
    "writes-no-pid": "cannot run the minimal container, so it is not judged: create succeeded, and"
    " the container process has no pid: its pid file says 'none",
    "lies-in-pid-file": "the container process neither ended nor printed what was waited for",
    "hangs-in-version": "no answer within 3 s: ",
    "hangs-in-create": "no answer within 3 s: ",
    "hangs-in-start": "no answer within 3 s: ",
}


#: What the chapters of the suite itself catch at least, of rows that are judged in no time.
ROWS = (KILL, CREATED, BEFORE)
CAUGHT_BY_CHAPTERS = {
    "honest": set[str](),
    "swallows-errors": {KILL},
    "dies-by-signal": {CREATED},
    "starts-at-create": {CREATED, BEFORE},
    "leaks-mount": {AFTER_DELETE},
}


@dataclass
class Run:
    """A run of the small suite that was started, and is waited for when it is asked about."""

    trial: Trial
    process: subprocess.Popen[str]
    ran: list[Ran] = field(default_factory=list)

    def result(self) -> Ran:
        if not self.ran:
            self.ran.append(self.trial.finish(self.process))
        return self.ran[0]

    def give_up(self) -> None:
        if not self.ran:
            self.process.kill()
            self.process.communicate()

    def results(self) -> Results:
        self.result()
        return Results.read(self.trial.folder / "results.jsonl")


def start(trial: Trial, names: Iterable[str], *options: str, suite: Path = SUITE) -> Run:
    runtimes = [word for name in names for word in ("--runtime", str(BROKEN / name))]
    return Run(trial, trial.start(suite, *runtimes, *options, "--results", "results.jsonl"))


@pytest.fixture(scope="module")
def judged(good: Adapter, view: View, new_trial: NewTrial) -> Iterator[dict[str, Run]]:
    """A run for each runtime that can be judged; they go on side by side."""
    del good
    quick = [name for name in CAUGHT if name not in SLOW]
    together = start(new_trial(), quick, "--view", view, "--runtime-timeout", "30")
    runs = dict.fromkeys(quick, together)
    for name, selected in SLOW.items():
        options = ("--view", view, "--runtime-timeout", "3", "-k", selected)
        runs[name] = start(new_trial(), [name], *options)
    yield runs
    for run in runs.values():
        run.give_up()


@pytest.fixture(scope="module")
def refused(good: Adapter, view: View, new_trial: NewTrial) -> Iterator[dict[str, Run]]:
    """A run for each runtime that cannot be judged; they go on side by side."""
    del good
    runs = {
        name: start(new_trial(), [name], "--view", view, "--runtime-timeout", "3") for name in UNFIT
    }
    yield runs
    for run in runs.values():
        run.give_up()


def test_every_broken_runtime_is_tried() -> None:
    scripts = {path.name for path in BROKEN.iterdir() if not path.suffix and path.is_file()}
    assert scripts == {*CAUGHT, *UNFIT}


@pytest.mark.parametrize("name", CAUGHT)
def test_the_suite_catches_it(judged: dict[str, Run], name: str) -> None:
    results = judged[name].results()
    own = [verdict for verdict in results.verdicts if verdict.runtime == name]
    seen = {(verdict.requirements[0], verdict.kind) for verdict in own if verdict.status == "fail"}
    assert seen == CAUGHT[name]
    assert {verdict.status for verdict in own} <= {"pass", "fail"}
    assert len(own) >= (1 if name in SLOW else 6)


def test_the_chapters_of_the_suite_catch_them(good: Adapter, view: View, trial: Trial) -> None:
    del good
    options = ["--view", view, "--runtime-timeout", "60"]
    options += [word for row in ROWS for word in ("--requirement", row)]
    chapter = data_directory("suite") / "runtime"
    run = start(trial, CAUGHT_BY_CHAPTERS, *options, suite=chapter)
    seen: dict[str, set[str]] = {name: set() for name in CAUGHT_BY_CHAPTERS}
    for verdict in run.results().verdicts:
        assert verdict.status != "error"
        if verdict.status == "fail":
            seen[verdict.runtime].update({*ROWS, AFTER_DELETE}.intersection(verdict.requirements))
    assert not seen["honest"]
    assert {name: seen[name] & rows for name, rows in CAUGHT_BY_CHAPTERS.items()} == (
        CAUGHT_BY_CHAPTERS
    )


def test_a_run_with_failures_ends_with_1(judged: dict[str, Run]) -> None:
    ran = judged["honest"].result()
    assert (ran.status, ran.err) == (1, "")
    assert judged["honest"].results().footer["exit_status"] == 1


def test_a_version_that_is_garbage_is_unknown(judged: dict[str, Run]) -> None:
    runtimes = judged["honest"].results().header["runtimes"]
    versions = {each["name"]: each["version"] for each in runtimes}
    assert versions.pop("garbage-version") == "unknown"
    assert len(set(versions.values())) == 1


def test_a_failure_is_shown_with_clause_and_evidence(judged: dict[str, Run]) -> None:
    out = judged["honest"].result().out
    shown = out.partition("\nlies-in-state")[2].partition("1 failure\n")[2]
    for line in (
        "runtime.state.status-created   IMPLIED   runtime.md#state   wrong",
        "  clause    created is the status from the end of create until",
        "  expected  a created container is created",
        "  got       assert 'running' == 'created'",
        "  config    minimal config with {",
        '"process": {"args": ["/probe", "pause"]}',
        "  again     pytest",
    ):
        assert line in shown
    crash = out.partition("dies-by-signal 1")[2]
    assert "got       ended by SIGSEGV: <" in crash


@pytest.mark.parametrize("name", UNFIT)
def test_one_that_cannot_run_a_container_is_not_judged(refused: dict[str, Run], name: str) -> None:
    ran = refused[name].result()
    assert ran.status == 3
    sentence, *hint = ran.complaint
    assert name in sentence
    assert UNFIT[name] in sentence
    assert len(hint) <= 1
    assert not (refused[name].trial.folder / "results.jsonl").exists()

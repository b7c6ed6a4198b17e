"""Keeps the verdicts of a run, and makes the results file, the exit status and the summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import cgroups, expectations, facts, judgement, terminal
from seatrial.conformance.errors import UnfitError, UsageError
from seatrial.conformance.results import Writer
from seatrial.conformance.verdicts import DECIDING, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from seatrial.conformance.plan import Plan

#: What a shell reports for a program that Ctrl-C ended.
INTERRUPTED = 130


class Recorder:
    """The part of the plugin that sees the whole run; under pytest-xdist not in the workers."""

    def __init__(self, config: pytest.Config, plan: Plan) -> None:
        """Watch over one run."""
        self.config = config
        self.plan = plan
        self.verdicts: list[Verdict] = []
        self.judged: list[terminal.Judged] = []
        self._session: pytest.Session | None = None
        self._writer: Writer | None = None
        self._other_failures = 0
        self._uncollected = 0
        self._interrupted = False
        self._mode = cgroups.mode(cgroups.hierarchies())

    def _begin(self) -> None:
        """Write the header, and say what is judged; raises ``UsageError`` for a bad --results."""
        plan = self.plan
        if plan.results:
            self._writer = Writer(plan.results)
            self._writer.header(
                spec=plan.spec,
                profile=plan.profile.name,
                seed=plan.profile.seed,
                runtimes=plan.runtimes,
                environment=facts.describe(plan.guest),
            )
        terminal.prepare(self.config, plan.runtimes, plan.spec, plan.profile)

    # What pytest sees

    @pytest.hookimpl(trylast=True)
    def pytest_collection_finish(self) -> None:
        """Begin, once it is known what is judged."""
        if self.plan.runtimes and self.plan.refusal is None:
            try:
                self._begin()
            except UsageError as error:
                self.plan.refusal = error

    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Know the session, to be able to end it."""
        self._session = session

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Count what could not be collected."""
        self._uncollected += report.failed

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a verdict as soon as it is there."""
        verdict = judgement.verdict_of(report)
        if verdict is None:
            self._other_failures += report.failed
            return
        self.verdicts.append(verdict)
        if self.plan.refusal:
            return
        try:
            if not self.plan.runtimes:
                self.plan.runtimes = judgement.runtimes_of(report)
                self._begin()
            if self._writer:
                self._writer.verdict(verdict)
        except UsageError as error:
            self.plan.refusal = error
            if self._session is not None:
                self._session.shouldstop = str(error)

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        """Note Ctrl-C; pytest-xdist's own way to stop comes here too."""
        self._interrupted = excinfo.type is KeyboardInterrupt

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: object) -> None:
        """Take over why a worker of pytest-xdist refused to judge."""
        kind, text, hint = getattr(node, "workeroutput", {}).get("seatrial", ("", "", None))
        if kind and self.plan.refusal is None:
            self.plan.refusal = (UnfitError if kind == "UnfitError" else UsageError)(
                text, hint=hint
            )

    # Its end

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Compare with the expectations, set the exit status and write the footer."""
        plan = self.plan
        if self._interrupted and (plan.judging or plan.asked):
            session.exitstatus = INTERRUPTED
        if plan.refusal:
            session.exitstatus = 3 if isinstance(plan.refusal, UnfitError) else 2
            return
        if not plan.runtimes:
            return
        ran = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
        complete = ran and not (session.shouldstop or session.shouldfail)
        as_expected = self._compare(complete=complete)
        if ran:
            session.exitstatus = int(not (as_expected and complete))
        elif exitstatus == pytest.ExitCode.INTERRUPTED and not self._interrupted:
            # By -x in pytest-xdist, or because of a test file that cannot be imported.
            session.exitstatus = 2 if self._uncollected else 1
        if self._writer:
            try:
                self._writer.footer(exit_status=int(session.exitstatus), complete=complete)
            except UsageError as error:
                plan.refusal = error
                session.exitstatus = 2

    def _compare(self, *, complete: bool) -> bool:
        as_expected = not self._other_failures and not self._uncollected
        for runtime in self.plan.runtimes:
            own = [verdict for verdict in self.verdicts if verdict.runtime == runtime["name"]]
            expected = self.plan.expectations(runtime["name"])
            version, mode = runtime["version"], self._cgroups(runtime)
            seen = expectations.compare(own, expected, version, cgroups=mode)
            if self.plan.profile.is_partial:
                seen.unexpected_passes.clear()
            self.judged.append(terminal.Judged(runtime, seen, complete=complete))
            if seen.unexpected_passes or any(map(self._counts, seen.verdicts)):
                as_expected = False
        return as_expected

    def _counts(self, verdict: Verdict) -> bool:
        levels = {self.plan.registry[name].level for name in verdict.requirements}
        deciding = self.plan.strict or bool(levels & DECIDING)
        failed = verdict.status == "fail" and not verdict.known and deciding
        return failed or verdict.status == "error"

    def _cgroups(self, runtime: Mapping[str, str]) -> str:
        return cgroups.seen(runtime.get("view", "host"), self._mode)

    def is_known(self, verdict: Verdict) -> bool:
        """Whether a failure is listed in the expectations of its runtime."""
        name = verdict.runtime
        runtime = next((each for each in self.plan.runtimes if each["name"] == name), {})
        expected, version = self.plan.expectations(name), runtime.get("version", "")
        seen = expectations.compare([verdict], expected, version, cgroups=self._cgroups(runtime))
        return seen.verdicts[0].known

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, str] | None:
        """Show the harness's statuses as the suite runs."""
        verdict = judgement.verdict_of(report) if isinstance(report, pytest.TestReport) else None
        if verdict is None:
            return None
        return terminal.word(verdict, known=verdict.status == "fail" and self.is_known(verdict))

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the tree, then the failures, then the scores."""
        if self.judged:
            terminal.summary(terminalreporter, self.judged, self.plan.registry, self.plan.spec)

    def pytest_unconfigure(self) -> None:
        """Say last of all why nothing, or nothing more, was judged."""
        if self._writer:
            self._writer.close()
        if self.plan.refusal:
            terminal.complain(self.plan.refusal)

"""The pytest plugin: options, collection, fixtures and verdicts of the conformance suite.

It acts on tests that carry ``@requirement``; other tests of the same pytest run are left alone.
Exit statuses: 0 all as expected, 1 something was not, 2 wrong usage, 3 nothing could be judged.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from seatrial.conformance import adapters, expectations, facts, smoke, spec, terminal
from seatrial.conformance.cgroups import VIEWS
from seatrial.conformance.errors import Hung, Leaked, Misbehaved, SeatrialError, UnfitError, UsageError
from seatrial.conformance.harness import Harness
from seatrial.conformance.registry import Registry, requirements_directory
from seatrial.conformance.results import Writer
from seatrial.conformance.session import Session
from seatrial.conformance.verdicts import DECIDING, Verdict

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from seatrial.conformance.adapters import Adapter
    from seatrial.conformance.container import Container
    from seatrial.conformance.expectations import Expectation

_PROPERTY = "seatrial"
_LIMIT_CHARACTERS = 4000
#: Clauses that the auditor's findings are about.
_AFTER_ERROR = "runtime.errors.environment-restored"
_AFTER_DELETE = "runtime.delete.removes-created-resources"

_key = pytest.StashKey["Plan"]()
_harness_key = pytest.StashKey[Harness]()


@dataclass
class Plan:
    """What this pytest run is to judge, and what it has seen so far."""

    registry: Registry
    adapters: list[Adapter]
    spec: str
    view: Any
    timeout_s: float
    strict: bool
    selected: frozenset[str]
    runtimes: list[dict[str, Any]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    writer: Writer | None = None
    exit_status: int | None = None
    summary: list[terminal.Judged] = field(default_factory=list)

    @property
    def active(self) -> bool:
        """Whether any test of the suite is part of this run."""
        return bool(self.runtimes)

    def expectations(self, name: str) -> list[Expectation]:
        """Return the known failures of a runtime."""
        return expectations.for_runtime(name, self.registry)

    def session(self, adapter: Adapter) -> Session:
        """Return a session for one runtime, not entered yet."""
        return Session(adapter, spec=self.spec, view=self.view, timeout_s=self.timeout_s)


# Options


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the suite."""
    group = parser.getgroup("seatrial", "OCI runtime conformance (seatrial)")
    add = group.addoption
    add(
        "--runtime",
        action="append",
        default=[],
        metavar="RUNTIME",
        help="runtime to judge: a known name, a path, or an adapter's TOML file; repeatable"
        " (default: every known runtime on PATH)",
    )
    add("--results", metavar="FILE", help="write the verdicts there, as JSON Lines")
    add(
        "--requirement",
        action="append",
        default=[],
        metavar="PREFIX",
        help="judge only requirements whose id is PREFIX or begins with it, such as config.hooks;"
        " repeatable",
    )
    add(
        "--spec",
        default=spec.NEWEST,
        choices=spec.RELEASES,
        help=f"release of the runtime-spec to judge by (default: {spec.NEWEST})",
    )
    add(
        "--view",
        choices=["auto", *VIEWS],
        default="auto",
        help="cgroup hierarchies the runtime sees: "
        + "; ".join(f"{name}: {text}" for name, text in VIEWS.items())
        + " (default: auto, what the runtime's adapter needs on this host)",
    )
    add(
        "--runtime-timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how long one command of the runtime may take (default: 10)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks, and look at what the options name before anything runs."""
    config.addinivalue_line("markers", "requirement(*ids): rows of the registry that a test judges")
    config.addinivalue_line("markers", "needs(*names): needs beyond those of its requirements")
    if _key in config.stash:
        config.pluginmanager.register(_Recorder(config), "seatrial-recorder")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Check the options; wrong ones end here with one sentence and exit status 2."""
    try:
        config.stash[_key] = _plan(config)
    except SeatrialError as error:
        terminal.complain(error)
        return 2
    return None


def _plan(config: pytest.Config) -> Plan:
    option = config.option
    registry = Registry.load(requirements_directory())
    selected = registry.select(*option.requirement) if option.requirement else registry.values()
    named = [adapters.find(name) for name in dict.fromkeys(option.runtime)]
    if option.runtime_timeout <= 0:
        raise UsageError("--runtime-timeout has to be more than 0 seconds")
    return Plan(
        registry=registry,
        adapters=named or adapters.installed(),
        spec=option.spec,
        view=None if option.view == "auto" else option.view,
        timeout_s=option.runtime_timeout,
        strict=_is_strict(config),
        selected=frozenset(row.id for row in selected if row.in_force(option.spec)),
        writer=Writer(Path(option.results)) if option.results else None,
    )


def _is_strict(config: pytest.Config) -> bool:
    """Whether --strict was given: pytest's own option, which counts for the verdicts as well.

    Failures of SHOULD, SHOULD-NOT and MAY rows then decide the exit status like the others.
    """
    return "strict=true" in (config.option.override_ini or ())


# Collection


def _marked(item: pytest.Item) -> list[str]:
    return [str(name) for mark in item.iter_markers("requirement") for name in mark.args]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of the suite once for each runtime."""
    if "seatrial_session" in metafunc.fixturenames:
        plan = metafunc.config.stash[_key]
        metafunc.parametrize(
            "seatrial_session",
            plan.adapters,
            ids=[adapter.name for adapter in plan.adapters],
            indirect=True,
            scope="session",
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse unknown requirement ids, and keep what is selected and in force."""
    plan = config.stash[_key]
    kept, dropped = [], []
    for item in items:
        names = _marked(item)
        for name in names:
            try:
                plan.registry.find(name)
            except SeatrialError as error:
                hint = f" ({error.hint})" if error.hint else ""
                pytest.exit(f"{item.nodeid}: {error}{hint}", returncode=2)
        (kept if not names or plan.selected.intersection(names) else dropped).append(item)
    items[:] = kept
    if dropped:
        config.hook.pytest_deselected(items=dropped)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Smoke-test every runtime before the first test of the suite; exit 3 if one can't be judged."""
    plan = session.config.stash[_key]
    if session.config.option.collectonly or not any(_marked(item) for item in session.items):
        return
    for adapter in plan.adapters:
        try:
            with plan.session(adapter) as entered:
                smoke.check(entered)
                plan.runtimes.append(
                    {
                        **vars(entered.runtime.identity),
                        "view": entered.view,
                        "config_version": entered.config_version,
                    }
                )
        except UsageError as error:
            pytest.exit(_sentence(error), returncode=2)
        except SeatrialError as error:
            pytest.exit(_sentence(error), returncode=3)
    if plan.writer:
        plan.writer.header(
            spec=plan.spec, runtimes=plan.runtimes, environment=facts.describe()
        )
    terminal.prepare(session.config, plan.runtimes, plan.spec)


def _sentence(error: SeatrialError) -> str:
    return f"seatrial: {error}" + (f" (hint: {error.hint})" if error.hint else "")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Say so when there is no runtime to judge, rather than collect tests for none."""
    plan = session.config.stash[_key]
    wanted = session.config.option
    if not plan.adapters and (wanted.runtime or wanted.results or wanted.requirement):
        pytest.exit(_sentence(_no_runtime()), returncode=3)


def _no_runtime() -> UnfitError:
    names = ", ".join(adapters.known())
    return UnfitError(
        f"no runtime found: none of {names} is on PATH",
        hint="apt-get install crun runc, or --runtime /path/to/one",
    )


# Fixtures


@pytest.fixture(scope="session")
def seatrial_session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """One runtime's session, entered and smoke-tested."""
    with request.config.stash[_key].session(request.param) as session:
        smoke.check(session)
        yield session


@pytest.fixture
def harness(request: pytest.FixtureRequest, seatrial_session: Session) -> Iterator[Harness]:
    """The door to the runtime under test; skips, with evidence, what this host cannot show."""
    plan = request.config.stash[_key]
    marked = {row for name in _marked(request.node) for row in plan.registry[name].needs}
    marked |= {str(name) for mark in request.node.iter_markers("needs") for name in mark.args}
    for name in sorted(marked):
        evidence = seatrial_session.need(name)
        if not evidence:
            pytest.skip(f"needs {name}: {evidence.text}")
    door = Harness(seatrial_session)
    request.node.stash[_harness_key] = door
    yield door
    if door.leaks:
        raise Leaked("; ".join(door.leaks[0].what))


@pytest.fixture
def created(harness: Harness) -> Iterator[Container]:
    """A created container whose program, once started, waits for a signal."""
    with harness.created() as container:
        yield container


@pytest.fixture
def running(harness: Harness) -> Iterator[Container]:
    """A running container whose program waits for a signal."""
    with harness.running() as container:
        yield container


@pytest.fixture
def stopped(harness: Harness) -> Iterator[Container]:
    """A container whose program has ended with exit status 0."""
    with harness.stopped() as container:
        yield container


# Verdicts


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the verdict into the report, so that it travels with it wherever that goes."""
    report = yield
    names = _marked(item)
    if not names:
        return report
    plan = item.config.stash[_key]
    error = call.excinfo.value if call.excinfo else None
    if call.when == "call" or (error is not None and call.when is not None):
        door = item.stash.get(_harness_key, None)
        verdict = _verdict(item, names, call, door, plan)
        report.user_properties.append((_PROPERTY, json.dumps(verdict.as_dict())))
    if call.when == "call":
        report.user_properties += [("requirement", name) for name in names]
    return report


def _verdict(
    item: pytest.Item,
    names: list[str],
    call: pytest.CallInfo[None],
    door: Harness | None,
    plan: Plan,
) -> Verdict:
    error = call.excinfo.value if call.excinfo else None
    runtime = item.callspec.params["seatrial_session"].name  # type: ignore[attr-defined]
    about = [name for name in names if plan.registry[name].in_force(plan.spec)]
    common: dict[str, Any] = {
        "test": item.nodeid,
        "runtime": runtime,
        "requirements": tuple(about),
        "duration_s": round(call.duration, 4),
    }
    if error is None:
        notes = tuple(dict.fromkeys(door.notes)) if door else ()
        return Verdict(**common, status="note" if notes else "pass", notes=notes)
    message = _message(error)
    if isinstance(error, pytest.skip.Exception):
        return Verdict(**common, status="skip", evidence=message)
    common |= {"message": message, "example": _example(error), "reproduce": _again(item, runtime)}
    if isinstance(error, Leaked) and door and call.when == "teardown":
        leak = door.leaks[0]
        common["requirements"] = (_AFTER_ERROR if leak.after_error else _AFTER_DELETE,)
        return Verdict(
            **common, **_evidence(leak.journal), status="fail", kind="leaked", audit=True
        )
    common |= _evidence(door.journal) if door else {}
    if isinstance(error, Misbehaved | Hung):
        return Verdict(**common, status="fail", kind=error.kind)
    if isinstance(error, AssertionError | pytest.fail.Exception):
        return Verdict(**common, status="fail", kind="wrong")
    return Verdict(**common, status="error")


def _message(error: BaseException) -> str:
    if isinstance(error, AssertionError | Hung | SeatrialError | pytest.skip.Exception):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    text = text.strip() or type(error).__name__
    return text if len(text) <= _LIMIT_CHARACTERS else text[:_LIMIT_CHARACTERS] + "…"


def _example(error: BaseException) -> str:
    notes = [
        note
        for note in getattr(error, "__notes__", ())
        if note.startswith(("Falsifying example", "Failing test case"))
    ]
    return "\n".join(notes)[:_LIMIT_CHARACTERS]


def _again(item: pytest.Item, runtime: str) -> str:
    test, _, _ = item.nodeid.partition("[")
    given = [name for name in item.config.option.runtime if name.rpartition("/")[2] == runtime]
    return shlex.join(["pytest", test, "--runtime", *(given or [runtime])])


def _evidence(journal: Any) -> dict[str, Any]:  # noqa: ANN401
    config = journal.config
    if isinstance(config, bytes):
        config = config.decode(errors="backslashreplace")
    with contextlib.suppress(ValueError):
        json.dumps(config).encode()
        return {
            "config": config,
            "commands": tuple(shlex.join(each.argv) for each in journal.commands[-8:]),
        }
    return {}


def _of(report: pytest.TestReport) -> Verdict | None:
    for name, value in report.user_properties:
        if name == _PROPERTY and report.when is not None:
            return Verdict.from_dict(json.loads(str(value)))
    return None


@pytest.hookimpl(tryfirst=True)
def pytest_report_teststatus(
    report: pytest.CollectReport | pytest.TestReport, config: pytest.Config
) -> tuple[str, str, str] | None:
    """Show the harness's statuses as the suite runs."""
    if not isinstance(report, pytest.TestReport):
        return None
    verdict = _of(report)
    if verdict is None:
        # Set-up and teardown that went well say nothing, as in any pytest run.
        return None
    known = verdict.status == "fail" and _is_known(config.stash[_key], verdict)
    return terminal.word(verdict, known=known)


def _is_known(plan: Plan, verdict: Verdict) -> bool:
    version = next((each["version"] for each in plan.runtimes if each["name"] == verdict.runtime), "")
    seen = expectations.compare([verdict], plan.expectations(verdict.runtime), version)
    return seen.verdicts[0].known


class _Recorder:
    """Keeps the verdicts, and makes the exit status and the summary of them."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.plan = config.stash[_key]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Record a verdict as soon as it is there."""
        verdict = _of(report)
        if verdict is not None:
            self.plan.verdicts.append(verdict)
            if self.plan.writer:
                self.plan.writer.verdict(verdict)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        """Compare with the expectations and set the exit status."""
        plan = self.plan
        if not plan.active:
            return
        interrupted = exitstatus not in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
        unexpected = False
        for runtime in plan.runtimes:
            name = runtime["name"]
            own = [verdict for verdict in plan.verdicts if verdict.runtime == name]
            seen = expectations.compare(own, plan.expectations(name), runtime["version"])
            judged = terminal.Judged(runtime, seen, complete=not interrupted)
            plan.summary.append(judged)
            unexpected = unexpected or bool(
                [v for v in seen.verdicts if self._counts(v)] or seen.unexpected_passes
            )
        if not interrupted:
            # Tests of other kinds in the same run keep their say.
            others = session.testsfailed and not any(
                verdict.status in {"fail", "error"} for verdict in plan.verdicts
            )
            session.exitstatus = int(unexpected or others)
        if plan.writer:
            plan.writer.footer(exit_status=int(session.exitstatus), complete=not interrupted)

    def _counts(self, verdict: Verdict) -> bool:
        levels = {self.plan.registry[name].level for name in verdict.requirements}
        if verdict.status == "error":
            return True
        deciding = self.plan.strict or bool(levels & DECIDING)
        return verdict.status == "fail" and not verdict.known and deciding

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the tree, then the failures, then the scores."""
        if self.plan.active:
            terminal.summary(terminalreporter, self.plan.summary, self.plan.registry, self.plan.spec)

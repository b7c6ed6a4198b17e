"""The pytest plugin: options, collection and fixtures of the conformance suite.

It acts on tests that carry ``@requirement``; other tests of the same pytest run are left alone.
Exit statuses: 0 all as expected, 1 something was not, 2 wrong usage, 3 nothing could be judged;
130 when interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from seatrial.conformance import adapters, judgement, smoke, spec, terminal
from seatrial.conformance.cgroups import VIEWS
from seatrial.conformance.errors import Leaked, SeatrialError, UnfitError, UsageError
from seatrial.conformance.harness import Harness
from seatrial.conformance.plan import KEY, Plan
from seatrial.conformance.profiles import PROFILES
from seatrial.conformance.recorder import Recorder
from seatrial.conformance.registry.requirement import meaning_of_need

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from seatrial.conformance.container import Container
    from seatrial.conformance.session import Session


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
        "--profile",
        choices=list(PROFILES),
        default="default",
        help="how much Hypothesis draws: "
        + "; ".join(f"{name}: {text}" for name, text in PROFILES.items())
        + " (default: default)",
    )
    add(
        "--runtime-timeout",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="how long one command of the runtime may take (default: 10)",
    )
    add(
        "--guest",
        metavar="NAME",
        help="what reports call this machine, beside the results of others",
    )


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    """Check the options; wrong ones end here with one sentence and exit status 2."""
    try:
        config.stash[KEY] = Plan.of(config)
    except SeatrialError as error:
        terminal.complain(error)
        return 2
    return None


def pytest_configure(config: pytest.Config) -> None:
    """Register the marks, and the recorder where the reports come together."""
    config.addinivalue_line("markers", "requirement(*ids): rows of the registry that a test judges")
    config.addinivalue_line("markers", "needs(*names): needs beyond those of its requirements")
    if KEY in config.stash and not _is_worker(config):
        config.pluginmanager.register(Recorder(config, config.stash[KEY]), "seatrial-recorder")


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


# Collection


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run every test of the suite once for each runtime."""
    if "seatrial_session" in metafunc.fixturenames:
        plan = metafunc.config.stash[KEY]
        metafunc.parametrize(
            "seatrial_session",
            plan.adapters,
            ids=[adapter.name for adapter in plan.adapters],
            indirect=True,
            scope="session",
        )


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse marks that name nothing, and keep what is selected and in force."""
    plan = config.stash[KEY]
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    try:
        for item in items:
            names = judgement.marked(item)
            _check(item, names, plan)
            (kept if not names or plan.selected.intersection(names) else dropped).append(item)
            item.user_properties += [("requirement", name) for name in names]
    except SeatrialError as error:
        _refuse(config, error)
        kept, dropped = [], []
    plan.profile.apply(kept)
    items[:] = kept
    if dropped:
        config.hook.pytest_deselected(items=dropped)


def _check(item: pytest.Item, names: list[str], plan: Plan) -> None:
    for name in names:
        try:
            plan.registry.find(name)
        except SeatrialError as error:
            raise UsageError(f"{item.nodeid}: {error}", hint=error.hint) from None
    for name in judgement.needed(item):
        if meaning_of_need(name) is None:
            raise UsageError(f"{item.nodeid}: there is no need {name!r} in the vocabulary")
    if names and "seatrial_session" not in getattr(item, "fixturenames", ()):
        raise UsageError(f"{item.nodeid}: judges {names[0]} without a harness")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Smoke-test every runtime before the first test of the suite."""
    config = session.config
    plan = config.stash[KEY]
    if plan.refusal or config.option.collectonly or session.testsfailed:
        return
    try:
        if any(map(judgement.marked, session.items)):
            _begin(plan)
        elif plan.asked and not session.items:
            raise UsageError("no test of the suite is selected")
    except SeatrialError as error:
        _refuse(config, error)
        session.items[:] = []


def _begin(plan: Plan) -> None:
    plan.judging = True
    if not plan.adapters:
        raise UnfitError(
            f"no runtime found: none of {', '.join(adapters.known())} is on PATH",
            hint="apt-get install crun runc, or --runtime /path/to/one",
        )
    for adapter in plan.adapters:
        plan.expectations(adapter.name)
    found = []
    for adapter in plan.adapters:
        with plan.session(adapter) as entered:
            smoke.check(entered)
            identity = vars(entered.runtime.identity)
            seen = {"view": entered.view, "config_version": entered.config_version}
            found.append({**identity, **seen})
    plan.runtimes = found


def _refuse(config: pytest.Config, error: SeatrialError) -> None:
    """Let the run end without a test; the recorder says why."""
    config.stash[KEY].refusal = error
    if _is_worker(config):
        line = [type(error).__name__, str(error), error.hint]
        config.workeroutput["seatrial"] = line  # type: ignore[attr-defined]


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run nothing after a refusal."""
    refused = session.config.stash[KEY].refusal is not None
    return True if refused and not _is_worker(session.config) else None


# Fixtures


@pytest.fixture(scope="session")
def seatrial_session(request: pytest.FixtureRequest) -> Iterator[Session]:
    """One runtime's session, entered and smoke-tested."""
    with request.config.stash[KEY].session(request.param) as session:
        smoke.check(session)
        yield session


@pytest.fixture
def harness(request: pytest.FixtureRequest, seatrial_session: Session) -> Iterator[Harness]:
    """The door to the runtime under test; skips, with evidence, what this host cannot show."""
    registry = request.config.stash[KEY].registry
    needs = {row for name in judgement.marked(request.node) for row in registry[name].needs}
    for name in sorted(needs.union(judgement.needed(request.node))):
        evidence = seatrial_session.need(name)
        if not evidence:
            pytest.skip(f"needs {name}: {evidence.text}")
    door = Harness(seatrial_session)
    request.node.stash[judgement.HARNESS] = door
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
    judgement.attach(item, call, report)
    return report

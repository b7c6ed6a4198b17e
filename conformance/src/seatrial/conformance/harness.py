"""What a test of the suite works with: bundles and containers of the runtime under test."""

from __future__ import annotations

import contextlib
import copy
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from seatrial.conformance import config as configs
from seatrial.conformance import namespaces, processes
from seatrial.conformance.bundle import Bundle, probe_binary
from seatrial.conformance.container import Container
from seatrial.conformance.errors import Hung

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.conformance.config import Config
    from seatrial.conformance.report import Report
    from seatrial.conformance.runtime import Runtime
    from seatrial.conformance.session import Session
    from seatrial.conformance.spawn import Result
    from seatrial.conformance.trace import Step

#: How long a container process may take to be gone once the runtime has sent it SIGKILL.
_GRACE_S = 1.0


@dataclass
class Journal:
    """What was done last: the config and commands of the container a verdict is about."""

    config: Config | bytes | None = None
    commands: list[Result] = field(default_factory=list)
    trace: list[Step] = field(default_factory=list)


@dataclass(frozen=True)
class Leak:
    """Things left behind, with the journal of the container that left them."""

    what: tuple[str, ...]
    after_error: bool
    journal: Journal


class Harness:
    """One test's door to the runtime under test.

    Every container made here is ended and removed when its context closes, by the runtime if it
    can and by force if not, and the leak auditor looks around after the last one.
    """

    def __init__(self, session: Session) -> None:
        """Work for one test of a session."""
        self._session = session
        self.runtime: Runtime = session.runtime
        self.spec: str = session.spec
        self.notes: list[str] = []
        self.leaks: list[Leak] = []
        self.journal = Journal()
        #: The container processes there have been.
        self.pids: set[int] = set()
        self._numbers = itertools.count(1)
        self._open = 0
        self._after_error = False
        self._killed = False
        self._done: tuple[list[Result], list[Step]] = [], []

    def __repr__(self) -> str:
        """Say it without an address, so that the examples of Hypothesis repeat."""
        return f"<harness of {self.runtime.name}>"

    # Bundles and containers

    def new_id(self) -> str:
        """Return an id that no container of the run has had."""
        return self._session.new_id()

    def config(self, *act: str) -> Config:
        """Return a fresh minimal config (``config.minimal``) in the session's config version."""
        config = configs.minimal(*act)
        config["ociVersion"] = self._session.config_version
        return config

    @property
    def places(self) -> dict[str, str]:
        """The paths that are the run's own: of its work folder, its cgroup, the probe."""
        work, probe = str(self._session.work), str(probe_binary())
        return {"work": work, "cgroup": self.cgroup, "probe": probe}

    @property
    def cgroup(self) -> str:
        """The run's own cgroup, below which a test may place its containers by ``cgroupsPath``."""
        return self._session.cgroups.path

    @contextlib.contextmanager
    def bundle(self, config: Config | bytes) -> Iterator[Bundle]:
        """Make a bundle, and remove it at the end."""
        bundle = Bundle(self._session.work, config)
        try:
            yield bundle
        finally:
            bundle.remove()

    @contextlib.contextmanager
    def mounted(  # noqa: PLR0913 - those of mount(2), and what is done next
        self,
        source: object,
        target: object,
        fstype: str | None = None,
        *,
        flags: int = 0,
        data: str = "",
        shared: bool = False,
    ) -> Iterator[None]:
        """Have something mounted on the host, which here is the run's own mount namespace.

        Opened before a container and closed after it, so that it is none of that container's.
        """
        namespaces.mount(str(source), str(target), fstype, flags, data)
        try:
            if shared:
                namespaces.mount("none", str(target), None, namespaces.MS_SHARED)
            with self._session.auditor.sparing_mounts():
                yield
        finally:
            # The auditor has its word on a runtime that was faster.
            with contextlib.suppress(OSError):
                namespaces.umount(str(target), namespaces.MNT_DETACH)

    @contextlib.contextmanager
    def container(
        self,
        config: Config | bytes,
        *,
        bundle: Bundle | None = None,
        identifier: str | None = None,
        runtime: Runtime | None = None,
    ) -> Iterator[Container]:
        """Name a container that is not created yet; at the end nothing of it is left.

        Unless the config names a ``cgroupsPath`` it is given one of the run's own: a container
        of the suite never enters another cgroup of the host.
        """
        identifier = identifier if identifier is not None else self.new_id()
        runtime = runtime or self.runtime
        config = self._placed(config, identifier)
        if self._open == 0:
            runtime.journal.clear()
            runtime.trace.clear()
            self._after_error = self._killed = False
            self.journal = Journal(config, runtime.journal, runtime.trace)
        self._open += 1
        try:
            with contextlib.ExitStack() as stack:
                if bundle is None:
                    bundle = stack.enter_context(self.bundle(config))
                else:
                    bundle.write_config(config)
                container = stack.enter_context(Container(runtime, bundle, identifier))
                try:
                    yield container
                except Hung as hung:
                    self._killed = self._killed or hung.killed
                    raise
                finally:
                    self._put_away(container)
        finally:
            self._open -= 1
            if self._open == 0:
                self._audit()

    @contextlib.contextmanager
    def created(self, config: Config | bytes | None = None, **options: Any) -> Iterator[Container]:  # noqa: ANN401
        """Give a created container; default: one whose program waits for a signal."""
        given = config if config is not None else self.config("pause")
        with self.container(given, **options) as container:
            result = container.create()
            assert result.ok, result  # noqa: S101 - a verdict
            yield container

    @contextlib.contextmanager
    def running(self, config: Config | bytes | None = None, **options: Any) -> Iterator[Container]:  # noqa: ANN401
        """Give a container whose program has printed its first line and goes on.

        Default: the probe's ``pause``.  A config given here must have a program that prints a line.
        """
        with self.created(config, **options) as container:
            result = container.start()
            assert result.ok, result  # noqa: S101 - a verdict
            container.read_line()
            yield container

    @contextlib.contextmanager
    def stopped(self, config: Config | bytes | None = None, **options: Any) -> Iterator[Container]:  # noqa: ANN401
        """Give a container whose process has ended and been collected; default: by exit 0."""
        given = config if config is not None else self.config("exit", "0")
        with self.created(given, **options) as container:
            result = container.start()
            assert result.ok, result  # noqa: S101 - a verdict
            container.wait()
            yield container

    def run(self, config: Config, **options: Any) -> Report:  # noqa: ANN401
        """Create, start, wait for and delete a container, and return the report it printed."""
        with self.created(config, **options) as container:
            result = container.start()
            assert result.ok, result  # noqa: S101 - a verdict
            report = container.report()
            result = container.delete()
            assert result.ok, result  # noqa: S101 - a verdict
            return report

    def lines(self, config: Config, **options: Any) -> list[dict[str, Any]]:  # noqa: ANN401
        """Create, start, wait for and delete a container, and return what its probe's acts said."""
        with self.created(config, **options) as container:
            result = container.start()
            assert result.ok, result  # noqa: S101 - a verdict
            lines = container.lines()
            result = container.delete()
            assert result.ok, result  # noqa: S101 - a verdict
            return lines

    def attempt(self, config: Config | bytes, **options: Any) -> Result:  # noqa: ANN401
        """Create and, if that succeeds, start a container; return the last of these results.

        For values that a runtime has to refuse, at whichever of the two operations it looks.
        """
        with self.container(config, **options) as container:
            result = container.create()
            return container.start() if result.ok else result

    def ends_before_start(self, container: Container) -> bool:
        """Kill a created container, and wait for its end; noted where kill is an error.

        Then there is no container in that state for a test to judge.
        """
        if container.kill("KILL").failed:
            self.note("a created container cannot be killed, so none is stopped before start")
            return False
        container.wait()
        return True

    def note(self, text: str) -> None:
        """Record what was seen where the spec leaves the outcome open; such a test gives a note."""
        self.notes.append(text)

    # Around a container

    def _placed(self, config: Config | bytes, identifier: str) -> Config | bytes:
        if not isinstance(config, dict):
            return config
        linux = config.get("linux", {})
        if not isinstance(linux, dict) or "cgroupsPath" in linux:
            return config
        placed = copy.deepcopy(config)
        safe = "".join(c if c.isalnum() or c in "-_" else "_" for c in identifier)[:64] or "_"
        placed["linux"] = {**linux, "cgroupsPath": f"{self._session.cgroups.path}/{safe}"}
        return placed

    def _put_away(self, container: Container) -> None:
        """End and delete a container as its user would, so that the audit judges the runtime.

        A container whose create failed is left as it is: whatever is there of it is a leak.
        """
        journal, trace = list(container.runtime.journal), list(container.runtime.trace)
        try:
            if container.exists and container.alive:
                self._end(container)
            if container.exists and container.delete().exit_status != 0:
                container.runtime.force_delete(container.id)
        except Hung as hung:
            # The test has its verdict; the auditor ends and removes what is left.
            self._killed = self._killed or hung.killed
        finally:
            if container.pid is not None:
                self.pids.add(container.pid)
            self._done = list(container.runtime.journal), list(container.runtime.trace)
            container.runtime.journal[:] = journal
            container.runtime.trace[:] = trace
        self._after_error = self._after_error or container.refused

    def _end(self, container: Container) -> None:
        if container.kill("KILL").exit_status == 0:
            with contextlib.suppress(Hung):
                container.wait(timeout_s=min(_GRACE_S, container.runtime.timeout_s))
        if container.alive and container.pid is not None:
            processes.end(container.pid)

    def _audit(self) -> None:
        what = self._session.auditor.leaks()
        if what:
            self._session.auditor.clear()
        if what and not self._killed:
            journal = Journal(self.journal.config, *self._done)
            self.leaks.append(Leak(tuple(what), self._after_error, journal))

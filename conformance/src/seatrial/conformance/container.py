"""One container under test, from before create to after delete."""

from __future__ import annotations

import contextlib
import os
import re
import time
from typing import TYPE_CHECKING, Any, Self

from seatrial.conformance import processes, report, trace
from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.errors import HarnessError, Hung, Malformed, Misbehaved
from seatrial.conformance.runtime import parse_object
from seatrial.conformance.spawn import Streams
from seatrial.conformance.states import State
from seatrial.conformance.trace import Step

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from types import TracebackType

    from seatrial.conformance.bundle import Bundle
    from seatrial.conformance.report import Report
    from seatrial.conformance.runtime import Runtime
    from seatrial.conformance.spawn import Result


class Container:
    """A container of the runtime under test; as a context it leaves nothing of itself behind.

    ``create`` and the other operations return a ``Result`` whatever came of them.  ``pid`` is the
    container process in our pid namespace, known once create succeeded; its end is an event
    (pidfd), and being its subreaper the harness collects its ``exit_status`` (negative: signal).
    ``exists`` is true from a successful create to a successful delete, ``refused`` is true if
    create failed.
    """

    def __init__(self, runtime: Runtime, bundle: Bundle, identifier: str) -> None:
        """Name a container; nothing is created yet."""
        self.runtime = runtime
        self.bundle = bundle
        self.id = identifier
        self.streams = Streams()
        self.reports: list[Report] = []
        self.pid: int | None = None
        self.exit_status: int | None = None
        self.exists = False
        self.refused = False
        self._told: str | None = None
        self._pidfd = -1
        self._consumed = 0

    def __repr__(self) -> str:
        return f"<container {self.id} of {self.runtime.name}>"

    # The operations

    def create(self, **options: str | int | tuple[int, ...] | None) -> Result:
        """Create it; ``options`` go to ``Runtime.invoke`` (bundle=, console_socket=, cwd=, ...)."""
        pid_file = self.bundle.path / f"{self.id}.pid"
        values: dict[str, Any] = {"bundle": str(self.bundle.path)}
        if self.runtime.adapter.has("create", "pid_file"):
            values["pid_file"] = str(pid_file)
        values |= options
        self._record_bundle()
        # Not the host's: a runtime may give its streams to the container's user.
        with open(self.runtime.null, "rb") as stdin:
            given = {"stdin": stdin.fileno(), **values}
            result = self.runtime.invoke("create", id=self.id, streams=self.streams, **given)
        self.exists = result.exit_status == 0
        self.refused = not self.exists
        if self.exists:
            self._adopt(pid_file)
        return result

    def run(self) -> Result:
        """Create, start, await and delete it by one command, which the spec does not have."""
        self._record_bundle()
        with open(self.runtime.null, "rb") as stdin:
            given: dict[str, Any] = {"stdin": stdin.fileno(), "bundle": str(self.bundle.path)}
            return self.runtime.invoke("run", id=self.id, streams=self.streams, **given)

    def start(self) -> Result:
        """Start it."""
        return self.runtime.start(self.id)

    def kill(self, signal: str = "KILL") -> Result:
        """Send it ``signal``, a name without SIG or a number."""
        return self.runtime.kill(self.id, signal)

    def delete(self) -> Result:
        """Delete it."""
        result = self.runtime.delete(self.id)
        self.exists = self.exists and result.exit_status != 0
        return result

    def state(self) -> State:
        """Return its state; an error of the operation is a failed assertion."""
        result = self.runtime.state(self.id)
        assert result.ok, result  # noqa: S101 - a verdict
        return State(parse_object(result))

    # What it does

    def wait(self, *, timeout_s: float | None = None) -> None:
        """Wait until the container process has ended, reading its streams meanwhile.

        Raises ``Hung`` after ``timeout_s``, by default the runtime's timeout.
        """
        if self.pid is None and self._told is not None:
            raise Malformed(f"create succeeded, and the container process has no pid: {self._told}")
        if self.pid is None:
            raise HarnessError(f"container {self.id} was not created, so nothing can be waited for")
        limit_s = self.runtime.timeout_s if timeout_s is None else timeout_s
        deadline = time.monotonic() + limit_s
        if self._pidfd >= 0:
            self._record("wait", self._seen)
        while self._pidfd >= 0:
            ready = self._poll(deadline)
            if self._pidfd in ready:
                status = processes.reap(self.pid, block=True)
                self.exit_status = status if status is not None else self.exit_status
                os.close(self._pidfd)
                self._pidfd = -1

    def output(self) -> bytes:
        """Wait for the end of the container process, and return what it wrote to stdout."""
        self.wait()
        self.streams.read()
        return self.streams.stdout.content

    def report(self) -> Report:
        """Wait for the end of the container process, and return the report it printed last."""
        lines = self.output().splitlines()
        if not lines:
            raise Malformed(
                f"the program ended with status {self.exit_status} and printed nothing"
                f" (stderr {self.streams.stderr.content.decode(errors='backslashreplace')!r})"
            )
        found = report.parse(lines[-1])
        self.reports.append(found)
        return found

    def lines(self) -> list[dict[str, Any]]:
        """Wait for the end of the container process, and return the lines that the probe printed.

        A probe that did not come to its end is Malformed.
        """
        lines = [report.parse_line(line) for line in self.output().splitlines()]
        if self.exit_status != 0:
            said = self.streams.stderr.content.decode(errors="backslashreplace")
            raise Malformed(
                f"the program ended with status {self.exit_status} after {len(lines)} lines"
                f" (stderr {said!r})"
            )
        return lines

    def read_line(self) -> dict[str, Any]:
        """Return the next line that the probe printed, waiting for it."""
        deadline = time.monotonic() + self.runtime.timeout_s
        read: list[bytes] = []
        self._record("line", lambda: {"text": trace.text(b"".join(read))})
        while True:
            rest = self.streams.stdout.content[self._consumed :]
            line, newline, _ = rest.partition(b"\n")
            if newline:
                self._consumed += len(line) + 1
                read.append(line)
                return report.parse_line(line)
            if self.streams.stdout.ended:
                raise Malformed(
                    f"the program ended without a line"
                    f" (stderr {self.streams.stderr.content.decode(errors='backslashreplace')!r})"
                )
            self._poll(deadline)

    @property
    def alive(self) -> bool:
        """Whether the container process is there and has not ended."""
        return self._pidfd >= 0 and not processes.poll([self._pidfd], 0)

    def ended_by(self, number: int) -> bool:
        """Whether the signal ended it, by its own account or by that of who stands for it."""
        return self.exit_status in {-number, 128 + number}

    def namespace(self, kind: str) -> str:
        """Return the name of one namespace of the container process, as the host sees it."""
        try:
            return os.readlink(f"/proc/{self.pid}/ns/{kind}")
        except FileNotFoundError:
            raise Misbehaved(f"the container process {self.pid} is not there") from None

    def _poll(self, deadline: float) -> list[int]:
        watched = [stream.reader for stream in self.streams.open()]
        watched += [self._pidfd] if self._pidfd >= 0 else []
        ready = processes.poll(watched, deadline - time.monotonic()) if watched else []
        self.streams.read()
        if not ready or time.monotonic() > deadline:
            raise Hung(
                "the container process neither ended nor printed what was waited for within"
                f" {self.runtime.timeout_s:g} s"
            )
        return ready

    def _adopt(self, pid_file: Path) -> None:
        text = ""
        with contextlib.suppress(OSError):
            text = pid_file.read_text(errors="replace").strip()
        self._told = f"its pid file says {text[:80]!r}"
        if not text:
            state = self.runtime.state(self.id)
            text = str(parse_object(state).get("pid", "")) if state.exit_status == 0 else ""
            self._told = f"state says {text[:80]!r}"
        if not re.fullmatch(r"[1-9][0-9]{0,9}", text, re.ASCII):
            return
        self.pid = int(text)
        with contextlib.suppress(OverflowError, OSError):  # no number of a process
            try:
                self._pidfd = os.pidfd_open(self.pid)
            except ProcessLookupError:  # it has ended, and was collected
                self.exit_status = processes.reap(self.pid)

    # For the trace

    def _record(self, do: str, later: Callable[[], dict[str, Any]]) -> None:
        self.runtime.trace.append(Step(do, {"container": self.id}, later))

    def _record_bundle(self) -> None:
        found = trace.files(self.bundle.path, probe_binary())
        members = {"path": str(self.bundle.path), "files": found}
        self.runtime.trace.append(Step("bundle", members, self._logged))

    def _logged(self) -> dict[str, Any]:
        lines = self.bundle.logged
        return {} if lines is None else {"log": [trace.cut(line) for line in lines]}

    def _seen(self) -> dict[str, Any]:
        """Return how the process ended, and the members of its report that the test looked at."""
        asked = [
            trace.member(found.line, name, found.get(name))
            for found in self.reports
            for name in found.asked
        ]
        said = self.streams.stderr.content
        return {
            "exit_status": self.exit_status,
            "seen": list(filter(None, asked)),
            "stderr": trace.text(said),
        }

    # Its end

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close what the harness holds of it; the harness sees to the rest."""
        if self._pidfd >= 0:
            os.close(self._pidfd)
            self._pidfd = -1
        self.streams.close()

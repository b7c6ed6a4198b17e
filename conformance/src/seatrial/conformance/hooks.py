"""Hooks that record themselves, and what they recorded (config.md, "POSIX-platform Hooks")."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import pytest

from seatrial.conformance import processes
from seatrial.conformance.bundle import Bundle, probe_binary
from seatrial.conformance.config import PROBE
from seatrial.conformance.errors import HarnessError, Malformed, Misbehaved
from seatrial.conformance.marks import requirement
from seatrial.conformance.report import Report, raw
from seatrial.conformance.states import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.spawn import Result

#: In the order of the lifecycle (runtime.md, "Lifecycle").
KINDS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")
#: Those that are run by create.
OF_CREATE = KINDS[:3]
#: Those whose failure ends the container before its program is run.
BEFORE_PROGRAM = KINDS[:4]
#: Those whose failure is an error; of poststart since 1.3.0.
DECISIVE = KINDS[:5]
IN_CONTAINER_NAMESPACE = ("createContainer", "startContainer")
IN_RUNTIME_NAMESPACE = tuple(kind for kind in KINDS if kind not in IN_CONTAINER_NAMESPACE)

#: What stands for the root filesystem and for the log in the words of a hook, wherever it runs.
#: Nothing that a test draws is like them: an argument cannot contain NUL.
ROOTFS = "\0rootfs"
LOG = "\0log"

#: Each a way to fail once the state was read: acts of the probe, and members of the entry.
WAYS_TO_FAIL: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "exit-status": (("exit", "1"), {}),
    "signal": (("raise", "9"), {}),
    "timeout": (("pause",), {"timeout": 1}),
}
#: Paths, the same wherever a hook runs, of what cannot be executed.
NOT_EXECUTABLE = ("/no/such/hook", "/proc", "/proc/version")

_ROW = {
    "createRuntime": "create-runtime",
    "createContainer": "create-container",
    "startContainer": "start-container",
}
#: How long something may take that a command of the runtime has brought about but not awaited.
_GRACE_S = 1.0
#: An operation has the runtime's timeout, so that waiting for its return comes to an end.
_FOREVER_S = 3600.0


def for_each_kind(*statements: str, kinds: Sequence[str] = KINDS) -> pytest.MarkDecorator:
    """Run a test once per kind of hook, each time judging that kind's rows (``invoked``, ...)."""
    return pytest.mark.parametrize(
        "kind",
        [
            pytest.param(
                kind,
                marks=requirement(
                    *(
                        f"config.hooks.{_ROW.get(kind, kind)}.{statement}"
                        for statement in statements
                    )
                ),
            )
            for kind in kinds
        ],
    )


class Hook:
    """A hook that writes its tag, stdin and report to the log, and then does ``acts``.

    ``members`` are those of its entry (``timeout``, ``env``, ...) and replace what is there by
    default.  ``ROOTFS`` and ``LOG`` in acts, ``args`` and ``path`` become paths that are right
    where the hook runs.
    """

    def __init__(self, tag: str, *acts: str, **members: Any) -> None:  # noqa: ANN401
        """Describe the hook; no container is known yet."""
        self.tag = tag
        self.acts = acts
        self.members = members

    def __repr__(self) -> str:
        """Show what it is made of, as in the call that makes it."""
        words = [
            *map(repr, (self.tag, *self.acts)),
            *(f"{k}={v!r}" for k, v in self.members.items()),
        ]
        return f"Hook({', '.join(words)})"

    def entry(self, kind: str, bundle: Bundle) -> dict[str, Any]:
        """Return it as an entry of ``hooks.<kind>`` in the config of ``bundle``."""
        inside = kind == "startContainer"
        places = {
            ROOTFS: "" if inside else str(bundle.rootfs),
            LOG: Bundle.LOG if inside else str(bundle.log),
        }

        def placed(word: str) -> str:
            for name, path in places.items():
                word = word.replace(name, path)
            return word

        # Either log, in case it runs elsewhere than it should: that is to be seen, too.
        record = ["hook", self.tag, str(bundle.log), Bundle.LOG]
        entry: dict[str, Any] = {
            "path": PROBE if inside else str(probe_binary()),
            "args": [f"hook-{self.tag}", *record, *(["+", *self.acts] if self.acts else [])],
            **self.members,
        }
        if isinstance(entry["args"], list):
            entry["args"] = [placed(word) for word in entry["args"]]
        entry["path"] = placed(entry["path"])
        return entry


def failing(way: str, tag: str = "failing") -> Hook:
    """Return a hook that fails in one of the ``WAYS_TO_FAIL``."""
    acts, members = WAYS_TO_FAIL[way]
    return Hook(tag, *acts, **members)


@dataclass(frozen=True)
class Record:
    """One line of the log: who, when it began (CLOCK_MONOTONIC), and what it was given and saw.

    ``path`` is the name by which it reached the log.  ``stdin`` and ``report`` are ``None`` for
    what is only a mark.
    """

    tag: str
    path: str
    time_ns: int
    stdin: bytes | None
    report: Report | None

    @property
    def state(self) -> State:
        """The container's state as the hook read it; raises ``Malformed``."""
        try:
            document = json.loads(self.stdin or b"")
        except ValueError as error:
            raise Malformed(
                f"what hook {self.tag} read is not JSON ({error}): {self.stdin!r}"
            ) from None
        if not isinstance(document, dict):
            raise Malformed(f"what hook {self.tag} read is not a JSON object: {self.stdin!r}")
        return State(document)

    @property
    def pid(self) -> int:
        """The container process's id that the hook was given; raises ``Malformed``."""
        pid = self.state.get("pid")
        if not isinstance(pid, int) or pid <= 0:
            raise Malformed(f"what hook {self.tag} read has no pid of a process: {self.stdin!r}")
        return pid

    @property
    def seen(self) -> Report:
        """The report; for records that have one."""
        if self.report is None:
            raise HarnessError(f"{self.tag} is a mark, which has no report")
        return self.report


def records(bundle: Bundle) -> list[Record]:
    """Return what is in the log, oldest first."""
    found = []
    for line in bundle.log_lines():
        document = json.loads(line)
        stdin, report = document.get("stdin"), document.get("report")
        found.append(
            Record(
                tag=raw(document["tag"]).decode(),
                path=raw(document["path"]).decode(),
                time_ns=document["time_ns"],
                stdin=None if stdin is None else raw(stdin),
                report=None if report is None else Report(report),
            )
        )
    return found


def tags(bundle: Bundle) -> list[str]:
    """Return the tags in the log, oldest first."""
    return [record.tag for record in records(bundle)]


def record_of(bundle: Bundle, tag: str = "hook") -> Record:
    """Return the only record with this tag; raises ``Misbehaved`` for none or several."""
    found = [record for record in records(bundle) if record.tag == tag]
    if len(found) != 1:
        raise Misbehaved(f"{tag} was called {len(found)} times instead of once")
    return found[0]


@contextlib.contextmanager
def hooked(
    harness: Harness,
    hooks: Mapping[str, Sequence[Hook]],
    *act: str,
    config: Config | None = None,
) -> Iterator[Container]:
    """Give a container, not created yet, with these hooks by kind.

    Its program does ``act``, by default nothing but marking the log with ``program``.
    """
    given = config or harness.config(*(act or ("mark", "program", Bundle.LOG)))
    with harness.bundle(given) as bundle:
        entries = {
            kind: [hook.entry(kind, bundle) for hook in listed] for kind, listed in hooks.items()
        }
        with harness.container({**given, "hooks": entries}, bundle=bundle) as container:
            yield container


def live(container: Container) -> list[Record]:
    """Create, start, await and delete a container, all of which has to succeed; return the log."""
    for operation in (container.create, container.start):
        result = operation()
        assert result.ok, result  # noqa: S101 - a verdict
    container.wait()
    result = container.delete()
    assert result.ok, result  # noqa: S101 - a verdict
    return records(container.bundle)


def attempt(container: Container) -> Result:
    """Create and, if that succeeds, start it; return the result of what was done last."""
    result = container.create()
    return container.start() if result.ok else result


def has_ended(pid: int) -> bool:
    """Whether the process ends within a moment or has ended."""
    return processes.wait(pid, timeout_s=_GRACE_S)


def at_gate(name: str = "gate") -> tuple[str, ...]:
    """Return the acts of a hook that stops at the gate of this name."""
    return ("append", f"{ROOTFS}/{name}.arrival", "here", "+", "wait", f"{ROOTFS}/{name}")


class Gate:
    """A place at which hooks (``at_gate``) stop until the harness lets them through.

    It is made in a bundle before create, closed; it is open at the latest when its context closes.
    """

    def __init__(self, bundle: Bundle, name: str = "gate") -> None:
        """Put the gate into the root filesystem."""
        self._path = bundle.rootfs / name
        arrival = bundle.rootfs / f"{name}.arrival"
        os.mkfifo(self._path)
        os.mkfifo(arrival)
        #: Readable once somebody has arrived.
        self.arrival = os.open(arrival, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        # While we hold it as a writer, reading it neither fails nor ends (fifo(7)).
        self._writer = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)

    def is_reached(self) -> bool:
        """Whether somebody is at the gate, or comes to it within a moment."""
        return bool(processes.poll([self.arrival], _GRACE_S))

    def open(self) -> None:
        """Let through whoever waits or is to come; safe to repeat."""
        if self._writer >= 0:
            # Who comes only now finds an empty file, which ends at once.
            empty = self._path.with_name(f"{self._path.name}.open")
            empty.touch()
            empty.rename(self._path)
            os.close(self._writer)
            self._writer = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Open the gate and forget it."""
        self.open()
        os.close(self.arrival)


class UnderWay:
    """An operation that runs in a thread of its own, so that the harness can look meanwhile.

    As a context it waits at the end for the operation to return, and opens the gates for that.
    """

    def __init__(self, operation: Callable[[], Result], *gates: Gate) -> None:
        """Begin an operation whose hooks may stop at the gates."""
        self._operation = operation
        self._gates = gates
        self._result: Result | None = None
        self._error: BaseException | None = None
        self._done = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # A thread starts out in the namespaces of the one that makes it, which are the harness's.
        self._thread = threading.Thread(target=self._run, name="operation")
        self._thread.start()

    def _run(self) -> None:
        try:
            self._result = self._operation()
        except BaseException as error:  # noqa: BLE001 - raised again by result()
            self._error = error
        os.eventfd_write(self._done, 1)

    @property
    def returned(self) -> bool:
        """Whether the operation has returned."""
        return self._done in processes.poll([self._done], 0)

    def reaches(self, *gates: Gate, within_s: float = _FOREVER_S) -> bool:
        """Wait until somebody is at a gate or the operation has returned; whether the former."""
        arrivals = {gate.arrival for gate in gates}
        return not arrivals.isdisjoint(processes.poll([*arrivals, self._done], within_s))

    def result(self) -> Result:
        """Wait for the operation to return, and return or raise what came of it."""
        self._thread.join()
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise HarnessError("an operation ended without a result")
        return self._result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Wait for the end of the operation, with the gates open if it has not returned yet."""
        if not self.returned:
            for gate in self._gates:
                gate.open()
        self._thread.join()
        os.close(self._done)

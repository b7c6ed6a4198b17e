"""The runtimes that are compared: a worker each, and all asked at once."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import subprocess
import sys
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, Self

from seatrial.conformance import spec
from seatrial.conformance.errors import HarnessError, UnfitError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from seatrial.conformance.adapters import Adapter
    from seatrial.conformance.cgroups import View
    from seatrial.conformance.comparison.observation import Tree

#: How long a worker may take to go once it has been told to: what it does then has a timeout.
_END_S = 60.0
_WORKER = "seatrial.conformance.comparison.worker"


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    connection: socket.socket
    answers: IO[str]

    def ask(self, members: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # said by the missing answer
            self.connection.sendall(json.dumps(members).encode() + b"\n")

    def close(self) -> None:
        self.answers.close()
        self.connection.close()


class Fleet:
    """A context in which several runtimes run the same configs.

    ``runtimes`` are their identities and views by their names, ``config_version`` is the newest
    version of config that all of them take.  Raises ``UnfitError`` on entry where one of them
    cannot run a container here.
    """

    def __init__(
        self,
        adapters: Sequence[Adapter],
        *,
        view: View | None = None,
        timeout_s: float = 10.0,
        release: str = spec.NEWEST,
    ) -> None:
        """Prepare it; nothing is started yet."""
        self._adapters = adapters
        self._asked = {"view": view, "timeout_s": timeout_s, "spec": release}
        self._workers: dict[str, _Worker] = {}
        self._numbers = itertools.count(1)
        self.runtimes: dict[str, dict[str, Any]] = {}

    def __enter__(self) -> Self:
        """Start the workers and have each smoke-test its runtime."""
        try:
            for adapter in self._adapters:
                self._workers[adapter.name] = worker = _start()
                named = {"runtime": adapter.given or adapter.command, "name": adapter.name}
                worker.ask({**self._asked, **named})
            self.runtimes = {name: self._answer(name) for name in self._workers}
        except BaseException:
            self._end()
            raise
        return self

    @property
    def config_version(self) -> str:
        """The newest version of config that all runtimes take."""
        versions = [str(each["config_version"]) for each in self.runtimes.values()]
        return min(versions, key=spec.RELEASES.index)

    def observe(self, config: dict[str, Any]) -> dict[str, Tree]:
        """Run ``config`` on all of them at once; return what was seen, by runtime."""
        request = {"config": config, "id": f"difference-{next(self._numbers)}"}
        for worker in self._workers.values():
            worker.ask(request)
        # All answers are taken before one is looked at: they belong to this request.
        answers = {name: self._answers(name) for name in self._workers}
        return {name: self._checked(name, answer)["seen"] for name, answer in answers.items()}

    def _answer(self, name: str) -> dict[str, Any]:
        return self._checked(name, self._answers(name))

    def _answers(self, name: str) -> dict[str, Any]:
        line = self._workers[name].answers.readline()
        if not line:
            raise HarnessError(f"the process that runs {name} has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _checked(self, name: str, answer: dict[str, Any]) -> dict[str, Any]:
        if "error" in answer:
            if self.runtimes:
                raise HarnessError(f"{name}: {answer['error']}", hint=answer["hint"])
            kind = UnfitError if answer["unfit"] else UsageError
            raise kind(answer["error"], hint=answer["hint"])
        return answer

    def _end(self) -> None:
        for worker in self._workers.values():
            worker.close()
        for worker in self._workers.values():
            try:
                worker.process.wait(_END_S)
            except subprocess.TimeoutExpired:
                worker.process.kill()  # its janitor sees to what it leaves
                worker.process.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the workers' sessions, and wait for that."""
        self._end()


def _start() -> _Worker:
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _WORKER, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
    return _Worker(process, ours, ours.makefile(encoding="utf-8"))

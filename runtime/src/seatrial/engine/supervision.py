"""The daemon's side of the supervisors: how they are made, asked, and heard."""

from __future__ import annotations

import asyncio
import itertools
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

from seatrial.engine import messages
from seatrial.engine.errors import EngineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatrial.engine.messages import Message

_NURSERY = "from seatrial.engine.supervisor.nursery import main; main()"


class SupervisorGone(EngineError):
    """The supervisor ended before it answered."""


class Nursery:
    """The process that forks supervisors; another is started when it is gone."""

    def __init__(self) -> None:
        self._orders: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start it, so that it is ready when the first container is."""
        self.close()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _NURSERY],
                stdin=theirs.fileno(),
                start_new_session=True,
            )
        self._orders = ours

    def spawn(self, order: Message) -> socket.socket:
        """Let a supervisor be forked; return the connection to it."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                if self._orders is None:
                    raise BrokenPipeError
                messages.send(self._orders, order, (theirs.fileno(),))
            except OSError:
                self.begin()
                assert self._orders is not None  # noqa: S101 - it was begun
                messages.send(self._orders, order, (theirs.fileno(),))
        return ours

    def close(self) -> None:
        """Let it end, which it does when nobody can order any more."""
        if self._orders is not None:
            self._orders.close()
        if self._process is not None:
            self._process.wait()
        self._orders = self._process = None


class Link:
    """A connection to one supervisor."""

    def __init__(
        self,
        connection: socket.socket,
        on_event: Callable[[Message], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._connection, self._on_event, self._on_lost = connection, on_event, on_lost
        self._numbers = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Message]] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(connection.fileno(), self._readable)

    async def ask(self, do: str, *, descriptors: tuple[int, ...] = (), **more: object) -> Message:
        """Ask for something; return the answer, whose ``error`` is empty if it was done."""
        number = next(self._numbers)
        answer: asyncio.Future[Message] = self._loop.create_future()
        self._asked[number] = answer
        try:
            messages.send(self._connection, {"number": number, "do": do, **more}, descriptors)
        except OSError:
            raise SupervisorGone("the container's supervisor is gone") from None
        return await answer

    def _readable(self) -> None:
        while True:
            try:
                received = messages.receive(self._connection, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            if received is None:
                self._lost()
                return
            message, _ = received
            if "answer" in message:
                future = self._asked.pop(message["answer"])
                if not future.done():
                    future.set_result(message)
            else:
                self._on_event(message)

    def _lost(self) -> None:
        self.close()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(SupervisorGone("the container's supervisor is gone"))
        self._asked.clear()
        self._on_lost()

    def close(self) -> None:
        """Let go of the supervisor, which goes on."""
        if self._connection.fileno() >= 0:
            self._loop.remove_reader(self._connection.fileno())
            self._connection.close()

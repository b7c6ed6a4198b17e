"""A container's streams: attach, resize, logs."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from seatrial.engine import clock, logs
from seatrial.engine.api import hijack, http
from seatrial.engine.containers import Client
from seatrial.engine.errors import BadRequest, Conflict, Unsupported
from seatrial.engine.supervisor.attachments import frame

if TYPE_CHECKING:
    import socket

    from aiohttp import web

    from seatrial.engine.containers import Container
    from seatrial.engine.engine import Engine

_STREAMS = ("stdin", "stdout", "stderr")


class Streams:
    """Handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def join(self, routes: http.Routes) -> None:
        """Add the paths."""
        routes.add("POST", "/containers/{id}/attach", self._attach)
        routes.add("POST", "/containers/{id}/resize", self._resize)
        routes.add("GET", "/containers/{id}/logs", self._logs)

    def _container(self, request: web.Request) -> Container:
        return self._engine.containers.find(request.match_info["id"])

    async def _attach(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        record = container.record
        if record.state.status == "paused":
            raise Conflict(f"Container {record.id} is paused, unpause the container before attach")
        wanted = tuple(name for name in _STREAMS if http.flag(request, name))
        if not record.config.open_stdin:
            wanted = tuple(name for name in wanted if name != "stdin")
        raw = record.config.tty
        kind = hijack.content_type(tty=raw, version=http.version(request))
        await request.read()
        connection, typed = hijack.take(request, kind)
        if http.flag(request, "logs"):
            await self._past(container, connection, wanted)
        if not http.flag(request, "stream"):
            connection.close()
            return hijack.Taken()
        client = Client(connection, wanted, typed, request.query.get("detachKeys", "ctrl-p,ctrl-q"))
        async with container.lock:
            if container.link is None:
                container.waiting.add(client)
            else:
                with connection:
                    await container.link.ask(
                        "attach", descriptors=(connection.fileno(),), exec="", **client.order()
                    )
        self._engine.tell(record, "attach")
        return hijack.Taken()

    async def _past(
        self, container: Container, connection: socket.socket, wanted: tuple[str, ...]
    ) -> None:
        path = self._engine.log_path(container.record)
        log = logs.Log(path) if path else None
        if log is None:
            return
        loop = asyncio.get_running_loop()
        for entry in log.past(logs.Wanted(frozenset(wanted))):
            text = entry.text if container.record.config.tty else frame(entry.stream, entry.text)
            await loop.sock_sendall(connection, text)
        log.close()

    async def _resize(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        rows, columns = http.number(request, "h"), http.number(request, "w")
        if rows is None or columns is None:
            raise BadRequest("want the size as h and w")
        if container.link is None:
            raise Conflict(f"Container {container.record.id} is not running")
        await container.link.ask("resize", exec="", rows=rows, columns=columns)
        return http.done(200)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        container = self._container(request)
        record = container.record
        streams = frozenset(name for name in ("stdout", "stderr") if http.flag(request, name))
        if not streams:
            raise BadRequest("Bad parameters: you must choose at least one stream")
        path = self._engine.log_path(record)
        if not path:
            raise Unsupported("configured logging driver does not support reading")
        wanted = _wanted(request, streams)
        tty = record.config.tty
        stream = http.Stream(request, hijack.content_type(tty=tty, version=http.version(request)))
        await stream.begin()
        times = http.flag(request, "timestamps")
        # Attributes of labels and variables would come before a line; there are none in our logs.
        details = b" " if http.flag(request, "details") else b""
        if http.flag(request, "follow"):
            over: asyncio.Future[int] = container.next_exit()
            try:
                lines = logs.follow(path, wanted, over, lambda: _goes_on(container))
                async with aclosing(lines):
                    async for entry in lines:
                        await stream.response.write(
                            _line(entry, tty=tty, times=times, details=details)
                        )
            finally:
                over.cancel()
        else:
            log = logs.Log(path)
            for entry in log.past(wanted):
                await stream.response.write(_line(entry, tty=tty, times=times, details=details))
            log.close()
        return await stream.end()


def _goes_on(container: Container) -> bool:
    state = container.record.state
    return state.running or state.status == "restarting"


def _wanted(request: web.Request, streams: frozenset[str]) -> logs.Wanted:
    since, until = (request.query.get(name, "") for name in ("since", "until"))
    tail = request.query.get("tail", "")
    if tail not in {"", "all"} and not tail.lstrip("-").isdecimal():
        tail = "all"  # as dockerd does with what is no number
    since_ns = clock.given_ns(since) if since else 0
    until_ns = clock.given_ns(until) if until and until != "0" else None
    lines = None if tail in {"", "all"} or int(tail) < 0 else int(tail)
    return logs.Wanted(streams, since_ns, until_ns, lines)


def _line(entry: logs.Entry, *, tty: bool, times: bool, details: bytes) -> bytes:
    text = (f"{entry.time} ".encode() if times else b"") + details + entry.text
    return text if tty else frame(entry.stream, text)

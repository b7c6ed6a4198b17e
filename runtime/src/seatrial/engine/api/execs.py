"""Processes of ``docker exec``."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from seatrial.engine import execution
from seatrial.engine.api import hijack, http
from seatrial.engine.containers import Client
from seatrial.engine.errors import BadRequest, Conflict
from seatrial.engine.payloads import ExecRequest, ExecStart

if TYPE_CHECKING:
    from aiohttp import web

    from seatrial.engine.engine import Engine

#: How long a terminal's size waits for the terminal.
_PATIENCE_S = 10.0


class Execs:
    """Handlers."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def join(self, routes: http.Routes) -> None:
        """Add the paths."""
        routes.add("POST", "/containers/{id}/exec", self._create)
        routes.add("POST", "/exec/{id}/start", self._start)
        routes.add("POST", "/exec/{id}/resize", self._resize)
        routes.add("GET", "/exec/{id}/json", self._inspect)

    async def _create(self, request: web.Request) -> web.StreamResponse:
        wanted = await http.body(request, ExecRequest)
        container = self._engine.containers.find(request.match_info["id"])
        return http.reply({"Id": execution.create(self._engine, container, wanted).id}, 201)

    async def _start(self, request: web.Request) -> web.StreamResponse:
        how = await http.optional_body(request, ExecStart)
        wanted = execution.find(self._engine, request.match_info["id"])
        asked = wanted.request
        if how.detach:
            await execution.start(self._engine, wanted, None, how.console_size)
            return http.done(200)
        if how.tty != asked.tty:
            raise BadRequest("the process was created with another choice of a terminal")
        execution.must_be_new(wanted)
        chosen = {"stdin": asked.attach_stdin, "stdout": asked.attach_stdout}
        chosen["stderr"] = asked.attach_stderr
        streams = tuple(name for name, attached in chosen.items() if attached)
        kind = hijack.content_type(tty=asked.tty, version=http.version(request))
        connection, typed = hijack.take(request, kind)
        keys = asked.detach_keys or "ctrl-p,ctrl-q"
        with connection:
            client = Client(connection, streams, typed, keys)
            try:
                await execution.start(self._engine, wanted, client, how.console_size)
            except (BadRequest, Conflict) as error:
                # Too late for a status: what is wrong goes where the output would.
                with suppress(OSError):  # the client is gone
                    connection.setblocking(True)
                    connection.sendall(_said(f"{error}\r\n", tty=asked.tty))
                    connection.shutdown(socket.SHUT_RDWR)
        return hijack.Taken()

    async def _resize(self, request: web.Request) -> web.StreamResponse:
        wanted = execution.find(self._engine, request.match_info["id"])
        rows, columns = http.number(request, "h"), http.number(request, "w")
        if rows is None or columns is None:
            raise BadRequest("want the size as h and w")
        # A client has its connection before the process runs, and may tell the size at once.
        with suppress(TimeoutError):
            await asyncio.wait_for(wanted.begun.wait(), _PATIENCE_S)
        link = wanted.container.link
        if link is None or not wanted.running:
            raise Conflict(f"exec {wanted.id} is not running")
        await link.ask("resize", exec=wanted.id, rows=rows, columns=columns)
        return http.done(200)

    async def _inspect(self, request: web.Request) -> web.StreamResponse:
        wanted = execution.find(self._engine, request.match_info["id"])
        asked = wanted.request
        words = asked.cmd or [""]
        return http.reply(
            {
                "ID": wanted.id,
                "Running": wanted.running,
                "ExitCode": wanted.exit_code,
                "ProcessConfig": {
                    "tty": asked.tty,
                    "entrypoint": words[0],
                    "arguments": words[1:],
                    "privileged": asked.privileged,
                    **({"user": asked.user} if asked.user else {}),
                },
                "OpenStdin": asked.attach_stdin,
                "OpenStderr": asked.attach_stderr,
                "OpenStdout": asked.attach_stdout,
                "CanRemove": wanted.exit_code is not None,
                "ContainerID": wanted.container.record.id,
                "DetachKeys": asked.detach_keys,
                "Pid": wanted.pid,
            }
        )


def _said(text: str, *, tty: bool) -> bytes:
    from seatrial.engine.supervisor.attachments import frame

    return text.encode() if tty else frame("stdout", text.encode())

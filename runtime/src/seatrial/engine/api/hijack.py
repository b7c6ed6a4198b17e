"""A client's connection taken out of HTTP: from then on it carries a container's streams.

aiohttp leaves the connection alone after the handler returns ``Taken``. What the client has sent
behind its request is in the protocol's ``_message_tail``, the one private name that is needed here.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from aiohttp import web

from seatrial.engine.errors import BadRequest

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
#: From this version on, streams with headers have a type of their own.
_TYPED_SINCE = (1, 42)


class Taken(web.StreamResponse):
    """The answer of a handler that has answered by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send no head."""
        del request
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Send no end."""
        del data


def content_type(*, tty: bool, version: tuple[int, int]) -> str:
    """Return the type of a stream: with headers unless there is a terminal."""
    return RAW if tty or version < _TYPED_SINCE else MULTIPLEXED


def take(request: web.Request, kind: str) -> tuple[socket.socket, bytes]:
    """Answer, and take the connection; return it with what the client sent already."""
    transport = request.transport
    held = transport.get_extra_info("socket") if transport is not None else None
    if transport is None or held is None:
        raise BadRequest("the connection is gone")
    transport.pause_reading()
    upgraded = request.headers.get("Upgrade", "").lower() == "tcp"
    head = [
        "HTTP/1.1 101 UPGRADED" if upgraded else "HTTP/1.1 200 OK",
        f"Content-Type: {kind}",
        *(["Connection: Upgrade", "Upgrade: tcp"] if upgraded else []),
    ]
    connection = socket.socket(fileno=os.dup(held.fileno()))
    # It is the first that this connection carries back, and short: the kernel takes all of it.
    connection.setblocking(True)
    connection.sendall("\r\n".join([*head, "", ""]).encode())
    connection.setblocking(False)
    protocol = request.protocol
    typed = bytes(getattr(protocol, "_message_tail", b""))
    protocol._message_tail = b""  # noqa: SLF001 - see above
    return connection, typed

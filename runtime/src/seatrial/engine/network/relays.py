"""Relays: connections to a published port that no rule leads to the container.

The rules take most of them. What is left comes by IPv6 to a container that has none, or to ::1
(there is no way out from there), or while somebody has taken the rules away.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

    from seatrial.engine.network.endpoints import Published

_PIECE = 1 << 16


class Relays:
    """All relays; those of ports of TCP."""

    def __init__(self) -> None:
        self._servers: dict[Published, asyncio.Server] = {}

    async def begin(self, port: Published, listening: socket.socket, address: str) -> None:
        """Pass on what comes to a socket that listens."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                inner = await asyncio.open_connection(address, port.port)
            except OSError:
                writer.close()
                return
            await asyncio.gather(_copy(reader, inner[1]), _copy(inner[0], writer))
            for each in (inner[1], writer):
                each.close()
                with suppress(OSError):
                    await each.wait_closed()

        self._servers[port] = await asyncio.start_server(connected, sock=listening)

    def end(self, port: Published) -> None:
        """Pass on nothing more."""
        server = self._servers.pop(port, None)
        if server is not None:
            server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

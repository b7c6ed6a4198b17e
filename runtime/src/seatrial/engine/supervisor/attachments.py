"""A client's connection, handed to us: what the program says goes out, what is typed comes in."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress

STREAMS = {"stdin": 0, "stdout": 1, "stderr": 2}
#: What a client may leave unread before the program has to wait for it.
PATIENCE_BYTES = 1 << 20
CHUNK = 1 << 16


def frame(stream: str, data: bytes) -> bytes:
    """Put the header before what a stream says: its number, and how much it is."""
    return struct.pack(">BxxxL", STREAMS[stream], len(data)) + data


class Attachment:
    """One client; without a terminal stdout and stderr are framed, with one all is as it comes."""

    def __init__(
        self,
        connection: socket.socket,
        *,
        wanted: tuple[str, ...],
        raw: bool,
        typed: bytes = b"",
        detach_keys: bytes = b"",
    ) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.wants_stdin = "stdin" in wanted
        self._wanted, self._raw = wanted, raw
        self._out = bytearray()
        self._typed = typed
        self._detach_keys, self._held = detach_keys, b""
        self.ending = False
        self.broken = False

    def take(self, stream: str, data: bytes) -> None:
        """Keep what a stream said for the client, if it wants to know."""
        if stream in self._wanted and not self.broken:
            self._out += data if self._raw else frame(stream, data)
            self.flush()

    def flush(self) -> None:
        """Send what the connection takes."""
        while self._out and not self.broken:
            try:
                sent = self.connection.send(self._out)
            except BlockingIOError:
                return
            except OSError:
                self.broken = True
                return
            del self._out[:sent]

    @property
    def waiting_bytes(self) -> int:
        """How much the client has not taken yet."""
        return 0 if self.broken else len(self._out)

    def read(self) -> bytes | None:
        """Return what was typed; None for its end. Typed detach keys end it too."""
        if self._typed:
            data, self._typed = self._typed, b""
        else:
            try:
                data = self.connection.recv(CHUNK)
            except BlockingIOError:
                return b""
            except OSError:
                self.broken = True
                return None
        if not data:
            return None
        return self._without_detach_keys(data) if self._detach_keys else data

    @property
    def has_typed(self) -> bool:
        """Whether something was typed that no event of the connection will tell of."""
        return bool(self._typed)

    def _without_detach_keys(self, data: bytes) -> bytes | None:
        passed = bytearray()
        for number in data:
            self._held += bytes([number])
            if self._held == self._detach_keys:
                self.ending = True
                return bytes(passed) or None
            if not self._detach_keys.startswith(self._held):
                passed += self._held
                self._held = b""
        return bytes(passed)

    def close(self) -> None:
        """Let the client see the end."""
        with suppress(OSError):  # it has gone before us
            self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()


def by_names(keys: str) -> bytes:
    """Read detach keys as they are written, ``ctrl-p,ctrl-q``; what makes no sense is none."""
    read = bytearray()
    for key in keys.split(",") if keys else ():
        name = key.removeprefix("ctrl-")
        if len(name) != 1 or not name.isascii():
            return b""
        read.append(ord(name.upper()) & 0x1F if name != key else ord(name))
    return bytes(read)

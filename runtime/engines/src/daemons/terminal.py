"""A terminal with a command in it, as a person would have it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import termios
from typing import Self

from daemons.room import TIMEOUT_S, Room


class Terminal:
    """A command of the room whose standard streams, and controlling terminal, are a terminal."""

    def __init__(self, room: Room, *argv: str, rows: int = 24, columns: int = 80) -> None:
        self._controller, terminal = pty.openpty()
        self.resize(rows, columns)
        self.said = ""
        try:
            self._process = subprocess.Popen(
                ["setsid", "--ctty", "--wait", *room.entering(*argv)],
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                env=room.environment,
            )
        finally:
            os.close(terminal)

    def resize(self, rows: int, columns: int) -> None:
        """Change its size; the kernel tells whoever runs in it (SIGWINCH)."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._controller, termios.TIOCSWINSZ, size)

    def resize_until(self, rows: int, columns: int, text: str) -> None:
        """Change its size until that has come through to the program, which then says ``text``.

        docker's client misses a change that comes before it has begun to look for them.
        """
        for attempt in range(int(TIMEOUT_S)):
            self.resize(rows + attempt % 2, columns)
            self.resize(rows, columns)
            if self._comes(text, timeout_s=1.0):
                return
        raise AssertionError(f"no {text!r} in the terminal, but {self.said!r}")

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self._controller, text.encode())

    def expect(self, text: str) -> None:
        """Read until ``text`` is there; what was read before it is forgotten."""
        assert self._comes(text), f"no {text!r} in the terminal, but {self.said!r}"

    def end(self) -> int:
        """Read what is left; return the exit status of the command."""
        while self._read():
            pass
        return self._process.wait(TIMEOUT_S)

    def _comes(self, text: str, timeout_s: float = TIMEOUT_S) -> bool:
        while text not in self.said:
            if not self._read(timeout_s):
                return False
        self.said = self.said.partition(text)[2]
        return True

    def _read(self, timeout_s: float = TIMEOUT_S) -> bool:
        if not select.select([self._controller], [], [], timeout_s)[0]:
            return False
        try:
            data = os.read(self._controller, 1 << 16)
        except OSError:  # EIO: nobody has the other end any more
            return False
        self.said += data.decode(errors="replace")
        return bool(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._controller)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(TIMEOUT_S)

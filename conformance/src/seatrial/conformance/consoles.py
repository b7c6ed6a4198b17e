"""The caller's end of a container's terminal, as a runtime hands it over on a console socket.

How that is done is no part of the spec; it is what runtimes have in common.  The caller listens
on a socket of the file system, the runtime connects to it during create, and sends one message
with one descriptor: the master of the pseudoterminal (unix(7), pty(7)).
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Self

from seatrial.conformance import processes, report
from seatrial.conformance.errors import HarnessError, Hung, Malformed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from seatrial.conformance.config import Config
    from seatrial.conformance.container import Container
    from seatrial.conformance.harness import Harness
    from seatrial.conformance.report import Report
    from seatrial.conformance.spawn import Result

_CHUNK_BYTES = 1 << 16
_MESSAGE_BYTES = 1 << 12
#: sun_path with its final NUL (unix(7)).
_LONGEST_PATH_BYTES = 107

#: What a bundle has to mount for a terminal of the container's own (config.md, "Mounts").
DEVPTS = {
    "destination": "/dev/pts",
    "type": "devpts",
    "source": "devpts",
    "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
}


class Console:
    """The master of a pseudoterminal: what the program prints can be read, and be written to it."""

    def __init__(self, descriptor: int, *, timeout_s: float) -> None:
        """Take over ``descriptor``; raises ``Malformed`` if it is not a terminal."""
        self._descriptor = descriptor
        self._timeout_s = timeout_s
        self._consumed = 0
        self.content = b""
        self.ended = False
        if not os.isatty(descriptor):
            self.close()
            raise Malformed("what came through the console socket is not a terminal")
        os.set_blocking(descriptor, False)

    def fileno(self) -> int:
        """Return the descriptor, which stays the console's own."""
        return self._descriptor

    @property
    def size(self) -> os.terminal_size:
        """The window size, in columns and lines."""
        return os.get_terminal_size(self._descriptor)

    def write(self, text: bytes) -> None:
        """Type ``text``, which has to be less than a terminal buffers (4095 bytes)."""
        if os.write(self._descriptor, text) != len(text):
            raise HarnessError(f"the terminal did not take {len(text)} bytes at once")

    def output(self) -> bytes:
        """Return all that was printed up to the end, which is when nobody has the terminal open."""
        deadline = time.monotonic() + self._timeout_s
        while not self.ended:
            self._read(deadline)
        return self.content

    def report(self) -> Report:
        """Wait for the end of the container process, and return the report it printed last."""
        lines = self.output().splitlines()
        if not lines:
            raise Malformed("the program ended and printed nothing to its terminal")
        return report.parse(lines[-1])

    def read_line(self) -> dict[str, Any]:
        """Return the next line that the probe printed, waiting for it."""
        deadline = time.monotonic() + self._timeout_s
        while True:
            line, newline, _ = self.content[self._consumed :].partition(b"\n")
            if newline:
                self._consumed += len(line) + 1
                return report.parse_line(line)
            if self.ended:
                raise Malformed("the program ended without a line on its terminal")
            self._read(deadline)

    def _read(self, deadline: float) -> None:
        if not processes.poll([self._descriptor], deadline - time.monotonic()):
            raise Hung(f"nothing came from the terminal within {self._timeout_s:g} s")
        try:
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno != errno.EIO:  # how Linux says that nobody has the other end any more
                raise
            chunk = b""
        self.content += chunk
        self.ended = not chunk

    def close(self) -> None:
        """Hang up; safe to repeat."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Hang up."""
        self.close()


class ConsoleSocket:
    """A listening socket in the file system, for as long as the context is open."""

    def __init__(self, folder: Path) -> None:
        """Make it in ``folder``; nothing has to be accepted for a runtime to connect and send."""
        self.path = str(folder / "console")
        if len(os.fsencode(self.path)) > _LONGEST_PATH_BYTES:
            raise HarnessError(
                f"{self.path} is too long for a socket", hint="set TMPDIR to a shorter path"
            )
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(1)

    def receive(self, *, timeout_s: float) -> Console:
        """Return the console that a runtime sent or sends.

        Raises ``Hung`` when nothing comes, ``Malformed`` when something else comes.
        """
        deadline = time.monotonic() + timeout_s
        self._await(self._listener, deadline, "nobody connected to the console socket")
        connection, _ = self._listener.accept()
        with connection:
            self._await(connection, deadline, "nothing was sent on the console socket")
            _, descriptors, _, _ = socket.recv_fds(connection, _MESSAGE_BYTES, 8)
        if len(descriptors) != 1:
            for descriptor in descriptors:
                os.close(descriptor)
            raise Malformed(f"{len(descriptors)} descriptors came through the console socket")
        # recv_fds takes MSG_CMSG_CLOEXEC, but Python 3.11 forgets about it.
        os.set_inheritable(descriptors[0], False)  # noqa: FBT003 - it takes no keywords
        return Console(descriptors[0], timeout_s=timeout_s)

    def _await(self, expected: socket.socket, deadline: float, complaint: str) -> None:
        if not processes.poll([expected.fileno()], deadline - time.monotonic()):
            raise Hung(complaint)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close and remove the socket."""
        self._listener.close()
        os.unlink(self.path)


def attempt(harness: Harness, config: Config) -> Result:
    """Do as ``Harness.attempt``, with a console socket."""
    with (
        harness.container(config) as container,
        ConsoleSocket(container.bundle.path) as listener,
    ):
        result = container.create(console_socket=listener.path)
        if result.failed:
            return result
        with listener.receive(timeout_s=harness.runtime.timeout_s):
            return container.start()


@contextlib.contextmanager
def created(harness: Harness, config: Config) -> Iterator[tuple[Container, Console]]:
    """Give a created container whose config has ``terminal``, and the caller's end of that.

    Whatever is amiss on the way there is a failed assertion or ``Hung``.
    """
    timeout_s = harness.runtime.timeout_s
    with (
        harness.container(config) as container,
        ConsoleSocket(container.bundle.path) as listener,
    ):
        result = container.create(console_socket=listener.path)
        assert result.ok, result  # noqa: S101 - a verdict
        with listener.receive(timeout_s=timeout_s) as console:
            yield container, console


def run(harness: Harness, config: Config) -> Report:
    """Create and start a container with a terminal, and return the report it printed there."""
    with created(harness, config) as (container, console):
        result = container.start()
        assert result.ok, result  # noqa: S101 - a verdict
        return console.report()

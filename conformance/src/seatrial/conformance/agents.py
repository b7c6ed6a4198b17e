"""The seccomp agent: who is sent the container process state and answers for system calls.

config-linux.md, "Seccomp" and "The Container Process State"; seccomp_unotify(2).
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import json
import os
import socket
import struct
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from seatrial.conformance import processes
from seatrial.conformance.errors import HarnessError, Malformed, Misbehaved

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

_CHUNK_BYTES = 1 << 16
_MOST_DESCRIPTORS = 16
#: sun_path with its final NUL (unix(7)).
_LONGEST_PATH_BYTES = 107
#: How long it is waited for what should not come.
_GRACE_S = 0.3

#: struct seccomp_notif: id, pid, flags, and struct seccomp_data: nr, arch, ip, six arguments.
_NOTIFICATION = struct.Struct("=QIIiIQ6Q")
#: struct seccomp_notif_resp: id, value, error, flags.
_RESPONSE = struct.Struct("=QqiI")
_ID = struct.Struct("=Q")


def _request(direction: int, number: int, size: int) -> int:
    """Return an ioctl(2) request number of seccomp's."""
    return direction << 30 | size << 16 | ord("!") << 8 | number


_RECV = _request(3, 0, _NOTIFICATION.size)
_SEND = _request(3, 1, _RESPONSE.size)
_ID_VALID = _request(1, 2, _ID.size)


@dataclass(frozen=True)
class Notification:
    """A system call that waits for its answer; ``pid`` is the caller's in our pid namespace."""

    id: int
    pid: int
    number: int
    arguments: tuple[int, ...]


class Listener:
    """A notify descriptor, as it came through the agent's socket."""

    def __init__(self, descriptor: int, *, timeout_s: float) -> None:
        """Take over ``descriptor``."""
        self._descriptor = descriptor
        self._timeout_s = timeout_s

    def receive(self) -> Notification:
        """Return the next call that waits for an answer; raises ``Misbehaved`` if none comes.

        A descriptor that is no notify descriptor raises ``Malformed``.
        """
        if not processes.poll([self._descriptor], self._timeout_s):
            raise Misbehaved(f"no call was notified within {self._timeout_s:g} s")
        buffer = bytearray(_NOTIFICATION.size)
        try:
            fcntl.ioctl(self._descriptor, _RECV, buffer)
        except OSError as error:
            if error.errno == errno.ENOENT:
                raise Misbehaved("the call was gone before it could be answered") from None
            raise Malformed(
                f"the descriptor that was sent takes no notification: {error.strerror}"
            ) from None
        identifier, pid, _, number, _, _, *arguments = _NOTIFICATION.unpack(buffer)
        return Notification(identifier, pid, number, tuple(arguments))

    def waits(self, notification: Notification) -> bool:
        """Whether the call still waits for its answer."""
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._descriptor, _ID_VALID, _ID.pack(notification.id))
            return True
        return False

    def is_asked_again(self) -> bool:
        """Whether another notification is there or comes within a moment."""
        return bool(processes.poll([self._descriptor], _GRACE_S))

    def answer(self, notification: Notification, *, value: int = 0, error: int = 0) -> None:
        """Have the call return ``value``, or fail with ``error``."""
        response = bytearray(_RESPONSE.pack(notification.id, value, -error, 0))
        try:
            fcntl.ioctl(self._descriptor, _SEND, response)
        except OSError as failure:
            raise Misbehaved(f"the call takes no answer: {failure.strerror}") from None

    def close(self) -> None:
        """Let go; calls that wait fail with ENOSYS from then on."""
        os.close(self._descriptor)


@dataclass(frozen=True)
class Part:
    """What one read from a connection gave."""

    content: bytes
    descriptors: tuple[int, ...]


class Delivery:
    """All that came through one connection, up to its end."""

    def __init__(self, parts: list[Part], *, ended: bool, timeout_s: float) -> None:
        """Keep the parts; ``ended`` says whether the other side has closed."""
        self.parts = parts
        self.ended = ended
        self._timeout_s = timeout_s
        self._listeners: dict[int, Listener] = {}

    @property
    def payload(self) -> bytes:
        """The bytes of all parts."""
        return b"".join(part.content for part in self.parts)

    @property
    def descriptors(self) -> list[int]:
        """The descriptors of all parts, in their order; they stay the delivery's own."""
        return [descriptor for part in self.parts for descriptor in part.descriptors]

    @property
    def state(self) -> dict[str, Any]:
        """The container process state; raises ``Malformed``."""
        try:
            document = json.loads(self.payload)
        except (ValueError, RecursionError) as error:
            raise Malformed(f"what the agent got is not JSON ({error}): {self.payload!r}") from None
        if not isinstance(document, dict):
            raise Malformed(f"what the agent got is not a JSON object: {self.payload!r}")
        return document

    @property
    def listener(self) -> Listener:
        """The descriptor whose name is seccompFd; raises ``Malformed`` without it."""
        names = self.state.get("fds")
        if not isinstance(names, list) or "seccompFd" not in names:
            raise Malformed(f"there is no seccompFd among the names of descriptors: {names!r}")
        place = names.index("seccompFd")
        if place >= len(self.descriptors):
            raise Malformed(f"of descriptors {names!r} only {len(self.descriptors)} were sent")
        descriptor = self.descriptors[place]
        if descriptor not in self._listeners:
            self._listeners[descriptor] = Listener(descriptor, timeout_s=self._timeout_s)
        return self._listeners[descriptor]

    def close(self) -> None:
        """Close the descriptors."""
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.parts = []


class Agent:
    """A listening socket at ``path``, for as long as the context is open.

    A runtime can connect to it and send before anything is accepted.  All that came is closed with
    it, so that no call waits for ever.
    """

    def __init__(
        self,
        folder: Path,
        *,
        timeout_s: float,
        kind: socket.SocketKind = socket.SOCK_STREAM,
    ) -> None:
        """Make the socket in ``folder``; another ``kind`` than a stream cannot be connected to."""
        self.path = str(folder / "agent")
        if len(os.fsencode(self.path)) > _LONGEST_PATH_BYTES:
            raise HarnessError(
                f"{self.path} is too long for a socket", hint="set TMPDIR to a shorter path"
            )
        self._timeout_s = timeout_s
        self._deliveries: list[Delivery] = []
        self._socket = socket.socket(socket.AF_UNIX, kind)
        self._socket.bind(self.path)
        if kind == socket.SOCK_STREAM:
            self._socket.listen(16)

    def is_sought(self) -> bool:
        """Whether somebody has connected, or does within a moment, and was not received yet."""
        return bool(processes.poll([self._socket.fileno()], _GRACE_S))

    def turn_away(self) -> bool:
        """Accept a connection and hang up; whether nothing had been sent on it by then."""
        connection, _ = self._socket.accept()
        with connection:
            return not processes.poll([connection.fileno()], 0)

    def stop_listening(self) -> None:
        """Close the socket and leave its file."""
        self._socket.close()

    def receive(self) -> Delivery:
        """Return what one connection brings up to its end; raises ``Misbehaved`` if none comes."""
        deadline = time.monotonic() + self._timeout_s
        if not processes.poll([self._socket.fileno()], self._timeout_s):
            raise Misbehaved(f"nobody connected to the agent within {self._timeout_s:g} s")
        connection, _ = self._socket.accept()
        parts: list[Part] = []
        ended = False
        with connection:
            for part in self._parts(connection, deadline):
                ended = part is None
                if part is not None:
                    parts.append(part)
        delivery = Delivery(parts, ended=ended, timeout_s=self._timeout_s)
        self._deliveries.append(delivery)
        return delivery

    def _parts(self, connection: socket.socket, deadline: float) -> Iterator[Part | None]:
        while processes.poll([connection.fileno()], deadline - time.monotonic()):
            space = socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
            try:
                content, ancillary, _, _ = connection.recvmsg(
                    _CHUNK_BYTES, space, socket.MSG_CMSG_CLOEXEC
                )
            except ConnectionResetError:
                content, ancillary = b"", []
            descriptors = array.array("i")
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    whole = len(data) - len(data) % descriptors.itemsize
                    descriptors.frombytes(data[:whole])
            if not content and not descriptors:
                yield None
                return
            yield Part(content, tuple(descriptors))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close all that came, and remove the socket."""
        for delivery in self._deliveries:
            delivery.close()
        self._socket.close()
        os.unlink(self.path)

"""The kernel's audit log as it is written: what filters have it log (seccomp(2))."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from seatrial.conformance import namespaces, processes
from seatrial.conformance.bundle import probe_binary
from seatrial.conformance.syscalls import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import TracebackType

_NETLINK_AUDIT = 9
_GROUP_READLOG = 1
_HEADER_BYTES = 16
_BUFFER_BYTES = 1 << 20
_SECCOMP = 1326
_FIELD = re.compile(r"\b(pid|syscall|sig)=(\d+)\b|\b(code)=0x([0-9a-f]+)\b")


@dataclass(frozen=True)
class Logged:
    """One record of seccomp: ``code`` is the filter's action."""

    pid: int
    syscall: int
    code: int


class AuditLog:
    """The log from now on; an ``OSError`` where it cannot be read.

    There is one log, which belongs to the host's network namespace; reading it takes nothing away
    from anybody.
    """

    def __init__(self) -> None:
        """Begin to listen."""
        with namespaces.outside("net"):
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_AUDIT)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
            self._socket.bind((0, _GROUP_READLOG))
        except OSError:
            self._socket.close()
            raise

    def codes(
        self, *syscalls: int, pids: Collection[int], count: int, timeout_s: float
    ) -> list[int]:
        """Return what filters did to ``syscalls`` of processes: ``count`` records, or fewer.

        The log has the pids of the host's first pid namespace, and is everybody's: other programs
        may make the same calls meanwhile, those of another run of the suite too.
        """
        deadline = time.monotonic() + timeout_s
        found: list[int] = []
        while len(found) < count and processes.poll(
            [self._socket.fileno()], deadline - time.monotonic()
        ):
            record = _parse(self._socket.recv(1 << 16))
            if record is not None and record.pid in pids and record.syscall in syscalls:
                found.append(record.code)
        return found

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop listening."""
        self._socket.close()


def _parse(message: bytes) -> Logged | None:
    if int.from_bytes(message[4:6], "little") != _SECCOMP:
        return None
    text = message[_HEADER_BYTES:].decode(errors="replace")
    fields = {
        name or code: int(number) if name else int(value, 16)
        for name, number, code, value in _FIELD.findall(text)
    }
    if not fields.keys() >= {"pid", "syscall", "code"}:
        return None
    return Logged(fields["pid"], fields["syscall"], fields["code"])


def refusal() -> str:
    """Return why the log cannot be read here, empty if it can: a call of ours is found in it."""
    call = NUMBERS["munlockall"]
    try:
        with AuditLog() as log:
            command = [str(probe_binary()), "logged", str(call)]
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as caller:
                caller.wait()
            codes = log.codes(call, pids=[caller.pid], count=1, timeout_s=1)
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    return "" if codes else "a call that should be in it is not"

"""A process under a pid of our choice: how a pid that a runtime remembers becomes another's."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.conformance import processes
from seatrial.conformance.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_SYS_CLONE3 = 435  # on every architecture (syscalls(2))
_START_TIME = 19  # in /proc/PID/stat, after the name in brackets (proc(5))

# Keeps the interpreter's lock, which the child could otherwise not be sure to get back.
_libc = ctypes.PyDLL(None, use_errno=True)


class _Arguments(ctypes.Structure):
    """``struct clone_args`` (clone(2)), up to the members that we use."""

    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            *("flags", "pidfd", "child_tid", "parent_tid", "exit_signal"),
            *("stack", "stack_size", "tls", "set_tid", "set_tid_size"),
        )
    ]


def start_time(pid: int) -> int:
    """Return when ``pid`` was started, in clock ticks since boot."""
    text = Path(f"/proc/{pid}/stat").read_text()
    return int(text.rpartition(") ")[2].split()[_START_TIME])


@contextlib.contextmanager
def taken(pid: int, argv: Sequence[str], *, not_at: int) -> Iterator[None]:
    """Have ``argv`` run as ``pid``, which has to be free, until the context closes.

    Its start time is another than ``not_at``, or nobody could tell the two apart.
    """
    _start(pid, argv)
    try:
        while start_time(pid) == not_at:
            _end(pid)
            _start(pid, argv)
        yield
    finally:
        _end(pid)


def _start(pid: int, argv: Sequence[str]) -> None:
    tids = (ctypes.c_int * 1)(pid)
    arguments = _Arguments(
        exit_signal=signal.SIGCHLD, set_tid=ctypes.addressof(tids), set_tid_size=1
    )
    result = _libc.syscall(_SYS_CLONE3, ctypes.byref(arguments), ctypes.sizeof(arguments))
    if result == 0:
        try:
            os.execv(argv[0], [*argv])  # noqa: S606 - no shell is wanted
        finally:
            os._exit(127)
    if result < 0:
        raise HarnessError(f"clone3 with pid {pid}: {os.strerror(ctypes.get_errno())}")


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    processes.reap(pid, block=True)

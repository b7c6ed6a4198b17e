"""Processes: who is below us, waiting for their end by pidfd, ending a whole tree."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from seatrial.conformance.errors import HarnessError, UnfitError

if TYPE_CHECKING:
    from collections.abc import Iterator

PR_SET_CHILD_SUBREAPER = 36

#: Where version 1 freezes processes (cgroups(7)).
_FREEZER = "/sys/fs/cgroup/freezer"
#: How long a killed process may take to end before it is looked at for a reason.
_PROMPT_S = 0.5

_libc = ctypes.CDLL(None, use_errno=True)

#: Exit statuses of children that ``collecting`` has collected, for whoever asks for them.
_collected: dict[int, int] = {}
#: Those that are not to be collected when they end.
_left: set[int] = set()
#: So that nobody asks for a status between its collection and its being kept.
_collection = threading.RLock()


def become_subreaper() -> None:
    """Make orphaned descendants our children (prctl(2)), so that none can hide from us.

    Raises ``UnfitError`` where the kernel cannot list children.
    """
    if not Path("/proc/thread-self/children").exists():
        raise UnfitError(
            "/proc/thread-self/children is missing, and with it what a runtime leaves running",
            hint="mount /proc; the kernel has to be built with CONFIG_PROC_CHILDREN",
        )
    if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise HarnessError(f"prctl PR_SET_CHILD_SUBREAPER: {os.strerror(ctypes.get_errno())}")


def children(pid: int) -> list[int]:
    """Return the children of all threads of ``pid``; empty when it is gone (proc(5))."""
    found: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/task/{thread}/children").read_text()
                found.extend(int(word) for word in text.split())
    return found


def descendants(pid: int) -> Iterator[int]:
    """Yield every process below ``pid``, parents first."""
    for child in children(pid):
        yield child
        yield from descendants(child)


def command_line(pid: int) -> str:
    """Return what ``pid`` runs, for messages; empty when it is gone."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""
    return raw.replace(b"\0", b" ").decode(errors="replace").strip() or f"[{name}]"


@contextlib.contextmanager
def collecting() -> Iterator[None]:
    """Collect our children as they end, as init does, but those that are there already.

    A process that has ended is there until its parent has collected it, and for an orphan of a
    runtime that is us: a runtime that waits for the end of what it left running would wait for
    ever.  ``reap`` still gives the exit statuses.  For the main thread (signal(7)).
    """
    spared = frozenset(children(os.getpid()))

    def collect(*_: object) -> None:
        with _collection:
            for pid in children(os.getpid()):
                status = None if pid in spared | _left else _wait_for(pid, os.WNOHANG)
                if status is not None:
                    _collected[pid] = status

    before = signal.signal(signal.SIGCHLD, collect)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before)
        _collected.clear()


@contextlib.contextmanager
def left_uncollected(pid: int) -> Iterator[None]:
    """Have ``pid`` stay a zombie once it has ended, as below an init that does not care."""
    _left.add(pid)
    try:
        yield
    finally:
        _left.remove(pid)
        reap(pid)


def reap(pid: int, *, block: bool = False) -> int | None:
    """Return the exit status of a child of ours that has ended, once; negative for a signal."""
    with _collection:
        status = _wait_for(pid, 0 if block else os.WNOHANG)
        kept = _collected.pop(pid, None)
    return kept if status is None else status


def _wait_for(pid: int, options: int) -> int | None:
    try:
        ended, status = os.waitpid(pid, options)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def wait(pid: int, *, timeout_s: float) -> bool:
    """Wait until ``pid`` has ended or is gone; ``False`` when the time is up first."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(poll([pidfd], timeout_s))
    finally:
        os.close(pidfd)


def poll(descriptors: list[int], timeout_s: float) -> list[int]:
    """Return the descriptors that are readable, hung up or ended within ``timeout_s``."""
    poller = select.poll()
    for descriptor in descriptors:
        poller.register(descriptor, select.POLLIN)
    return [descriptor for descriptor, _ in poller.poll(max(0.0, timeout_s) * 1000)]


def end(pid: int) -> None:
    """Kill a descendant of ours and wait for its end; any other process is left alone."""
    if pid in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait(pid, timeout_s=5)


def end_all(spared: frozenset[int] = frozenset()) -> None:
    """Kill and collect every descendant but ``spared`` and what is below a spared one.

    Runs until none is left, because a process may fork while it is looked at, and one that was
    below another becomes our child when that ends.  Raises ``HarnessError`` if one stays.
    """
    deadline = time.monotonic() + 10
    while victims := [
        pid
        for child in children(os.getpid())
        if child not in spared
        for pid in (child, *descendants(child))
    ]:
        if time.monotonic() > deadline:
            lines = filter(None, map(command_line, victims))
            raise HarnessError(f"processes that cannot be killed: {', '.join(lines)}")
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in victims:
            if not wait(pid, timeout_s=_PROMPT_S):
                _thaw(pid)
                wait(pid, timeout_s=5)
            reap(pid)


def _thaw(pid: int) -> None:
    """Let ``pid`` run: in a frozen cgroup of version 1 a process does not even end when killed."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers == "freezer":
                Path(f"{_FREEZER}{path}/freezer.state").write_text("THAWED")

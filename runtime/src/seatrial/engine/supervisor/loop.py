"""The loop that a supervisor waits in: descriptors, children, and times that have come."""

from __future__ import annotations

import heapq
import os
import select
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
#: The other side is gone; told of whatever is watched, asked for or not.
HANGUP = select.EPOLLHUP | select.EPOLLERR
_DEFAULTS = [signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


class Loop:
    """Calls back; one thread, nothing blocks."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[int], None]] = {}
        self._children: dict[int, Callable[[int], None]] = {}
        #: Ends that nobody has asked about yet: a container may end before its pid is known.
        self._ended: dict[int, int] = {}
        self._times: list[tuple[float, int, Callable[[], None]]] = []
        self.stopped = False
        self._woken, waking = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(waking, warn_on_full_buffer=False)
        self.watch(self._woken, READ, self._woke)

    def watch(self, descriptor: int, events: int, call: Callable[[int], None]) -> None:
        """Call when a descriptor is ready for any of the events, which replace earlier ones."""
        if descriptor in self._calls:
            self._epoll.modify(descriptor, events)
        else:
            self._epoll.register(descriptor, events)
        self._calls[descriptor] = call

    def forget(self, descriptor: int) -> None:
        """Watch a descriptor no longer; before it is closed."""
        if self._calls.pop(descriptor, None) is not None:
            self._epoll.unregister(descriptor)

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call once a time has passed."""
        heapq.heappush(self._times, (time.monotonic() + seconds, id(call), call))

    def spawn(
        self,
        argv: list[str],
        streams: Mapping[int, int],
        ended: Callable[[int], None],
        environment: Mapping[str, str],
    ) -> int:
        """Start a program with descriptors of ours as its 0, 1 and 2; call when it ended."""
        pid = os.posix_spawn(
            argv[0],
            argv,
            environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, ours, theirs) for theirs, ours in streams.items()],
            setsigdef=_DEFAULTS,
        )
        self.expect(pid, ended)
        return pid

    def expect(self, pid: int, ended: Callable[[int], None]) -> None:
        """Call with the exit status once a child has ended."""
        if pid in self._ended:
            ended(self._ended.pop(pid))
        else:
            self._children[pid] = ended

    def run(self) -> None:
        """Wait and call until ``stopped``."""
        while not self.stopped:
            wait = max(0.0, self._times[0][0] - time.monotonic()) if self._times else None
            for descriptor, events in self._epoll.poll(wait):
                call = self._calls.get(descriptor)
                if call is not None:
                    call(events)
            while self._times and self._times[0][0] <= time.monotonic():
                heapq.heappop(self._times)[2]()

    def _woke(self, _events: int) -> None:
        os.read(self._woken, 512)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            code = _exit_code(status)
            call = self._children.pop(pid, None)
            if call is None:
                self._ended[pid] = code
            else:
                call(code)


def _exit_code(status: int) -> int:
    """Return what a shell would: 128 and the signal's number for what a signal ended."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code

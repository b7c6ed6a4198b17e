"""Waiting for a container's process: its terminal, our signals, its exit status."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import select
import signal
import socket
import sys
import termios
import tty
from typing import TYPE_CHECKING

from seatrial.oci.errors import OCIError

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES = 1 << 16
#: Signals that stay ours: they stop or continue us, or tell of our children.
_OURS = {signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGURG}


def receive(console: socket.socket) -> int:
    """Take the terminal's controlling end from a console socket."""
    _, controls, _, _ = console.recvmsg(16, socket.CMSG_SPACE(array.array("i").itemsize))
    for level, kind, data in controls:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            return int.from_bytes(data[:4], sys.byteorder, signed=True)
    raise OCIError("the container process sent no terminal")


def wait(pid: int, pidfd: int, controller: int | None = None) -> int:
    """Wait for ``pid``, our child; return its exit status as a shell would (128 + signal).

    Signals that come meanwhile are handed on.  With ``controller``, standard input and output are
    the terminal's.
    """
    with _signals(pidfd, controller) as wakeup, _raw(controller):
        _relay(pidfd, controller, wakeup)
    _, status = os.waitpid(pid, 0)
    os.close(pidfd)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _signals(pidfd: int, controller: int | None) -> Iterator[int]:
    """Hand every signal on to the container; a change of window size goes to its terminal."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    before = {}

    def hand_on(number: int, _frame: object) -> None:
        if number == signal.SIGWINCH and controller is not None:
            _copy_size(controller)
            return
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, number)

    for number in signal.valid_signals() - _OURS:
        # One that is handled, but not by Python, could not be given back.
        if signal.getsignal(number) is None:
            continue
        with contextlib.suppress(OSError, ValueError):
            before[number] = signal.signal(number, hand_on)
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        yield reader
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)


@contextlib.contextmanager
def _raw(controller: int | None) -> Iterator[None]:
    """Let the user's terminal hand every key on, as long as there is one on both sides."""
    if controller is None or not os.isatty(0):
        yield
        return
    _copy_size(controller)
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def _copy_size(controller: int) -> None:
    with contextlib.suppress(OSError):
        fcntl.ioctl(controller, termios.TIOCSWINSZ, fcntl.ioctl(0, termios.TIOCGWINSZ, b"\0" * 8))


def _relay(pidfd: int, controller: int | None, wakeup: int) -> None:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    poller.register(wakeup, select.POLLIN)
    if controller is not None:
        poller.register(controller, select.POLLIN)
        poller.register(0, select.POLLIN)
    while True:
        ready = dict(poller.poll())
        if wakeup in ready:
            os.read(wakeup, _CHUNK_BYTES)
        if controller is not None and controller in ready and not _copy(controller, 1):
            poller.unregister(controller)
            controller = None
        if controller is not None and 0 in ready and not _copy(0, controller):
            poller.unregister(0)
        if pidfd in ready:
            while controller is not None and _copy(controller, 1):
                if not select.select([controller], [], [], 0)[0]:
                    break
            return


def _copy(source: int, target: int) -> bool:
    """Move what is there; ``False`` at the end (a terminal whose other end is closed says EIO)."""
    try:
        data = os.read(source, _CHUNK_BYTES)
    except OSError:
        return False
    while data:
        data = data[os.write(target, data) :]
        if not data:
            return True
    return False

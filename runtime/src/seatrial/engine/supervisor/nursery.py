"""Where supervisors come from: a process that has imported all they need, and forks.

A fork takes a tenth of the time of a new interpreter, and shares its memory with its siblings. The
nursery ends with the daemon; the supervisors do not.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from typing import TYPE_CHECKING

from seatrial.engine import kernel, messages
from seatrial.engine.supervisor.process import PID_FILE, Supervisor

if TYPE_CHECKING:
    from seatrial.engine.messages import Message


def main() -> None:
    """Fork a supervisor for each order that comes from standard input."""
    orders = socket.socket(fileno=0)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a supervisor
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C is for the daemon
    gc.freeze()  # else a collection in a child would copy the pages that it shares
    while (received := messages.receive(orders)) is not None:
        order, descriptors = received
        if os.fork() == 0:
            _supervise(order, socket.socket(fileno=descriptors[0]))
        os.close(descriptors[0])


def _supervise(order: Message, control: socket.socket) -> None:
    status = 1
    try:
        os.setsid()
        kernel.become_subreaper()
        null = os.open(os.devnull, os.O_RDWR)
        complaints = os.open(
            f"{order['folder']}/supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        os.dup2(null, 0)
        os.dup2(null, 1)
        os.dup2(complaints, 2)
        os.close(null)
        os.close(complaints)
        with open(f"{order['folder']}/{PID_FILE}", "w", encoding="ascii") as file:
            file.write(str(os.getpid()))
        os.chdir("/")
        Supervisor(order, control).run()
        status = 0
    except BaseException:  # noqa: BLE001 - this process was forked: nothing may go on after it
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)

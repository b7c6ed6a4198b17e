"""Network namespaces: made, and worked in, by threads that end with their work.

A thread that has moved into a namespace stays there, so none of the daemon's own threads does.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from seatrial.engine import kernel

if TYPE_CHECKING:
    from collections.abc import Callable

_Result = TypeVar("_Result")


def make(prepare: Callable[[], None]) -> int:
    """Make a network namespace and prepare it; return its descriptor, which alone keeps it."""

    def work() -> int:
        kernel.unshare_network()
        prepare()
        return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    return _in_a_thread(work)


def of_process(pid: int) -> int:
    """Return a descriptor of a process's network namespace."""
    return os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def inside(namespace: int, work: Callable[[], _Result]) -> _Result:
    """Do something in a network namespace; return what comes of it, or raise it."""

    def moved() -> _Result:
        kernel.join_network(namespace)
        return work()

    return _in_a_thread(moved)


def _in_a_thread(work: Callable[[], _Result]) -> _Result:
    result: Future[_Result] = Future()

    def run() -> None:
        try:
            result.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised where the result is asked for
            result.set_exception(error)

    thread = threading.Thread(target=run, name="netns")
    thread.start()
    thread.join()
    return result.result()

"""Events in the life of a container, as the Python API tells of them while they happen."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

#: In the order of a life.  What is told of a create comes from the executor, as each is done.
Name: TypeAlias = Literal[
    "creating",  # create was called; nothing is touched yet
    "compiled",  # the config is a plan
    "prepared",  # cgroups are made and limited, what the runtime opens for the container is open
    "cloned",  # there is a container process, and it waits
    "adopted",  # it is in its cgroups, its ids are mapped
    "mounted",  # its mounts are made
    "hooked",  # prestart and createRuntime hooks are done
    "entered",  # it is in its root, and waits for start
    "created",  # the state is stored: create is done
    "starting",  # start was called
    "running",  # the program is executed, poststart hooks are done
    "paused",
    "resumed",
    "updated",  # it has new limits
    "stopped",  # the program has ended, seen by wait
    "deleted",  # nothing is left of it
]
#: By the number of the executor's step (runtime/csrc/executor.h).
STEPS: tuple[Name, ...] = ("prepared", "cloned", "adopted", "mounted", "hooked", "entered")


class Event(msgspec.Struct, frozen=True):
    """One step in a container's life.

    ``time_ns`` is of CLOCK_MONOTONIC; ``pid`` the container process's in our view, once there is
    one; ``status`` of "stopped" the exit status, negative for a signal.
    """

    name: Name
    container: str
    time_ns: int
    pid: int | None = None
    status: int | None = None


class Teller:
    """Tells somebody of events, or nobody."""

    def __init__(self, container: str, on_event: Callable[[Event], None] | None) -> None:
        self.container, self.on_event = container, on_event

    def tell(self, name: Name, *, pid: int | None = None, status: int | None = None) -> None:
        """Tell of one event that has just happened."""
        if self.on_event is not None:
            self.on_event(Event(name, self.container, time.monotonic_ns(), pid, status))

    def step(self, number: int, pid: int) -> None:
        """Tell of a step of the executor; a pid of 0 is none."""
        self.tell(STEPS[number], pid=pid or None)

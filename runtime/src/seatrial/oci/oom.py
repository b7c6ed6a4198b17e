"""Running out of memory, as it happens (cgroup-v1/memory.rst, cgroup-v2.rst)."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

from seatrial.oci.stats import V1, group_of, numbers

if TYPE_CHECKING:
    from seatrial.oci.hierarchies import Group


def watch(groups: list[Group]) -> int | None:
    """Return a descriptor that becomes readable when the container runs out of memory.

    ``None`` where nothing tells of it.  It is an eventfd of v1, or an inotify of memory.events.
    """
    group = group_of(groups, "memory")
    if group is None:
        return None
    if group.hierarchy.version == V1:
        event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            with open(f"{group.path}/memory.oom_control", "rb") as control:
                line = f"{event} {control.fileno()}"
                with open(f"{group.path}/cgroup.event_control", "w", encoding="ascii") as file:
                    file.write(line)
        except OSError:
            os.close(event)
            return None
        return event
    return _inotify(f"{group.path}/memory.events")


def _inotify(path: str) -> int | None:
    libc = ctypes.CDLL(None, use_errno=True)
    fd = int(libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK))
    modified = 2
    if fd < 0 or libc.inotify_add_watch(fd, os.fsencode(path), modified) < 0:
        return None
    return fd


def count(groups: list[Group]) -> int:
    """Return how often the container ran out of memory, as far as v2 tells."""
    group = group_of(groups, "memory")
    if group is None or group.hierarchy.version == V1:
        return 0
    return numbers(group, "memory.events").get("oom", 0)

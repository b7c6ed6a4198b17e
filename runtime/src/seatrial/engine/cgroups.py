"""Where this host has its cgroups: mounts of version 1 by controller, and of version 2."""

from __future__ import annotations

import os
from contextlib import suppress


def mounts() -> dict[str, str]:
    """Return where each controller of version 1 is mounted; version 2 has no name."""
    found: dict[str, str] = {}
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            before, _, after = line.partition(" - ")
            kind, _, options = after.split(" ", 2)
            where = before.split(" ")[4]
            if kind == "cgroup2":
                found.setdefault("", where)
            elif kind == "cgroup":
                for option in options.strip().split(","):
                    found.setdefault(option, where)
    return found


def is_v2() -> bool:
    """Whether version 2 is all there is."""
    found = mounts()
    return "" in found and "memory" not in found and "pids" not in found


def path(controller: str, cgroup: str) -> str:
    """Return a cgroup's folder in the hierarchy of a controller; nothing if there is none."""
    found = mounts()
    where = found.get(controller, found.get(""))
    return f"{where}{cgroup}" if where is not None else ""


def oom_file(cgroup: str) -> str:
    """Return the file that counts what was killed for want of memory."""
    folder = path("memory", cgroup)
    if not folder:
        return ""
    return f"{folder}/{'memory.oom_control' if 'memory' in mounts() else 'memory.events'}"


def remove_parent(cgroup: str) -> None:
    """Remove a cgroup that had others below it, where it is empty now."""
    for where in set(mounts().values()):
        with suppress(OSError):
            os.rmdir(f"{where}{cgroup}")

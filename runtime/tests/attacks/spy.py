"""Runs in a container as its first process: looks at whoever comes into its pid namespace.

``spy.py FOLDER``: when something is written to the FIFO FOLDER/look it reports, in FOLDER/report,
what it can see of every other process; on the next word in FOLDER/write it tries to write to what
these executed.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

FOLDER = sys.argv[1]


def tried(act: Any) -> Any:
    """Return what came of it, or the errno's name."""
    try:
        return act()
    except OSError as error:
        return os.strerror(error.errno or 0)


def descriptors(pid: str) -> list[list[int]]:
    """Return device and inode of all that a process has open."""
    found = []
    for name in os.listdir(f"/proc/{pid}/fd"):
        there = os.stat(f"/proc/{pid}/fd/{name}")
        found.append([int(name), there.st_dev, there.st_ino])
    return found


def wait_for(name: str) -> None:
    """Wait until somebody writes to a FIFO."""
    with open(f"{FOLDER}/{name}", encoding="ascii") as fifo:
        fifo.read()


def report(content: object) -> None:
    """Hand over what was found."""
    with open(f"{FOLDER}/report", "w", encoding="ascii") as fifo:
        json.dump(content, fifo)


wait_for("look")
kept: list[int] = []
seen: dict[str, Any] = {}
for other in os.listdir("/proc"):
    if not other.isdigit() or int(other) == os.getpid():
        continue
    exe = tried(lambda pid=other: os.open(f"/proc/{pid}/exe", os.O_RDONLY))
    kept += [exe] if isinstance(exe, int) else []
    seen[other] = {
        "exe": "opened" if isinstance(exe, int) else exe,
        "fd": tried(lambda pid=other: descriptors(pid)),
        "root": tried(lambda pid=other: os.listdir(f"/proc/{pid}/root")),
        "cwd": tried(lambda pid=other: os.readlink(f"/proc/{pid}/cwd")),
        "mem": tried(lambda pid=other: bool(os.open(f"/proc/{pid}/mem", os.O_RDWR))),
        "environ": tried(lambda pid=other: bool(os.open(f"/proc/{pid}/environ", os.O_RDONLY))),
    }
report(seen)
wait_for("write")
report(
    [
        tried(lambda fd=fd: os.write(os.open(f"/proc/self/fd/{fd}", os.O_WRONLY), b"evil"))
        for fd in kept
    ]
)

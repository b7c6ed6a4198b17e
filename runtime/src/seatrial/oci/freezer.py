"""Pause and resume: the freezer (v1), cgroup.freeze (v2)."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from typing import TYPE_CHECKING

from seatrial.oci.errors import OCIError, reason

if TYPE_CHECKING:
    from seatrial.oci.hierarchies import Group

PATIENCE_S = 10.0
V1, V2 = 1, 2


def file_of(groups: list[Group]) -> str:
    """Return the file by which a container is frozen, or nothing where there is none."""
    for group in groups:
        if group.hierarchy.version == V1 and "freezer" in group.hierarchy.controllers:
            return f"{group.path}/freezer.state"
    for group in groups:
        if group.hierarchy.version == V2:
            return f"{group.path}/cgroup.freeze"
    return ""


def shows_frozen(path: str) -> bool:
    """Whether the container of this file is paused."""
    if not path:
        return False
    try:
        with open(path, "rb") as file:
            return file.read().strip() in {b"FROZEN", b"FREEZING", b"1"}
    except OSError:
        return False


def is_frozen(groups: list[Group]) -> bool:
    """Whether the container is paused."""
    return shows_frozen(file_of(groups))


def freeze(groups: list[Group]) -> None:
    """Freeze the container; return once no process of it runs.

    Raises ``OCIError`` where there is no freezer or it does not come about in time.
    """
    path = file_of(groups)
    if not path:
        raise OCIError("there is no cgroup of the container by which it could be frozen")
    deadline = time.monotonic() + PATIENCE_S
    if path.endswith("freezer.state"):
        _freeze_v1(path, deadline)
    else:
        _freeze_v2(path, deadline)


def thaw(groups: list[Group]) -> None:
    """Let the container run again; nothing happens to one that is not frozen."""
    thaw_by(file_of(groups))


def thaw_by(path: str) -> None:
    """Let the container of this file run again."""
    if path:
        with contextlib.suppress(FileNotFoundError):
            _write(path, "THAWED" if path.endswith("freezer.state") else "0")


def _freeze_v1(path: str, deadline: float) -> None:
    # The state stays FREEZING while a process is made or is in the kernel; writing it again makes
    # the kernel look again, and now and then it takes thawing (freezer-subsystem.rst).
    _write(path, "FROZEN")
    tries = 0
    while _read(path) != "FROZEN":
        tries += 1
        if time.monotonic() > deadline:
            _write(path, "THAWED")
            raise OCIError(f"{path}: the container does not freeze")
        if tries % 50 == 0:
            _write(path, "THAWED")
        os.sched_yield()
        _write(path, "FROZEN")


def _freeze_v2(path: str, deadline: float) -> None:
    # cgroup.events is what tells of it (cgroup-v2.rst).
    events = os.path.join(os.path.dirname(path), "cgroup.events")
    fd = os.open(events, os.O_RDONLY | os.O_CLOEXEC)
    try:
        poller = select.poll()
        poller.register(fd, select.POLLPRI)
        _write(path, "1")
        while "frozen 1" not in os.pread(fd, 4096, 0).decode():
            left = deadline - time.monotonic()
            if left <= 0:
                _write(path, "0")
                raise OCIError(f"{path}: the container does not freeze")
            poller.poll(left * 1000)
    finally:
        os.close(fd)


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()


def _write(path: str, value: str) -> None:
    try:
        with open(path, "w", encoding="ascii") as file:
            file.write(value)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise
        raise OCIError(f"{path}: cannot write {value}: {reason(error.errno)}") from None

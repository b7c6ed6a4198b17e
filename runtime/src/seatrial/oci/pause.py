"""Pausing a container and letting it run again, by its cgroup (the commands pause and resume)."""

from __future__ import annotations

import os

from seatrial.oci import cgroups, freezer, states
from seatrial.oci.errors import WrongStatus
from seatrial.oci.store import Folder


def pause(identifier: str, *, root: str) -> None:
    """Freeze all processes of a container that is created or runs; its status is then paused."""
    _change(identifier, root, {"created", "running"}, freeze=True)


def resume(identifier: str, *, root: str) -> None:
    """Let a paused container run on."""
    _change(identifier, root, {"paused"}, freeze=False)


def _change(identifier: str, root: str, expected: set[str], *, freeze: bool) -> None:
    folder = Folder(root, identifier)
    lock = folder.lock()
    try:
        status = states.status_of(folder, folder.record())
        if status not in expected:
            wanted = " or ".join(sorted(expected))
            raise WrongStatus(f"container {identifier} is {status}, not {wanted}")
        groups = cgroups.stored_groups(folder.plan())
        (freezer.freeze if freeze else freezer.thaw)(groups)
    finally:
        os.close(lock)

"""The processes in a container's cgroups: who they are, and signals for all of them."""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING

from seatrial.oci import freezer
from seatrial.oci.cgroups import PROCS, stored_groups
from seatrial.oci.operations import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from seatrial.oci.hierarchies import Group
    from seatrial.oci.plan import Plan

CONTAINER = "user.seatrial-oci.container"
V2 = 2


def pids(plan: Plan) -> list[int]:
    """Return all pids in the container's cgroups and those below, in our view."""
    groups = [op.path.removesuffix(PROCS) for op in plan.ops if op.kind == Kind.ATTACH]
    return sorted({pid for path in groups for pid in _inside(path)})


def _inside(path: str) -> Iterator[int]:
    for where, _, _ in os.walk(path):
        # Gone meanwhile, or without processes of its own because it is threaded.
        with contextlib.suppress(OSError), open(where + PROCS, encoding="ascii") as file:
            # 0 is a process that our pid namespace does not see.
            yield from (pid for line in file if (pid := int(line)))


def signal_all(plan: Plan, sent: int) -> None:
    """Send a signal to every process in the container's cgroups."""
    groups = stored_groups(plan)
    if sent == signal.SIGKILL and any(_kill_at_once(group) for group in groups):
        freezer.thaw(groups)
        return
    # Frozen, none of them can fork away from us.
    was_frozen = freezer.is_frozen(groups)
    with contextlib.suppress(OSError):
        freezer.freeze(groups)
    try:
        for pid in pids(plan):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sent)
    finally:
        if not was_frozen or sent == signal.SIGKILL:
            freezer.thaw(groups)


def end_all(plan: Plan, identifier: str) -> None:
    """Kill what is left in the container's cgroups: without a pid namespace its init is not all.

    Cgroups in which another container has come to be since are left alone.
    """
    groups = [each for each in stored_groups(plan) if not _is_anothers(each, identifier)]
    if not groups:
        return
    freezer.thaw(groups)
    for group in groups:
        if _kill_at_once(group):
            continue
        while found := list(_inside(group.path)):
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            os.sched_yield()


def _kill_at_once(group: Group) -> bool:
    if group.hierarchy.version != V2:
        return False
    try:
        with open(f"{group.path}/cgroup.kill", "w", encoding="ascii") as file:
            file.write("1")
    except OSError:  # before Linux 5.14
        return False
    return True


def _is_anothers(group: Group, identifier: str) -> bool:
    try:
        return os.getxattr(group.path, CONTAINER) != identifier.encode()
    except OSError:
        return False

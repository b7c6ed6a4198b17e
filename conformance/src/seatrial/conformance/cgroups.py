"""The host's cgroup hierarchies, the view of them a run is given, and the run's own cgroups."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from seatrial.conformance.errors import HarnessError, UnfitError
from seatrial.conformance.namespaces import MNT_DETACH, mount, mounts, umount

ROOT = Path("/sys/fs/cgroup")
#: The parent of all cgroups that runs of the harness make, in every hierarchy.
PARENT = "seatrial"

#: The version of the unified hierarchy.
V2 = 2

#: What a host, or a view of it, may have; ``none`` besides.
MODES = ("v1", "v2", "hybrid")

View = Literal["host", "v1", "v2"]
VIEWS: dict[View, str] = {
    "host": "the hierarchies as the host has them",
    "v1": "without the unified hierarchy that stands beside the others",
    "v2": "the unified hierarchy alone",
}


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy: version 1 or 2, and its controllers (cgroups(7))."""

    path: Path
    version: int
    controllers: frozenset[str]


def hierarchies() -> list[Hierarchy]:
    """Return the hierarchies that are seen below /sys/fs/cgroup in this thread's namespace."""
    found: dict[str, Hierarchy] = {}
    known = _controllers()
    for each in mounts():
        path = Path(each.target)
        if path != ROOT and ROOT not in path.parents:
            continue
        if not (os.path.ismount(path) and (path / "cgroup.procs").exists()):
            continue  # hidden below another mount, as in the view v2
        if each.fstype == "cgroup2":
            text = (path / "cgroup.controllers").read_text()
            found[each.target] = Hierarchy(path, V2, frozenset(text.split()))
        elif each.fstype == "cgroup":
            names = frozenset(path.name.split(",")) & known
            found[each.target] = Hierarchy(path, 1, names)
    return list(found.values())


def _controllers() -> frozenset[str]:
    try:
        lines = Path("/proc/cgroups").read_text().splitlines()[1:]
    except OSError:  # a kernel without version 1
        return frozenset()
    return frozenset(line.split()[0] for line in lines)


def mode(found: list[Hierarchy]) -> str:
    """Name the set-up: ``v1``, ``v2``, ``hybrid`` (both have controllers) or ``none``."""
    first = any(each.version == 1 and each.controllers for each in found)
    second = [each for each in found if each.version == V2]
    if first:
        return "hybrid" if any(each.controllers for each in second) else "v1"
    return "v2" if second else "none"


def seen(view: str, mode: str) -> str:
    """Name what a runtime sees in ``view`` on a host whose set-up is ``mode``."""
    return mode if view == "host" else view


def take_view(view: View) -> None:
    """Show this thread's private mount namespace the hierarchies of ``view`` only."""
    unified = [each.path for each in hierarchies() if each.version == V2]
    if view == "v1":
        for path in unified:
            if path == ROOT:
                raise UnfitError("the host has cgroup v2 only; view v1 cannot be made")
            umount(str(path), MNT_DETACH)
    elif view == "v2" and ROOT not in unified:
        try:
            mount("cgroup2", str(ROOT), "cgroup2")
        except OSError as error:
            raise UnfitError(f"view v2: cannot mount cgroup2: {error.strerror}") from None


class OwnCgroups:
    """The cgroup of one run, ``/seatrial/<name>``, in every hierarchy of the current view."""

    def __init__(self, name: str) -> None:
        """Make it; raises ``UnfitError`` where cgroups cannot be made."""
        self.path = f"/{PARENT}/{name}"
        self.name = name
        self.hierarchies = hierarchies()
        if not self.hierarchies:
            raise UnfitError(
                "no cgroup hierarchy is mounted below /sys/fs/cgroup",
                hint="mount cgroup2 there, or run on a host with cgroups",
            )
        try:
            for folder in self.folders():
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self.remove()
            raise UnfitError(
                f"cannot make cgroup {error.filename}: {error.strerror}",
                hint="the harness needs to make cgroups of its own at /seatrial",
            ) from None

    def folders(self) -> list[Path]:
        """Return the run's folder in each hierarchy."""
        return [each.path / self.path.lstrip("/") for each in self.hierarchies]

    def left(self) -> list[Path]:
        """Return every cgroup below the run's own, deepest last."""
        return [folder for top in self.folders() for folder in below(top)]

    def strays(self) -> list[Path]:
        """Return what bears the run's name beside the hierarchies, where there are no cgroups.

        On hosts with version 1 /sys/fs/cgroup is a tmpfs: a path that leads out of a hierarchy
        gets a runtime there, and what it takes for a cgroup's files are plain ones.
        """
        if any(each.path == ROOT for each in self.hierarchies):
            return []
        try:
            found = [ROOT / entry for entry in os.listdir(ROOT) if self.name in entry]
        except FileNotFoundError:
            return []
        own = ROOT / self.path.lstrip("/")
        return [*found, *([own] if own.exists() else [])]

    def clear(self) -> None:
        """Remove all below the run's own cgroup, and what has gone astray."""
        for folder in reversed(self.left()):
            remove(folder)
        for path in self.strays():
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                (ROOT / PARENT).rmdir()

    def remove(self) -> None:
        """Remove the run's cgroup, and the common parent if no other run is using it."""
        self.clear()
        for folder in self.folders():
            remove(folder)
            with contextlib.suppress(OSError):
                folder.parent.rmdir()


def below(top: Path) -> list[Path]:
    """Return the cgroups below ``top``, parents first."""
    found: list[Path] = []
    try:
        with os.scandir(top) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return found
    for name in names:
        found += [top / name, *below(top / name)]
    return found


def remove(folder: Path) -> None:
    """Remove one cgroup; one that is busy with processes that just ended is tried again."""
    deadline = time.monotonic() + 5
    while True:
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError as error:
            # A killed task leaves its cgroup a moment after it has been collected; the kernel
            # has no event for that on v1, so the removal itself is repeated.
            if time.monotonic() > deadline:
                raise HarnessError(f"cannot remove cgroup {folder}: {error.strerror}") from None
            os.sched_yield()
        else:
            return

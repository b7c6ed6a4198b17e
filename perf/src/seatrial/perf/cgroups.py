"""The host's cgroup hierarchies, the view of them that all contenders get, and the run's own."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from seatrial.perf import kernel
from seatrial.perf.contenders import ENGINES
from seatrial.perf.errors import UnfitError

ROOT = Path("/sys/fs/cgroup")
#: How the names of the run's own cgroups begin, in every hierarchy.
PREFIX = "seatrial-perf-"
_V2 = 2
_PATIENCE_S = 5


@dataclass(frozen=True)
class Hierarchy:
    """One mounted hierarchy: where, version 1 or 2, which controllers (cgroups(7))."""

    path: Path
    version: int
    controllers: frozenset[str]


def hierarchies() -> list[Hierarchy]:
    """Return the hierarchies that are mounted at or below /sys/fs/cgroup."""
    found: dict[str, Hierarchy] = {}
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        left, _, right = line.partition(" - ")
        path, kind = Path(left.split(" ")[4]), right.split(" ")[0]
        if ROOT not in {path, path.parent}:
            continue
        if kind == "cgroup2":
            controllers = (path / "cgroup.controllers").read_text().split()
            found[str(path)] = Hierarchy(path, _V2, frozenset(controllers))
        elif kind == "cgroup":
            known = {line.split()[0] for line in Path("/proc/cgroups").read_text().splitlines()}
            names = frozenset(path.name.split(",")) & known
            found[str(path)] = Hierarchy(path, 1, names)
    return list(found.values())


def mode(found: list[Hierarchy]) -> str:
    """Name the set-up: ``v1``, ``v2``, ``hybrid`` (both have controllers) or ``none``."""
    first = any(each.version == 1 and each.controllers for each in found)
    second = [each for each in found if each.version == _V2]
    if first:
        return "hybrid" if any(each.controllers for each in second) else "v1"
    return "v2" if second else "none"


def take_view() -> str:
    """Show this process's own mount namespace what every contender can work with; name it.

    crun refuses hosts that have controllers on both kinds of hierarchies.  There the unified one is
    hidden, for all contenders alike.
    """
    found = hierarchies()
    if mode(found) != "hybrid":
        return "host"
    for each in found:
        if each.version == _V2:
            kernel.umount(str(each.path), kernel.MNT_DETACH)
    return "v1"


class OwnCgroups:
    """The run's cgroup in every hierarchy: ``/seatrial-perf-NAME``."""

    def __init__(self, name: str) -> None:
        """Make it; raises ``UnfitError`` where that is not possible."""
        self.path = f"/{PREFIX}{name}"
        self.hierarchies = hierarchies()
        if not self.hierarchies:
            raise UnfitError(
                "no cgroup hierarchy is mounted below /sys/fs/cgroup",
                hint="mount cgroup2 there, or run on a host with cgroups",
            )
        try:
            for each in self.hierarchies:
                self._make(each)
        except OSError as error:
            self.remove()
            raise UnfitError(f"cannot make cgroup {error.filename}: {error.strerror}") from None

    def make(self, folder: Path) -> None:
        """Make a folder below the run's own, unless it is there, in which processes can be."""
        if folder.is_dir():
            return
        folder.mkdir()
        for name in ("cpuset.cpus", "cpuset.mems"):
            # A new cgroup of version 1 has no processors, and nothing can be attached to it.
            if (folder / name).exists() and not (folder / "cgroup.controllers").exists():
                (folder / name).write_text((folder.parent / name).read_text())

    def _make(self, hierarchy: Hierarchy) -> None:
        folder = self.folder(hierarchy)
        self.make(folder)
        if hierarchy.version == _V2:
            words = [f"+{name}" for name in sorted(hierarchy.controllers)]
            for each in (hierarchy.path, folder):
                for word in words:
                    with contextlib.suppress(OSError):
                        (each / "cgroup.subtree_control").write_text(word)

    def folder(self, hierarchy: Hierarchy, name: str = "") -> Path:
        """Return the run's folder in a hierarchy, or one below it."""
        return hierarchy.path / self.path.lstrip("/") / name

    def folders(self, name: str = "") -> list[Path]:
        """Return the run's folder in each hierarchy, or one below it."""
        return [self.folder(each, name) for each in self.hierarchies]

    def find(self, controller: str) -> Hierarchy | None:
        """Return the hierarchy that has a controller."""
        return next((each for each in self.hierarchies if controller in each.controllers), None)

    def finding(self) -> Hierarchy:
        """Return the hierarchy by which the run finds its processes again."""
        return self.find("pids") or self.find("freezer") or self.hierarchies[0]

    def accounting(self) -> Hierarchy | None:
        """Return the hierarchy that tells how much processor time was used."""
        found = self.find("cpuacct")
        return found or next((each for each in self.hierarchies if each.version == _V2), None)

    def used_ns(self, name: str) -> int | None:
        """Return the processor time used in a cgroup and below it, also by what has ended."""
        hierarchy = self.accounting()
        if hierarchy is None:
            return None
        folder = self.folder(hierarchy, name)
        with contextlib.suppress(OSError, ValueError):
            if hierarchy.version == 1:
                return int((folder / "cpuacct.usage").read_text())
            for line in (folder / "cpu.stat").read_text().splitlines():
                if line.startswith("usage_usec "):
                    return int(line.split()[1]) * 1000
        return None

    def adopt(self, pid: int) -> None:
        """Put a process below the run's cgroup, so that all that it starts can be found there."""
        folder = self.folder(self.finding(), "stopwatch")
        folder.mkdir(exist_ok=True)
        (folder / "cgroup.procs").write_text(str(pid))

    def clear(self) -> None:
        """Kill what runs below the run's cgroup and remove what is there.

        But for the stopwatch, and the engines' own cgroups and daemons.
        """
        self._remove(spared=frozenset({"stopwatch", "daemon", *ENGINES}))

    def remove(self) -> None:
        """Kill what runs in it and remove all of it."""
        self._remove()

    def _remove(self, spared: frozenset[str] = frozenset()) -> None:
        """Try until nothing is left: a process leaves its cgroup some time after it was killed.

        On version 1 the kernel has no event for that.
        """
        deadline = time.monotonic() + _PATIENCE_S
        while self._sweep(spared) and time.monotonic() < deadline:
            os.sched_yield()

    def _sweep(self, spared: frozenset[str]) -> bool:
        """Kill and remove once; return whether something is left."""
        left = False
        for top in self.folders():
            for name, _, _ in os.walk(top, topdown=False):
                folder = Path(name)
                if spared and (folder == top or folder.name in spared):
                    continue
                with contextlib.suppress(OSError):
                    pids = {int(line) for line in (folder / "cgroup.procs").read_text().split()}
                    for pid in pids - {0}:  # 0 is one of another pid namespace
                        with contextlib.suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                with contextlib.suppress(OSError):
                    folder.rmdir()
                left = left or folder.exists()
        return left

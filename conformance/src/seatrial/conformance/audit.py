"""The leak auditor: what is there before a container and is more after it was left behind."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from seatrial.conformance import namespaces, processes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from seatrial.conformance.cgroups import OwnCgroups


#: How long a killed process may take to be gone once the runtime's command has returned.
_GRACE_S = 0.5


@dataclass(frozen=True)
class Snapshot:
    """Everything of a kind that a runtime could leave: mounts, cgroups, processes, state."""

    mounts: Counter[str]
    cgroups: frozenset[str]
    strays: frozenset[str]
    processes: frozenset[int]
    state: frozenset[str]
    namespaces: frozenset[str]


class Auditor:
    """Takes snapshots of one run's surroundings, compares them, and clears what was left."""

    def __init__(self, cgroups: OwnCgroups, state_root: Path) -> None:
        """Watch one run's cgroups and state root, and this thread's mounts and children."""
        self._cgroups = cgroups
        self._state_root = state_root
        self.spared = frozenset(processes.children(os.getpid()))
        self.before = self.look()

    def look(self) -> Snapshot:
        """Return what is there now."""
        return Snapshot(
            mounts=Counter(f"{each.fstype} on {each.target}" for each in namespaces.mounts()),
            cgroups=frozenset(str(path) for path in self._cgroups.left()),
            strays=frozenset(str(path) for path in self._cgroups.strays()),
            processes=frozenset(
                pid for pid in processes.children(os.getpid()) if pid not in self.spared
            ),
            state=frozenset(self._state()),
            namespaces=frozenset(namespaces.current(kind) for kind in namespaces.PRIVATE),
        )

    @contextlib.contextmanager
    def sparing_mounts(self) -> Iterator[None]:
        """Take the mounts that are there now for the surroundings, until the context closes."""
        before = self.before.mounts
        self.before = replace(self.before, mounts=self.look().mounts)
        try:
            yield
        finally:
            self.before = replace(self.before, mounts=before)

    def leaks(self) -> list[str]:
        """Return a line for each thing that was not there at first; empty if all is as it was.

        A process that is about to end is given a moment to do so.
        """
        for pid in self.look().processes:
            if processes.wait(pid, timeout_s=_GRACE_S):
                processes.reap(pid)
        now = self.look()
        found = [f"mount {text}" for text in (now.mounts - self.before.mounts).elements()]
        found += [f"missing mount {text}" for text in (self.before.mounts - now.mounts).elements()]
        found += [f"cgroup {path}" for path in sorted(now.cgroups - self.before.cgroups)]
        found += [f"no cgroup, but {path}" for path in sorted(now.strays - self.before.strays)]
        found += [
            f"process {pid} ({line})"
            for pid in sorted(now.processes)
            if (line := processes.command_line(pid))
        ]
        found += [f"state {path}" for path in sorted(now.state - self.before.state)]
        if now.namespaces != self.before.namespaces:
            found.append("the caller is in other namespaces than before")
        return found

    def clear(self) -> None:
        """End and remove all that was not there at first, whatever the runtime says to it."""
        processes.end_all(self.spared)
        self._unmount()
        self._cgroups.clear()
        for name in self._state():
            path = self._state_root / name
            if name not in self.before.state:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _unmount(self) -> None:
        surplus = Counter(f"{each.fstype} on {each.target}" for each in namespaces.mounts())
        surplus -= self.before.mounts
        for each in reversed(namespaces.mounts()):
            key = f"{each.fstype} on {each.target}"
            if surplus[key] > 0:
                surplus[key] -= 1
                with contextlib.suppress(OSError):
                    namespaces.umount(each.target, namespaces.MNT_DETACH)

    def _state(self) -> list[str]:
        # Not what is below: runtimes may keep a lock or a cache in their root, but a container
        # of its own is an entry of its own.
        try:
            return os.listdir(self._state_root)
        except FileNotFoundError:
            return []

"""What the kernel was told about a container: its cgroup files, read from the host."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemons.room import hierarchies


class Limits:
    """The cgroups of one container: those in ``parent`` that carry its id in their name."""

    def __init__(self, parent: str, identifier: str) -> None:
        self.parent, self.identifier = parent, identifier

    def memory_bytes(self) -> int:
        """Return the limit of memory."""
        return int(self._read("memory.max", "memory.limit_in_bytes"))

    def pids(self) -> str:
        """Return the limit of tasks."""
        return self._read("pids.max")

    def cpus(self) -> float:
        """Return how many CPUs' time it may use."""
        if found := self._file("cpu.max"):
            quota, period = found.read_text("ascii").split()
            return int(quota) / int(period)
        return int(self._read("cpu.cfs_quota_us")) / int(self._read("cpu.cfs_period_us"))

    def is_frozen(self) -> bool:
        """Whether none of its processes runs."""
        if found := self._file("freezer.state"):
            return found.read_text("ascii").strip() == "FROZEN"
        return "frozen 1" in self._read("cgroup.events")

    def _file(self, name: str) -> Path | None:
        for mounted in hierarchies():
            for where, folders, files in os.walk(mounted + self.parent):
                folders.sort()
                if self.identifier in where and name in files:
                    return Path(where, name)
        return None

    def _read(self, *names: str) -> str:
        for name in names:
            if found := self._file(name):
                return found.read_text("ascii").strip()
        controller = names[0].partition(".")[0]
        if controller not in Path("/proc/cgroups").read_text("ascii"):
            pytest.skip(f"this kernel has no {controller} controller (/proc/cgroups)")
        raise AssertionError(f"no cgroup of {self.identifier} in {self.parent} has {names}")

    def are_gone(self) -> bool:
        """Whether there are no such cgroups."""
        return not any(
            self.identifier in where
            for mounted in hierarchies()
            for where, _, _ in os.walk(mounted + self.parent)
        )

"""Cgroup hierarchies of the host (cgroups(7)), and the container's cgroup in each."""

from __future__ import annotations

import os

import msgspec

from seatrial.oci import host

ROOT = "/sys/fs/cgroup"


class Hierarchy(msgspec.Struct, frozen=True):
    """One mounted hierarchy (cgroups(7)); of v2 the controllers are those that it can enable."""

    path: str
    version: int
    controllers: frozenset[str]


class Group(msgspec.Struct, frozen=True):
    """The container's cgroup in one hierarchy."""

    hierarchy: Hierarchy
    path: str

    def read(self, name: str) -> str | None:
        """Return what a file says now; ``None`` without one, as in a cgroup that is to be made."""
        try:
            return host.text(f"{self.path}/{name}").strip()
        except OSError:
            return None

    def is_frozen(self) -> bool:
        """Whether the cgroup is one whose processes do not run."""
        if self.hierarchy.version == 1:
            return self.read("freezer.state") in {"FROZEN", "FREEZING"}
        return self.read("cgroup.freeze") == "1"


def hierarchies() -> list[Hierarchy]:
    """Return the hierarchies mounted below /sys/fs/cgroup."""
    found: dict[str, Hierarchy] = {}
    for line in host.mounts(ROOT):
        left, _, right = line.decode("utf-8", "surrogateescape").partition(" - ")
        device, target = left.split(" ")[2:5:2]
        kind = right.split(" ")
        if not _is_seen(target, device):
            continue
        if kind[0] == "cgroup2":
            found[target] = Hierarchy(target, 2, controllers_in(f"{target}/cgroup.controllers"))
        elif kind[0] == "cgroup":
            options = frozenset(kind[2].split(","))
            found[target] = Hierarchy(target, 1, options)
    return list(found.values())


def _is_seen(path: str, device: str) -> bool:
    """Whether the mount of a device is what is found at its path, and not beneath another."""
    try:
        number = host.filesystem_of(path)
    except OSError:
        return False
    return device == f"{os.major(number)}:{os.minor(number)}"


def controllers_in(path: str) -> frozenset[str]:
    """Return the words of a file such as cgroup.controllers; none where it cannot be read."""
    try:
        return frozenset(host.text(path).split())
    except OSError:
        return frozenset()

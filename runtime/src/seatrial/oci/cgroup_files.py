"""Files of the container's cgroups: which hierarchy has a controller, and writes to its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatrial.oci import host
from seatrial.oci.errors import ConfigError
from seatrial.oci.hierarchies import ROOT, Group, Hierarchy
from seatrial.oci.operations import Kind, Op

if TYPE_CHECKING:
    from seatrial.oci.operations import Stage

# Flags of WRITE (runtime/csrc/files.c).
NEED_NOT_BE, WHERE_POSSIBLE = 2, 4
V1, V2 = 1, 2
UINT64_MAX = 2**64 - 1
#: v2 has other names for some controllers.
_V2_NAMES = {"blkio": "io"}
_V1_ONLY = {"net_cls", "net_prio"}


class Groups:
    """The container's cgroups, by controller; remembers which v2 controllers are needed."""

    def __init__(self, groups: list[Group]) -> None:
        self.all = groups
        self.unified = next((each for each in groups if each.hierarchy.version == V2), None)
        #: Each with the pointer that needs it.
        self.used: dict[str, str] = {}

    def find(self, controller: str, pointer: str) -> Group | None:
        """Return the cgroup in the hierarchy that has a controller, ``None`` without one."""
        for group in self.all:
            if group.hierarchy.version == V1 and controller in group.hierarchy.controllers:
                return group
        name = _V2_NAMES.get(controller, controller)
        if self.unified is not None and name in self.unified.hierarchy.controllers:
            self.used.setdefault(name, pointer)
            return self.unified
        return None

    def get(self, controller: str, pointer: str) -> Group:
        """Return the cgroup in the hierarchy that has a controller; raises ``HostError``.

        For a reader it is that of another host: v1, or v2 where this host has that alone.
        """
        found = self.find(controller, pointer)
        if found is None:
            host.refuse(
                pointer, f"no cgroup hierarchy that we can use has the {controller} controller"
            )
            found = self._of_another_host(controller)
        return found

    def _of_another_host(self, controller: str) -> Group:
        if self.unified and len(self.all) == 1 and controller not in _V1_ONLY:
            return self.unified
        path = next((each.path[len(each.hierarchy.path) :] for each in self.all), "/CONTAINER")
        top = f"{ROOT}/{controller}"
        return Group(Hierarchy(top, V1, frozenset({controller})), top + path)


class Writer:
    """Makes the writes for one cgroup; ``existing`` values decide about their order."""

    def __init__(self, group: Group, stage: Stage, pointer: str) -> None:
        self.group, self.stage, self.pointer = group, stage, pointer
        self.is_v1 = group.hierarchy.version == V1

    def __call__(
        self, name: str, value: object, member: str, *, other: str = "", flags: int = 0
    ) -> Op:
        """Return the write of one file for one member of the config's object."""
        path = f"{self.group.path}/{name}"
        return Op(
            Kind.WRITE,
            self.stage,
            f"set {name} of {self.group.path} to {str(value)!r}"
            + (f" (or {other}, where that is its name)" if other else ""),
            f"{self.pointer}/{member}" if member else self.pointer,
            path=path,
            text=str(value),
            extra=f"{self.group.path}/{other}" if other else "",
            flags=flags,
        )

    def number(self, name: str) -> int | None:
        """Return the number that a file holds now; ``None`` where the cgroup is to be made."""
        text = (self.group.read(name) or "").split()
        return int(text[0]) if text and text[0].lstrip("-").isdigit() else None

    def refuse(self, member: str, why: str) -> None:
        """Object to a member that this host's kind of cgroups has nothing for."""
        host.refuse(f"{self.pointer}/{member}", why)


def check_uint64(value: int | None, pointer: str) -> None:
    """Refuse a number that has no room in 64 bits."""
    if value is not None and value > UINT64_MAX:
        raise ConfigError(pointer, f"{value} is more than {UINT64_MAX}")


def escape(name: str) -> str:
    """Return a name as a token of a JSON pointer (RFC 6901)."""
    return name.replace("~", "~0").replace("/", "~1")

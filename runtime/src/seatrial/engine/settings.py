"""How the daemon was started."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from seatrial.engine.registry.trust import Trust


class Settings(NamedTuple):
    """Where it keeps things, and what it calls."""

    #: Images, volumes, containers: what has to be there after a reboot.
    root: str
    #: Sockets and pids: what a reboot ends.
    exec_root: str
    socket: str
    group: str
    #: By name: the command line of each runtime.
    runtimes: dict[str, list[str]]
    default_runtime: str
    #: Above the cgroups of all containers, from the root of each hierarchy.
    cgroup_parent: str
    trust: Trust
    #: What the bridge of the default network is called.
    bridge: str

    @property
    def scratch(self) -> str:
        """Return the folder for files that are gone when they are closed."""
        return f"{self.root}/tmp"  # noqa: S108 - it is nobody else's

    def folder(self, identifier: str) -> str:
        """Return a container's folder."""
        return f"{self.root}/containers/{identifier}"

    def exec_folder(self, identifier: str) -> str:
        """Return the folder of a container's supervisor."""
        return f"{self.exec_root}/{identifier}"
